"""Ranges from representative sequences: every step of every sequence counts.

Each sequence starts from a reset and is run in order, whole, so that the states that the
model meets in use are the states that set its scales.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from converters.float_execution import FloatTrace, run_float
from converters.network import Network

__all__ = ["Range", "Ranges", "calibrate", "check_sequences"]

FloatArray = npt.NDArray[np.float32]

# Sequences run together: enough to keep the matrix products busy, few enough that the
# trace of a wide stack stays within some hundred megabytes.
_BATCH = 256


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of each channel, float32 [C]."""

    lower: FloatArray
    upper: FloatArray

    def merge(self, other: Range) -> Range:
        """The range of both."""
        return Range(np.minimum(self.lower, other.lower), np.maximum(self.upper, other.upper))


@dataclass(frozen=True)
class Ranges:
    """``values``: the range of the input and of every node, by name; ``cells``: the largest
    magnitude of each LSTM's cell state; ``steps``: the length of the longest sequence."""

    values: dict[str, Range]
    cells: dict[str, float]
    steps: int


def calibrate(network: Network, x: FloatArray, lengths: npt.NDArray[np.int64]) -> Ranges:
    """Ranges over sequences x, float32 [N, T, features], of which the first ``lengths`` [N]
    steps count."""
    values: dict[str, Range] = {}
    cells: dict[str, float] = {}
    for start in range(0, len(x), _BATCH):
        batch = slice(start, start + _BATCH)
        trace = run_float(network, x[batch], every_step=True)
        valid = np.arange(x.shape[1]) < lengths[batch, None]
        _observe(trace, valid, values, cells)
    _check_finite(values)
    return Ranges(values, cells, int(lengths.max()))


def check_sequences(x: npt.NDArray[np.generic], lengths: npt.NDArray[np.int64]) -> None:
    """Refuse values that are not finite, naming the first one."""
    valid = np.arange(x.shape[1]) < lengths[:, None]
    bad = np.argwhere(~np.isfinite(x) & valid[..., None])
    if len(bad):
        sequence, step, feature = (int(i) for i in bad[0])
        raise InputError(
            f"array 'x' holds {x[sequence, step, feature]} at sequence {sequence}, step {step}, "
            f"feature {feature} ({len(bad)} such values in all); remove or fill them first"
        )


def _observe(
    trace: FloatTrace,
    valid: npt.NDArray[np.bool_],
    values: dict[str, Range],
    cells: dict[str, float],
) -> None:
    for name, value in trace.values.items():
        steps = value[valid]
        seen = Range(steps.min(axis=0), steps.max(axis=0))
        values[name] = values[name].merge(seen) if name in values else seen
    for name, cell in trace.cells.items():
        cells[name] = max(cells.get(name, 0.0), float(np.abs(cell[valid]).max()))


def _check_finite(values: dict[str, Range]) -> None:
    for name, seen in values.items():
        if not (np.isfinite(seen.lower).all() and np.isfinite(seen.upper).all()):
            raise InputError(
                f"layer '{name}' overflows float32 on the calibration data; "
                "check the weights and the scale of the input"
            )
