"""Range alarms: inputs beyond the calibrated range and outputs at the end of int8, by name.

A model that leaves its calibrated range answers wrongly without an error; these counts are
the only sign of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.network import Port, QuantizedNetwork
from edge_lstm.sequences import Sequences

__all__ = ["RangeAlarm", "in_range", "range_alarms"]

# Shares up to this are taken for outliers and not reported; nor is a single value, which of few
# would be a large share.
_TOLERATED_SHARE = 0.01
_FEWEST = 2


@dataclass(frozen=True)
class RangeAlarm:
    """A port's channel with too many values out of range. ``kind`` is input or output;
    ``share`` the part of its values, 0…1; ``lower`` and ``upper`` the calibrated range."""

    kind: str
    label: str
    share: float
    lower: float
    upper: float

    def __str__(self) -> str:
        where = f"{self.lower:.4g} … {self.upper:.4g}"
        if self.kind == "input":
            return (
                f"input '{self.label}': {self.share:.1%} of the values lie outside the "
                f"calibrated range ({where}); the answers to them cannot be trusted"
            )
        return (
            f"output '{self.label}': {self.share:.1%} of the values are saturated at the end of "
            f"int8 (calibrated range {where}); calibrate with data that reach further"
        )


def range_alarms(
    network: QuantizedNetwork, sequences: Sequences, raw: npt.NDArray[np.int8]
) -> tuple[RangeAlarm, ...]:
    """Alarms for the inputs of ``sequences`` and the answers ``raw``, int8 [..., outputs]."""
    if network.form == "window":
        sequences = sequences.trimmed()
    valid = sequences.counted(3)
    beyond = _beyond(network.input, sequences.x)[valid]
    lower_end, upper_end = network.output.open_ends
    at_end = ((raw == -128) & lower_end) | ((raw == 127) & upper_end)
    saturated = at_end[sequences.counted(raw.ndim)].reshape(-1, network.outputs)
    return _alarms("input", network.input, beyond) + _alarms("output", network.output, saturated)


def in_range(network: QuantizedNetwork, sequences: Sequences) -> npt.NDArray[np.bool_]:
    """Which sequences [N] lie wholly in the calibrated range: inputs, and targets if known."""
    valid = sequences.counted(3)
    inside = ~(_beyond(network.input, sequences.x).any(axis=2) & valid).any(axis=1)
    y = sequences.y
    if y is not None and y.dtype.kind == "f" and y.shape[-1] == network.outputs:
        inside &= ~_beyond(network.output, y).reshape(len(y), -1).any(axis=1)
    return np.asarray(inside)


def _beyond(port: Port, values: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Values that miss the range by more than the half step that rounding takes back."""
    half_step = np.abs(port.scale) / 2
    return np.asarray((values < port.lower - half_step) | (values > port.upper + half_step))


def _alarms(kind: str, port: Port, outside: npt.NDArray[np.bool_]) -> tuple[RangeAlarm, ...]:
    """Alarms for values [N, channels] of which ``outside`` marks those out of range."""
    counts, shares = outside.sum(axis=0), outside.mean(axis=0)
    return tuple(
        RangeAlarm(
            kind, port.labels[i], float(shares[i]), float(port.lower[i]), float(port.upper[i])
        )
        for i in np.flatnonzero((shares > _TOLERATED_SHARE) & (counts >= _FEWEST))
    )
