"""Why answers differ from a golden: the mistakes that leave a trace of their own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from converters.integer_execution import IntegerExecution
from converters.network import QuantizedNetwork
from edge_lstm.golden import last_steps
from edge_lstm.sequences import Sequences

__all__ = ["diagnose"]

Int8Array = npt.NDArray[np.int8]


def diagnose(network: QuantizedNetwork, sequences: Sequences, raw: Int8Array) -> str | None:
    """One sentence on int8 answers that are wrong, or None where they look like no mistake that
    is known. ``raw``: in the shape of Keras' ``predict``."""
    if network.form == "stream" and np.array_equal(raw, _without_state(network, sequences)):
        return "the state is lost between steps: every answer is that of a first step after a reset"
    return None


def _without_state(network: QuantizedNetwork, sequences: Sequences) -> Int8Array:
    """What a model answers that forgets its state before each step."""
    quantized = network.input.quantize(sequences.x)
    if not network.returns_sequence:
        quantized = last_steps(quantized, sequences.lengths)[:, None]
    count, steps, features = quantized.shape
    oracle = IntegerExecution(network, batch=count * steps)
    answers = oracle.run(quantized.reshape(count * steps, 1, features)).reshape(count, steps, -1)
    if not network.returns_sequence:
        return np.asarray(answers[:, 0], np.int8)
    return np.where(sequences.counted(3)[..., None], answers, np.int8(0))
