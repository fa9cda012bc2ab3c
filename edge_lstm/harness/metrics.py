"""What is counted on a run: latency, error against labels, distance from a golden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from edge_lstm.golden import last_steps
from edge_lstm.harness.streaming import Run
from edge_lstm.sequences import Sequences

__all__ = ["Agreement", "Latency", "Score", "agreement", "latency", "persistence", "score"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Latency:
    """Microseconds a call, percentiles by nearest rank, and calls a second."""

    calls: int
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    steps_per_second: float


@dataclass(frozen=True)
class Score:
    """Error against labels: ``accuracy`` of a classifier, else ``rmse`` and ``mae`` in physical
    units. ``persistence_rmse`` is that of repeating the last seen value of the target, and
    ``skill`` = 1 - rmse / persistence_rmse, where the target is among the features."""

    accuracy: float | None = None
    rmse: float | None = None
    mae: float | None = None
    persistence_rmse: float | None = None
    skill: float | None = None


@dataclass(frozen=True)
class Agreement:
    """Distance from a golden in steps of int8: values compared, how many differ, by how much."""

    values: int
    mismatches: int
    max_lsb: int


def latency(run: Run) -> Latency | None:
    """None for an engine that was not called step by step."""
    if not len(run.latencies):
        return None
    microseconds = run.latencies / 1e3
    p50, p90, p99 = np.percentile(microseconds, [50, 90, 99], method="inverted_cdf")
    return Latency(
        calls=len(microseconds),
        p50_us=float(p50),
        p90_us=float(p90),
        p99_us=float(p99),
        max_us=float(microseconds.max()),
        steps_per_second=run.steps / run.seconds,
    )


def agreement(run: Run, expected: npt.NDArray[np.int8], sequences: Sequences) -> Agreement:
    """Compare the integers of a run with a golden's, where the sequences have answers."""
    if run.raw is None or run.raw.shape != expected.shape:
        shape = None if run.raw is None else list(run.raw.shape)
        raise InputError(
            f"the golden expects answers of shape {list(expected.shape)}, the model gives "
            f"{shape}: golden and model are not of the same conversion"
        )
    distance = np.abs(run.raw.astype(np.int16) - expected)[sequences.counted(expected.ndim)]
    return Agreement(
        values=distance.size,
        mismatches=int(np.count_nonzero(distance)),
        max_lsb=int(distance.max(initial=0)),
    )


def score(output: FloatArray, sequences: Sequences) -> Score | None:
    """Error against ``y``; None without labels, or where there is not one for each answer.

    Integer labels, one an answer, are classes (the index of the largest output, or whether a
    single one reaches 1/2); anything else is a quantity.
    """
    y = sequences.y
    if y is None:
        return None
    counted = sequences.counted(output.ndim)
    answers = output.size // output.shape[-1]
    is_class = y.dtype.kind in "iub" and (y.shape == output.shape[:-1] or output.shape[-1] > 1)
    if is_class and y.size == answers:
        labels = y.reshape(output.shape[:-1])
        return Score(accuracy=float(np.mean((_classes(output) == labels)[counted])))
    if y.size != output.size:
        return None
    target = y.astype(np.float32).reshape(output.shape)
    error = (output - target)[counted]
    rmse = _rms(error)
    naive = persistence(sequences)
    base = None if naive is None or naive.shape != target.shape else _rms(naive - target)
    return Score(
        rmse=rmse,
        mae=float(np.mean(np.abs(error))),
        persistence_rmse=base,
        skill=1 - rmse / base if base else None,
    )


def persistence(sequences: Sequences) -> FloatArray | None:
    """The last seen value of each target, float32 [N, O], where all are among the features."""
    features, targets = sequences.feature_names, sequences.target_names
    if not features or not targets or not set(targets) <= set(features):
        return None
    columns = [features.index(name) for name in targets]
    return np.asarray(last_steps(sequences.x, sequences.lengths)[:, columns], np.float32)


def _classes(output: FloatArray) -> npt.NDArray[Any]:
    if output.shape[-1] == 1:
        return np.asarray(output[..., 0] >= 0.5).astype(np.int64)
    return np.asarray(output.argmax(axis=-1))


def _rms(error: FloatArray) -> float:
    return float(np.sqrt(np.mean(error.astype(np.float64) ** 2)))
