"""Feeds sequences to an engine, call by call, and times each call."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from edge_lstm.engines.keras_model import KerasEngine
from edge_lstm.engines.protocol import DeviceFigures, Engine, Int8Array
from edge_lstm.golden import check_fit
from edge_lstm.progress import track
from edge_lstm.sequences import Sequences

__all__ = ["Run", "run_keras", "run_sequences"]

FloatArray = npt.NDArray[np.float32]

# Calls before the clock counts: caches fill, the interpreter touches its arena.
_WARM_UP_CALLS = 50


@dataclass(frozen=True)
class Run:
    """What an engine answered and how long its calls took.

    output: float32 in physical units, raw: int8 (None for a float engine), in the shape of
    Keras' ``predict``, or [N, T, O] with every step. latencies: ns of each call, int64, one
    step (stream form) or one window; empty for an engine that is not called step by step.
    seconds: wall time of all calls that the clock counted; steps: time steps among them.
    device: what the device said afterwards, if it was one.
    """

    engine: str
    description: str
    output: FloatArray
    raw: Int8Array | None
    latencies: npt.NDArray[np.int64]
    seconds: float
    steps: int
    device: DeviceFigures | None = None


def run_sequences(
    engine: Engine, sequences: Sequences, *, every_step: bool = False, source: str = "input"
) -> Run:
    """Run each sequence from a reset. ``every_step`` keeps an answer a step.

    Raises InputError where the sequences do not fit the model.
    """
    network = engine.network
    check_fit(network, sequences, source)
    per_step = every_step or network.returns_sequence
    if every_step and network.form == "window" and not network.returns_sequence:
        raise InputError(
            f"the window model '{network.name}' answers once a window; --every-step needs the "
            "stream form"
        )
    if network.form == "window":
        sequences = sequences.trimmed()
    quantized = network.input.quantize(sequences.x)
    _warm_up(engine, quantized[0, : sequences.lengths[0]])
    raw = np.zeros((len(sequences), sequences.steps, network.outputs), np.int8)
    latencies: list[int] = []
    for index, length in enumerate(track(sequences.lengths, engine.name, len(sequences))):
        engine.reset()
        if network.form == "window":
            answer, elapsed = _timed(engine, quantized[index])
            raw[index, -len(answer) if answer.ndim == 2 else -1 :] = answer
            latencies.append(elapsed)
        else:
            for step in range(length):
                raw[index, step], elapsed = _timed(engine, quantized[index, step])
                latencies.append(elapsed)
    if not per_step:
        raw = raw[np.arange(len(raw)), sequences.lengths - 1]
    output = network.output.dequantize(raw)
    output[~sequences.counted(raw.ndim)] = 0  # as Keras' answers beyond a sequence's length
    nanoseconds = np.asarray(latencies, np.int64)
    return Run(
        engine=engine.name,
        description=engine.describe(),
        output=output,
        raw=raw,
        latencies=nanoseconds,
        seconds=float(nanoseconds.sum()) / 1e9,
        steps=int(sequences.lengths.sum()),
        device=engine.figures(),
    )


def run_keras(engine: KerasEngine, sequences: Sequences, *, source: str = "input") -> Run:
    """Let Keras predict all sequences; the time is that of the batch."""
    if sequences.features != engine.features:
        raise InputError(
            f"{source}: array 'x' has {sequences.features} features a step, the Keras model "
            f"takes {engine.features}"
        )
    start = time.perf_counter()
    output = engine.predict(sequences.x, sequences.lengths)
    seconds = time.perf_counter() - start
    return Run(
        engine=engine.name,
        description=engine.describe(),
        output=output,
        raw=None,
        latencies=np.empty(0, np.int64),
        seconds=seconds,
        steps=int(sequences.lengths.sum()),
    )


def _timed(engine: Engine, inputs: Int8Array) -> tuple[Int8Array, int]:
    start = time.perf_counter_ns()
    answer = engine.invoke(inputs)
    return answer, time.perf_counter_ns() - start


def _warm_up(engine: Engine, sequence: Int8Array) -> None:
    engine.reset()
    calls = [sequence] if engine.network.form == "window" else list(sequence)
    for call in range(_WARM_UP_CALLS):
        engine.invoke(calls[call % len(calls)])
