"""The corridor: Keras model → ranges → integers → files.

Each stage is one call; ``convert`` is their order.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from converters.bias_correction import correct_biases
from converters.c_array import c_array_header, c_array_source
from converters.c_literals import check_name, name_from
from converters.c_source import c_header, c_source
from converters.calibrate import Ranges, calibrate
from converters.errors import InputError
from converters.keras_reader import load_keras_model, predict, read_keras_model
from converters.network import Arithmetic, Network, QuantizedNetwork
from converters.quantize import quantize
from converters.tflite_metadata import Provenance
from converters.tflite_writer import write_tflite
from edge_lstm.conversion_report import ConversionReport, report_conversion
from edge_lstm.files import read_bytes, write_files
from edge_lstm.golden import Golden, expected_answers
from edge_lstm.sequences import Sequences, pack_arrays, read_sequences
from firmware_templates import __version__, runtime_headers

__all__ = ["convert"]

# Enough to cross every gate many times, few enough for a file that goes to a device.
_GOLDEN_SEQUENCES = 64


def convert(
    model: str | Path,
    calibration: str | Path,
    *,
    output: str | Path,
    name: str | None = None,
    form: Literal["auto", "stream", "window"] = "auto",
    arithmetic: Arithmetic = "litert",
) -> ConversionReport:
    """Convert a ``.keras`` file to int8 and write everything that a device needs to ``output``.

    ``calibration`` is an ``.npz`` of representative sequences (``edge_lstm.sequences``).
    ``auto`` is the stream form wherever the model is causal, which all supported ones are.
    ``arithmetic`` names the runtime whose bits the C and the golden have.
    Raises InputError for what cannot be read, UnsupportedError for a model that cannot be
    converted, MissingToolError without TensorFlow.
    """
    model_path = Path(model)
    name = check_name(name) if name is not None else name_from(model_path.stem)
    sequences = read_sequences(Path(calibration))
    source = read_bytes(model_path)
    keras_model = load_keras_model(model_path)
    network = read_keras_model(keras_model, name)
    _check_calibration(network, sequences, str(calibration))

    ranges = calibrate(network, sequences.x, sequences.lengths)
    quantized = quantize(
        network,
        ranges,
        form="stream" if form == "auto" else form,
        arithmetic=arithmetic,
        feature_labels=sequences.feature_names,
        output_labels=sequences.target_names,
    )
    quantized = correct_biases(network, quantized, sequences.x, sequences.lengths)
    provenance = Provenance(
        writer=f"edge-lstm {__version__}",
        source_sha256=hashlib.sha256(source).hexdigest(),
        ranges=_summary(ranges),
    )
    tflite = write_tflite(quantized, provenance)
    golden = _golden(quantized, keras_model, sequences)

    folder = Path(output)
    files = _files(folder, quantized, tflite)
    report = report_conversion(
        folder, network, quantized, provenance, len(tflite), sequences, golden
    )
    golden_path, report_path = report.files["golden"], report.files["report"]
    files[golden_path] = pack_arrays(golden.arrays())
    files[report_path] = (json.dumps(report.to_json(), indent=1) + "\n").encode()
    write_files(files)
    return report


def _check_calibration(network: Network, sequences: Sequences, source: str) -> None:
    if sequences.features != network.input.features:
        raise InputError(
            f"'{source}': array 'x' has {sequences.features} features a step, the model takes "
            f"{network.input.features}"
        )
    if network.window is not None and (sequences.lengths != network.window).any():
        raise InputError(
            f"'{source}': the model was built for sequences of {network.window} steps, array 'x' "
            f"has {sequences.lengths.min()} to {sequences.lengths.max()}"
        )


def _golden(quantized: QuantizedNetwork, model: Any, sequences: Sequences) -> Golden:
    """The oracle's and Keras' answers to sequences spread evenly over the calibration set."""
    count = min(_GOLDEN_SEQUENCES, len(sequences))
    picked = sequences.select(np.linspace(0, len(sequences) - 1, count).astype(np.int64))
    if quantized.form == "window" and picked.ragged:
        raise InputError(
            "the window form needs sequences of one length, array 'lengths' has several; "
            "convert with --form stream"
        )
    return Golden(
        picked,
        expected=expected_answers(quantized, picked),
        expected_float=predict(model, picked.x, picked.lengths),
    )


def _files(folder: Path, quantized: QuantizedNetwork, tflite: bytes) -> dict[Path, bytes]:
    """Everything but golden and report: content by path."""
    name = quantized.name
    texts = {
        f"{name}.h": c_header(quantized),
        f"{name}.c": c_source(quantized),
        f"{name}_model_data.h": c_array_header(name),
        f"{name}_model_data.cc": c_array_source(name, tflite),
    }
    files = {folder / f"{name}.tflite": tflite}
    files |= {folder / file: text.encode() for file, text in texts.items()}
    files |= {folder / header.name: header.read_bytes() for header in runtime_headers()}
    return files


def _summary(ranges: Ranges) -> dict[str, tuple[float, float]]:
    """One (lower, upper) a tensor; cell states as NAME/cell."""
    summary = {
        name: (float(seen.lower.min()), float(seen.upper.max()))
        for name, seen in ranges.values.items()
    }
    return summary | {f"{name}/cell": (-c, c) for name, c in ranges.cells.items()}
