"""The whole line on real prices: train, convert, run on three engines, verify, draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.conversion import convert
from edge_lstm.conversion_report import ConversionReport
from edge_lstm.engines import load
from edge_lstm.engines.keras_model import KerasEngine
from edge_lstm.files import write_files
from edge_lstm.harness.alarms import RangeAlarm, in_range, range_alarms
from edge_lstm.harness.metrics import Latency, latency, persistence
from edge_lstm.harness.streaming import Run, run_keras, run_sequences
from edge_lstm.harness.verdict import Verdict, verify
from edge_lstm.sequences import Sequences, read_sequences
from edge_lstm.training.train import TrainingReport, train

__all__ = ["Demo", "InRange", "run_demo"]

FloatArray = npt.NDArray[np.float32]

_NAME = "stock"
_ENGINES = ("litert", "native", "numpy")


@dataclass(frozen=True)
class InRange:
    """int8 against float on the test windows that lie in the calibrated range.

    share: of all test windows, 0…1; logit_error: RMS(int8 - float) / SD(float); rmse_ratio:
    RMSE of int8 over RMSE of float, both against the true price; sd_in_steps:
    SD(float) / output scale, below about 20 of which int8 is too coarse to judge by.
    """

    windows: int
    share: float
    logit_error: float
    rmse_float: float
    rmse_int8: float
    rmse_persistence: float
    rmse_ratio: float
    sd_in_steps: float


@dataclass(frozen=True)
class Demo:
    """Everything the demo found. ``alarms`` are those of the whole test set."""

    folder: Path
    training: TrainingReport
    conversion: ConversionReport
    verdicts: tuple[Verdict, ...]
    latencies: dict[str, Latency]
    engines_agree: bool
    in_range: InRange
    alarms: tuple[RangeAlarm, ...]

    @property
    def passed(self) -> bool:
        """Every engine gave the golden's bits, and all gave the same on the test set."""
        return self.engines_agree and all(verdict.passed for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """For ``demo --json``."""
        return {
            "schema_version": 1,
            "passed": self.passed,
            "folder": str(self.folder),
            "engines_agree": self.engines_agree,
            "latency": {name: asdict(found) for name, found in self.latencies.items()},
            "in_range": asdict(self.in_range),
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "conversion": self.conversion.to_json(),
        }

    def rows(self) -> list[tuple[str, str]]:
        """What the command prints."""
        found = self.in_range
        rows = [
            (
                "forecast in range",
                f"RMSE {found.rmse_float:.3f} float, {found.rmse_int8:.3f} int8, "
                f"{found.rmse_persistence:.3f} persistence "
                f"({found.windows} windows, {found.share:.0%} of the test set)",
            ),
            (
                "int8 - float in range",
                f"{found.logit_error:.2%} of the forecast's SD, RMSE ratio "
                f"{found.rmse_ratio:.3f}, SD = {found.sd_in_steps:.0f} output steps",
            ),
        ]
        for verdict in self.verdicts:
            timing = self.latencies[verdict.engine]
            word = "same bits as the golden" if verdict.passed else "DIFFERS from the golden"
            rows.append(
                (
                    verdict.engine,
                    f"{word}; p50 {timing.p50_us:.1f} µs a step, p99 {timing.p99_us:.1f} µs",
                )
            )
        rows.append(("folder", str(self.folder)))
        return rows


def run_demo(folder: Path, *, announce: Callable[[str], None]) -> Demo:
    """Run the line with the recipe ``stock`` and leave its files in ``folder``.

    ``announce`` is told which stage begins.
    """
    announce("train: LSTM(50) -> LSTM(50) -> Dense(1), 20 epochs on daily prices")
    training = train(recipe=_NAME, output=folder / f"{_NAME}.keras")
    announce("convert: int8 .tflite, C and golden")
    conversion = convert(training.model, training.calibration, output=folder, name=_NAME)

    tflite, golden = conversion.files["tflite"], conversion.files["golden"]
    test = read_sequences(training.test)
    runs: dict[str, Run] = {}
    verdicts = []
    for engine in _ENGINES:
        announce(f"run and verify: {engine}")
        runs[engine] = run_sequences(load(tflite, engine), test)
        verdicts.append(verify(tflite, golden, engine=engine))
    announce("run: keras (float)")
    real = run_keras(KerasEngine(training.model), test)

    network = load(tflite, "numpy").network
    integer = runs["native"]
    inside = in_range(network, test)
    raws = [run.raw for run in runs.values()]
    demo = Demo(
        folder=folder,
        training=training,
        conversion=conversion,
        verdicts=tuple(verdicts),
        latencies={name: found for name, run in runs.items() if (found := latency(run))},
        engines_agree=all(_equal(raws[0], raw) for raw in raws),
        in_range=_compare(
            real.output, integer.output, test, inside, float(network.output.scale[0])
        ),
        alarms=range_alarms(network, test, _integers(integer)),
    )
    from edge_lstm.demo_picture import draw

    picture = draw(test, real.output, integer.output, inside, runs)
    write_files({folder / f"{_NAME}.png": picture})
    return demo


def _compare(
    real: FloatArray,
    integer: FloatArray,
    test: Sequences,
    inside: npt.NDArray[np.bool_],
    step: float,
) -> InRange:
    naive = persistence(test)
    if test.y is None or naive is None:
        raise AssertionError("the recipe has labels and its target among the features")
    truth = test.y[inside]

    def rms(error: npt.NDArray[Any]) -> float:
        return float(np.sqrt(np.mean(error.astype(np.float64) ** 2))) if error.size else math.nan

    rmse_float, rmse_int8 = rms(real[inside] - truth), rms(integer[inside] - truth)
    deviation = float(real[inside].std())
    return InRange(
        windows=int(inside.sum()),
        share=float(inside.mean()),
        logit_error=rms(integer[inside] - real[inside]) / deviation,
        rmse_float=rmse_float,
        rmse_int8=rmse_int8,
        rmse_persistence=rms(naive[inside] - truth),
        rmse_ratio=rmse_int8 / rmse_float,
        sd_in_steps=deviation / step,
    )


def _integers(run: Run) -> npt.NDArray[np.int8]:
    if run.raw is None:
        raise AssertionError("integer engines answer integers")
    return run.raw


def _equal(a: npt.NDArray[np.int8] | None, b: npt.NDArray[np.int8] | None) -> bool:
    return a is not None and b is not None and bool(np.array_equal(a, b))
