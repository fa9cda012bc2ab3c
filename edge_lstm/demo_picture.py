"""The demo's picture: price and forecasts, and how long each engine takes for a step."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.errors import MissingToolError
from edge_lstm.harness.streaming import Run
from edge_lstm.sequences import Sequences

__all__ = ["draw"]

FloatArray = npt.NDArray[np.float32]

# Engines in fixed colours that also differ in lightness.
_COLOURS = {"native": "#1b6ca8", "litert": "#d1661e", "numpy": "#6a6a6a"}


def draw(
    test: Sequences,
    real: FloatArray,
    integer: FloatArray,
    inside: npt.NDArray[np.bool_],
    runs: Mapping[str, Run],
) -> bytes:
    """A PNG: the true target with the float and int8 forecasts, the windows that lie in the
    calibrated range shaded, the difference below, and histograms of the engines' latency."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingToolError(
            "the picture needs matplotlib: pip install 'edge-lstm[examples]'"
        ) from error
    figure = Figure(figsize=(11, 9), layout="constrained", dpi=120)
    price, difference, times = figure.subplots(
        3, 1, height_ratios=(3, 1.2, 1.6), gridspec_kw={"hspace": 0.08}
    )
    _draw_price(price, test, real, integer, inside)
    _draw_difference(difference, real, integer, inside)
    _draw_times(times, runs)
    difference.sharex(price)
    content = io.BytesIO()
    # No Software entry: the same figures give the same bytes under any matplotlib release.
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _draw_price(
    axes: Any,
    test: Sequences,
    real: FloatArray,
    integer: FloatArray,
    inside: npt.NDArray[np.bool_],
) -> None:
    label = test.target_names[0] if test.target_names else "target"
    if test.y is not None:
        axes.plot(test.y[:, 0], color="#222222", linewidth=1.6, label=label)
    axes.plot(real[:, 0], color="#1b6ca8", linewidth=1.2, label="float (Keras)")
    axes.plot(integer[:, 0], color="#d1661e", linewidth=1.2, linestyle="--", label="int8")
    _shade(axes, inside, label="in the calibrated range")
    axes.set_title("Next-day forecast on the test part, each day from the 60 before it")
    axes.set_ylabel("US$")
    axes.legend(loc="upper left", frameon=False)


def _draw_difference(
    axes: Any, real: FloatArray, integer: FloatArray, inside: npt.NDArray[np.bool_]
) -> None:
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.plot(integer[:, 0] - real[:, 0], color="#d1661e", linewidth=1)
    _shade(axes, inside)
    axes.set_ylabel("int8 - float, US$")
    axes.set_xlabel("test day")


def _draw_times(axes: Any, runs: Mapping[str, Run]) -> None:
    microseconds = {name: run.latencies / 1e3 for name, run in runs.items()}
    lowest = min(float(times.min()) for times in microseconds.values())
    highest = max(float(np.percentile(times, 99.9)) for times in microseconds.values())
    bins = np.geomspace(lowest * 0.9, highest * 1.1, 120)
    for name, times in microseconds.items():
        median = float(np.median(times))
        axes.hist(
            times,
            bins=bins,
            density=False,
            weights=np.full(len(times), 100 / len(times)),
            color=_COLOURS[name],
            alpha=0.75,
            label=f"{name}: median {median:.1f} µs",
        )
    axes.set_xscale("log")
    axes.set_xlabel("latency of a step on this machine, called from Python, µs")
    axes.set_ylabel("% of steps")
    axes.legend(frameon=False)


def _shade(axes: Any, inside: npt.NDArray[np.bool_], label: str | None = None) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        axes.axvspan(start - 0.5, end - 0.5, color="#e8f0e4", zorder=0, label=label)
        label = None
