"""What a conversion made: sizes, ranges, and how far int8 is from float on the golden."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.c_source import constant_bytes, state_bytes
from converters.float_execution import run_float
from converters.integer_execution import IntegerExecution
from converters.network import ActivationOp, Arithmetic, Form, Network, QuantizedNetwork
from converters.tflite_metadata import Provenance
from edge_lstm.golden import Golden, last_steps
from edge_lstm.sequences import Sequences
from firmware_templates import __version__

__all__ = ["ConversionReport", "FloatComparison", "report_conversion"]


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
    arithmetic: Arithmetic
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
            "arithmetic": self.arithmetic,
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


def report_conversion(
    folder: Path,
    network: Network,
    quantized: QuantizedNetwork,
    provenance: Provenance,
    tflite_bytes: int,
    sequences: Sequences,
    golden: Golden,
) -> ConversionReport:
    """Gather the report of a conversion into ``folder``, calibrated on ``sequences``."""
    name = quantized.name
    roles = {
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
        arithmetic=quantized.arithmetic,
        form=quantized.form,
        window=quantized.window,
        files={role: folder / file for role, file in roles.items()},
        multiply_accumulates_per_step=quantized.multiply_accumulates,
        tflite_bytes=tflite_bytes,
        constant_bytes=constant_bytes(quantized),
        state_bytes=state_bytes(quantized),
        calibration_sequences=len(sequences),
        calibration_steps=int(sequences.lengths.sum()),
        ranges=provenance.ranges,
        tensors={t.name: (t.scale, t.zero_point) for t in quantized.tensors.values()},
        outputs=_compare(network, quantized, golden),
        warnings=_warnings(quantized),
    )


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
