"""The corridor: Keras model → ranges → integers → files.

Each stage is one call; ``convert`` is their order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from converters.bias_correction import correct_biases
from converters.c_array import c_array_header, c_array_source
from converters.c_literals import check_name, name_from
from converters.c_source import c_header, c_source, constant_bytes, state_bytes
from converters.calibrate import Ranges, calibrate
from converters.errors import InputError
from converters.float_execution import run_float
from converters.integer_execution import IntegerExecution
from converters.keras_reader import is_stateful, load_keras_model, predict, read_keras_model
from converters.network import ActivationOp, Form, Network, QuantizedNetwork
from converters.quantize import quantize
from converters.tflite_metadata import Provenance
from converters.tflite_writer import write_tflite
from edge_lstm.files import read_bytes, write_files
from edge_lstm.golden import Golden, expected_answers, last_steps
from edge_lstm.sequences import Sequences, pack_arrays, read_sequences
from firmware_templates import __version__, runtime_headers

__all__ = ["ConversionReport", "FloatComparison", "convert"]

# Enough to cross every gate many times, few enough for a file that goes to a device.
_GOLDEN_SEQUENCES = 64


@dataclass(frozen=True)
class FloatComparison:
    """int8 against float on the golden, one output channel, in physical units.

    ``logit_error`` is RMS(int8 - float) / SD(float) before a final sigmoid or softmax; None
    where the float output does not vary.
    """

    label: str
    rmse: float
    largest_error: float
    float_sd: float
    logit_error: float | None


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion made. Sizes in bytes; ``files`` by role, relative to ``folder``."""

    name: str
    folder: Path
    form: Form
    window: int | None
    files: dict[str, Path]
    multiply_accumulates_per_step: int
    tflite_bytes: int
    constant_bytes: int
    state_bytes: int
    calibration_sequences: int
    calibration_steps: int
    ranges: dict[str, tuple[float, float]]
    tensors: dict[str, tuple[float, int]]
    outputs: tuple[FloatComparison, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The content of NAME_report.json."""
        return {
            "schema_version": 1,
            "writer": f"edge-lstm {__version__}",
            "name": self.name,
            "form": self.form,
            "window": self.window,
            "files": {role: path.name for role, path in self.files.items()},
            "multiply_accumulates_per_step": self.multiply_accumulates_per_step,
            "bytes": {
                "tflite": self.tflite_bytes,
                "constants": self.constant_bytes,
                "state": self.state_bytes,
            },
            "calibration": {
                "sequences": self.calibration_sequences,
                "steps": self.calibration_steps,
            },
            "ranges": {name: list(ends) for name, ends in self.ranges.items()},
            "tensors": {
                name: {"scale": scale, "zero_point": zero_point}
                for name, (scale, zero_point) in self.tensors.items()
            },
            "int8_against_float": [vars(output) for output in self.outputs],
            "warnings": list(self.warnings),
        }


def convert(
    model: str | Path,
    calibration: str | Path,
    *,
    output: str | Path,
    name: str | None = None,
    form: Literal["auto", "stream", "window"] = "auto",
) -> ConversionReport:
    """Convert a ``.keras`` file to int8 and write everything that a device needs to ``output``.

    ``calibration`` is an ``.npz`` of representative sequences (``edge_lstm.sequences``).
    ``auto`` is the stream form wherever the model is causal, which all supported ones are.
    Raises InputError for what cannot be read, UnsupportedError for a model that cannot be
    converted, MissingToolError without TensorFlow.
    """
    model_path = Path(model)
    name = check_name(name) if name is not None else name_from(model_path.stem)
    sequences = read_sequences(Path(calibration))
    source = read_bytes(model_path)
    keras_model = load_keras_model(model_path)
    network = read_keras_model(keras_model, name)
    _check_calibration(network, keras_model, sequences, str(calibration))

    ranges = calibrate(network, sequences.x, sequences.lengths)
    quantized = quantize(
        network,
        ranges,
        form="stream" if form == "auto" else form,
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
    report = _report(folder, network, quantized, len(tflite), sequences, provenance.ranges, golden)
    golden_path, report_path = report.files["golden"], report.files["report"]
    files[golden_path] = pack_arrays(golden.arrays())
    files[report_path] = (json.dumps(report.to_json(), indent=1) + "\n").encode()
    write_files(files)
    return report


def _check_calibration(network: Network, model: Any, sequences: Sequences, source: str) -> None:
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
    steps = model.inputs[0].shape[1]
    if is_stateful(model) and steps and (sequences.lengths % steps).any():
        raise InputError(
            f"'{source}': the stateful model takes {steps} steps a call; the sequences of array "
            "'x' must be multiples of that"
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


def _report(
    folder: Path,
    network: Network,
    quantized: QuantizedNetwork,
    tflite_bytes: int,
    sequences: Sequences,
    ranges: dict[str, tuple[float, float]],
    golden: Golden,
) -> ConversionReport:
    name = quantized.name
    roles: Mapping[str, str] = {
        "tflite": f"{name}.tflite",
        "c_source": f"{name}.c",
        "c_header": f"{name}.h",
        "tflm_source": f"{name}_model_data.cc",
        "tflm_header": f"{name}_model_data.h",
        "golden": f"{name}_golden.npz",
        "report": f"{name}_report.json",
    }
    return ConversionReport(
        name=name,
        folder=folder,
        form=quantized.form,
        window=quantized.window,
        files={role: folder / file for role, file in roles.items()},
        multiply_accumulates_per_step=quantized.multiply_accumulates,
        tflite_bytes=tflite_bytes,
        constant_bytes=constant_bytes(quantized),
        state_bytes=state_bytes(quantized),
        calibration_sequences=len(sequences),
        calibration_steps=int(sequences.lengths.sum()),
        ranges=ranges,
        tensors={t.name: (t.scale, t.zero_point) for t in quantized.tensors.values()},
        outputs=_compare(network, quantized, golden),
        warnings=_warnings(quantized),
    )


def _summary(ranges: Ranges) -> dict[str, tuple[float, float]]:
    """One (lower, upper) a tensor; cell states as NAME/cell."""
    summary = {
        name: (float(seen.lower.min()), float(seen.upper.max()))
        for name, seen in ranges.values.items()
    }
    return summary | {f"{name}/cell": (-c, c) for name, c in ranges.cells.items()}


def _compare(
    network: Network, quantized: QuantizedNetwork, golden: Golden
) -> tuple[FloatComparison, ...]:
    channels = quantized.outputs
    answers = quantized.output.dequantize(golden.expected)
    valid = _valid(golden, answers.ndim)
    integer = answers[valid].reshape(-1, channels)
    real = golden.expected_float[valid].reshape(-1, channels)
    error = integer - real
    logit_errors = _logit_errors(network, quantized, golden, integer, real)
    return tuple(
        FloatComparison(
            label=label,
            rmse=float(np.sqrt(np.mean(error[:, i] ** 2))),
            largest_error=float(np.abs(error[:, i]).max()),
            float_sd=float(real[:, i].std()),
            logit_error=logit_errors[i],
        )
        for i, label in enumerate(quantized.output.labels)
    )


def _valid(golden: Golden, dimensions: int) -> npt.NDArray[np.bool_]:
    """Which of the answers count: [N], or [N, T] where there is one a step."""
    lengths = golden.sequences.lengths
    if dimensions == 2:
        return np.ones(len(lengths), np.bool_)
    return np.asarray(np.arange(golden.sequences.steps) < lengths[:, None])


def _logit_errors(
    network: Network,
    quantized: QuantizedNetwork,
    golden: Golden,
    integer: npt.NDArray[np.float32],
    real: npt.NDArray[np.float32],
) -> list[float | None]:
    last = quantized.ops[-1]
    if isinstance(last, ActivationOp) and last.function != "tanh":
        sequences = golden.sequences
        tensor = quantized.tensors[last.input]
        oracle = IntegerExecution(quantized, batch=len(sequences))
        traced = oracle.trace(quantized.input.quantize(sequences.x))[last.input]
        expected = run_float(network, sequences.x, every_step=True).values[last.input]
        if traced.ndim == 2:
            expected = expected[:, -1]
        elif not quantized.returns_sequence:
            traced = last_steps(traced, sequences.lengths)
            expected = last_steps(expected, sequences.lengths)
        valid = _valid(golden, traced.ndim)
        logits = (traced.astype(np.float32) - tensor.zero_point) * np.float32(tensor.scale)
        integer = logits[valid].reshape(-1, quantized.outputs)
        real = expected[valid].reshape(-1, quantized.outputs)
    rms = np.sqrt(np.mean((integer - real) ** 2, axis=0))
    return [float(r / sd) if sd > 0 else None for r, sd in zip(rms, real.std(axis=0), strict=True)]


def _warnings(quantized: QuantizedNetwork) -> tuple[str, ...]:
    port = quantized.input
    return tuple(
        f"feature '{label}' is always {lower:g} in the calibration data; any other value of it "
        "will saturate"
        for label, lower, upper in zip(port.labels, port.lower, port.upper, strict=True)
        if lower == upper
    )
