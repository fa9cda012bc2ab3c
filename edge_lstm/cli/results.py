"""The rows that ``run`` and ``verify`` print."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_lstm.engines.protocol import DeviceFigures
    from edge_lstm.harness.metrics import Latency, Score
    from edge_lstm.harness.prediction import Prediction
    from edge_lstm.harness.verdict import Verdict

__all__ = ["run_rows", "verdict_json", "verdict_rows"]

_NAMES = {
    "max_lsb": "distance from golden (LSB)",
    "max_p99_us": "p99 latency (µs)",
    "max_rmse": "RMSE",
    "min_accuracy": "accuracy",
}


def run_rows(result: Prediction) -> list[tuple[str, str]]:
    """Rows of ``run``."""
    run = result.run
    rows = [
        ("engine", f"{run.engine} ({run.description})"),
        ("data", f"{result.sequences:,} sequences, {run.steps:,} steps"),
    ]
    if result.latency is None:
        rows.append(("time", f"{run.seconds:.2f} s for the whole batch"))
    rows += _device_rows(run.device)
    return rows + _latency_rows(result.latency) + _score_rows(result.score)


def verdict_rows(verdict: Verdict) -> list[tuple[str, str]]:
    """Rows of ``verify``, the verdict last."""
    rows = [
        ("engine", f"{verdict.engine} ({verdict.description})"),
        ("golden", f"{verdict.sequences:,} sequences"),
    ]
    agreed = verdict.agreement
    if agreed is not None:
        rows.append(
            (
                "agreement",
                f"{agreed.values - agreed.mismatches:,} of {agreed.values:,} values equal, "
                f"largest distance {agreed.max_lsb} LSB",
            )
        )
    rows.append(("against float", f"RMS {verdict.float_rmse:.4g}"))
    if verdict.diagnosis is not None:
        rows.append(("diagnosis", verdict.diagnosis))
    rows += _device_rows(verdict.device)
    rows += _latency_rows(verdict.latency) + _score_rows(verdict.score)
    for check in verdict.checks:
        word = "kept" if check.passed else "MISSED"
        rows.append((_NAMES[check.name], f"{check.found:.6g}, budget {check.limit:g}: {word}"))
    rows.append(("verdict", "passed" if verdict.passed else "FAILED"))
    return rows


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """For ``verify --json`` and ``deploy --json``."""
    return {"schema_version": 1, "passed": verdict.passed, **dataclasses.asdict(verdict)}


def _device_rows(device: DeviceFigures | None) -> list[tuple[str, str]]:
    if device is None:
        return []
    rows = []
    if device.ticks is not None:
        least, mean, most = device.ticks
        rows.append(
            (
                "model on device",
                f"{least:,} to {most:,} ticks a call, mean {mean:,.0f} "
                f"({device.ticks_per_second:,} ticks a second)",
            )
        )
    if device.stack_room:
        rows += [
            ("firmware", f"{device.flash_used:,} bytes flash, {device.static_ram:,} static RAM"),
            ("stack", f"{device.stack_used:,} of {device.stack_room:,} bytes used"),
        ]
    if device.sent_again:
        rows.append(("line", f"{device.sent_again:,} commands were lost or late and sent again"))
    return rows


def _latency_rows(timing: Latency | None) -> list[tuple[str, str]]:
    if timing is None:
        return []
    return [
        (
            "latency a call",
            f"p50 {timing.p50_us:.1f}  p90 {timing.p90_us:.1f}  p99 {timing.p99_us:.1f}  "
            f"max {timing.max_us:.1f} µs ({timing.calls:,} calls from Python)",
        ),
        ("throughput", f"{timing.steps_per_second:,.0f} steps/s"),
    ]


def _score_rows(scored: Score | None) -> list[tuple[str, str]]:
    if scored is None:
        return []
    if scored.accuracy is not None:
        return [("accuracy", f"{scored.accuracy:.4f}")]
    rows = [("error against y", f"RMSE {scored.rmse:.4g}, MAE {scored.mae:.4g}")]
    if scored.persistence_rmse is not None and scored.skill is not None:
        better = "better than" if scored.skill > 0 else "no better than"
        rows.append(
            (
                "persistence",
                f"RMSE {scored.persistence_rmse:.4g}: the model is {better} repeating the last "
                f"value (skill {scored.skill:+.3f})",
            )
        )
    return rows
