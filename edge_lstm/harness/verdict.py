"""Budgets: what was demanded, what was found, and whether that will do."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converters.errors import InputError
from edge_lstm.device.line import DEFAULT_BAUD
from edge_lstm.engines import load
from edge_lstm.engines.keras_model import KerasEngine
from edge_lstm.engines.protocol import DeviceFigures
from edge_lstm.golden import Golden, read_golden
from edge_lstm.harness.alarms import RangeAlarm, range_alarms
from edge_lstm.harness.diagnosis import diagnose
from edge_lstm.harness.metrics import Agreement, Latency, Score, agreement, latency, score
from edge_lstm.harness.streaming import Run, run_keras, run_sequences

__all__ = ["Budgets", "Check", "Verdict", "verify"]


@dataclass(frozen=True)
class Budgets:
    """Limits for ``verify``; None leaves one out. ``max_lsb`` counts steps of int8; left out, it
    is 0 for an engine that has the model's arithmetic."""

    max_lsb: int | None = None
    max_p99_us: float | None = None
    min_accuracy: float | None = None
    max_rmse: float | None = None


@dataclass(frozen=True)
class Check:
    """One budget: its name, the limit, what was found, and whether it was kept."""

    name: str
    limit: float
    found: float
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """The outcome of ``verify``. ``float_rmse`` is the distance from Keras' answers in
    physical units; ``agreement`` is None for a float engine. ``diagnosis`` says why the answers
    differ, where that can be told; ``device`` is what a device said of itself."""

    engine: str
    description: str
    sequences: int
    checks: tuple[Check, ...]
    agreement: Agreement | None
    latency: Latency | None
    score: Score | None
    float_rmse: float
    alarms: tuple[RangeAlarm, ...]
    diagnosis: str | None = None
    device: DeviceFigures | None = None

    @property
    def passed(self) -> bool:
        """True when every budget was kept."""
        return all(check.passed for check in self.checks)


def verify(
    model: str | Path,
    golden: str | Path,
    *,
    engine: str = "native",
    budgets: Budgets | None = None,
    keras_model: str | Path | None = None,
    port: str | None = None,
    baud: int = DEFAULT_BAUD,
) -> Verdict:
    """Run a golden through an engine and hold the answers against it and the budgets.

    Where the engine has the model's arithmetic any differing bit fails, unless ``budgets``
    allows a distance. Elsewhere, and for keras (``keras_model`` names the file), the distance
    is reported only, unless ``budgets`` limits it. The engine device is at ``port``.
    """
    budgets = budgets or Budgets()
    content = read_golden(Path(golden))
    source = f"'{golden}'"
    if engine == "keras":
        if keras_model is None:
            raise InputError("the engine keras needs the Keras model: give it with --model")
        run = run_keras(KerasEngine(keras_model), content.sequences, source=source)
        return _verdict(run, content, budgets, None, ())
    with closing(load(model, engine, port=port, baud=baud)) as loaded:
        network = loaded.network
        run = run_sequences(loaded, content.sequences, source=source)
    if run.raw is None:
        raise AssertionError("integer engines answer integers")
    if budgets.max_lsb is None and loaded.exact:
        budgets = dataclasses.replace(budgets, max_lsb=0)
    alarms = range_alarms(network, content.sequences, run.raw)
    agreed = agreement(run, content.expected, content.sequences)
    diagnosis = diagnose(network, content.sequences, run.raw) if agreed.mismatches else None
    return _verdict(run, content, budgets, agreed, alarms, diagnosis)


def _verdict(
    run: Run,
    golden: Golden,
    budgets: Budgets,
    agreed: Agreement | None,
    alarms: tuple[RangeAlarm, ...],
    diagnosis: str | None = None,
) -> Verdict:
    if run.output.shape != golden.expected_float.shape:
        raise InputError(
            f"the golden expects answers of shape {list(golden.expected_float.shape)}, the model "
            f"gives {list(run.output.shape)}: golden and model are not of the same conversion"
        )
    timing, scored = latency(run), score(run.output, golden.sequences)
    error = run.output.astype(np.float64) - golden.expected_float
    error = error[golden.sequences.counted(error.ndim)]
    return Verdict(
        engine=run.engine,
        description=run.description,
        sequences=len(golden.sequences),
        checks=_checks(budgets, agreed, timing, scored),
        agreement=agreed,
        latency=timing,
        score=scored,
        float_rmse=float(np.sqrt(np.mean(error**2))),
        alarms=alarms,
        diagnosis=diagnosis,
        device=run.device,
    )


def _checks(
    budgets: Budgets, agreed: Agreement | None, timing: Latency | None, scored: Score | None
) -> tuple[Check, ...]:
    checks = []
    if agreed is not None and budgets.max_lsb is not None:
        found = agreed.max_lsb
        checks.append(Check("max_lsb", budgets.max_lsb, found, found <= budgets.max_lsb))
    if budgets.max_p99_us is not None:
        if timing is None:
            raise InputError("--max-p99-us: this engine is not timed call by call; leave it out")
        checks.append(_at_most("max_p99_us", budgets.max_p99_us, timing.p99_us))
    if budgets.max_rmse is not None:
        if scored is None or scored.rmse is None:
            raise InputError("--max-rmse: the golden has no quantities as labels (array 'y')")
        checks.append(_at_most("max_rmse", budgets.max_rmse, scored.rmse))
    if budgets.min_accuracy is not None:
        if scored is None or scored.accuracy is None:
            raise InputError("--min-accuracy: the golden has no classes as labels (array 'y')")
        found_accuracy, limit = scored.accuracy, budgets.min_accuracy
        checks.append(Check("min_accuracy", limit, found_accuracy, found_accuracy >= limit))
    return tuple(checks)


def _at_most(name: str, limit: float, found: float) -> Check:
    return Check(name, limit, found, found <= limit)
