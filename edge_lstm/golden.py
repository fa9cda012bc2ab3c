"""Goldens: sequences with the answers that every engine must give to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from converters.integer_execution import IntegerExecution
from converters.network import QuantizedNetwork
from edge_lstm.sequences import Sequences, read_arrays, read_sequences

__all__ = ["Golden", "check_fit", "expected_answers", "last_steps", "read_golden"]

Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Golden:
    """``expected``: int8 from the oracle, ``expected_float``: float32 from Keras, both in the
    shape of Keras' ``predict``: [N, O], or [N, T, O] for a model that returns sequences."""

    sequences: Sequences
    expected: Int8Array
    expected_float: npt.NDArray[np.float32]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of a golden ``.npz``."""
        return {
            **self.sequences.arrays(),
            "expected": self.expected,
            "expected_float": self.expected_float,
        }


def read_golden(path: Path) -> Golden:
    """Read a golden ``.npz``; raises InputError where an array is missing or does not fit."""
    sequences = read_sequences(path)
    arrays = read_arrays(path)
    for name in ("expected", "expected_float"):
        if name not in arrays:
            raise InputError(
                f"'{path}' is no golden: it has no array '{name}'; 'edge-lstm convert' writes "
                "NAME_golden.npz"
            )
        array = arrays[name]
        if array.dtype.kind not in "fi" or array.ndim not in (2, 3) or len(array) != len(sequences):
            raise InputError(
                f"'{path}': array '{name}' is {array.dtype} {list(array.shape)}; numbers, an "
                f"answer for each of the {len(sequences)} sequences, are needed"
            )
    if arrays["expected"].dtype != np.int8:
        raise InputError(f"'{path}': array 'expected' is {arrays['expected'].dtype}, not int8")
    return Golden(sequences, arrays["expected"], arrays["expected_float"].astype(np.float32))


def check_fit(network: QuantizedNetwork, sequences: Sequences, source: str) -> None:
    """Refuse sequences that the model cannot take."""
    if sequences.features != network.features:
        raise InputError(
            f"{source}: array 'x' has {sequences.features} features a step, the model "
            f"'{network.name}' takes {network.features}"
        )
    if network.form == "window" and (sequences.lengths != network.window).any():
        raise InputError(
            f"{source}: the window model '{network.name}' takes sequences of exactly "
            f"{network.window} steps, these have {sequences.lengths.min()} to "
            f"{sequences.lengths.max()}; convert with --form stream for other lengths"
        )


def last_steps(values: npt.NDArray[Any], lengths: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """[N, T, O] to [N, O]: the last step that counts of each sequence."""
    picked: npt.NDArray[Any] = values[np.arange(len(values)), lengths - 1]
    return picked


def expected_answers(network: QuantizedNetwork, sequences: Sequences) -> Int8Array:
    """What the oracle answers, int8, in the shape of Keras' ``predict``."""
    if network.form == "window":
        sequences = sequences.trimmed()
    oracle = IntegerExecution(network, batch=len(sequences))
    answers = oracle.run(network.input.quantize(sequences.x))
    if answers.ndim == 2:
        return answers
    if network.returns_sequence:
        return np.where(sequences.counted(3)[..., None], answers, np.int8(0))
    return np.asarray(last_steps(answers, sequences.lengths), np.int8)
