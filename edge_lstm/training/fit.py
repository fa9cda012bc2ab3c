"""Building and fitting a Keras 3 model: stacked LSTMs, a Dense head, scaling as layers.

The saved model takes and gives physical units. While it learns, the inverse scaling at its
end is left out and the target scaled instead, so that the loss does not depend on the units.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from converters.keras_import import import_keras
from edge_lstm.training.datasets import Split

__all__ = ["Scaling", "Settings", "fit"]

Scaling = Literal["minmax", "standard", "none"]

# Keras lifts deviations below 1e-7 to that, and keeps variances in float32.
_SMALLEST_SPAN, _LARGEST_SPAN = 1e-6, 1e18


@dataclass(frozen=True)
class Settings:
    """Form of the model and course of the training: ``window`` rows of input, ``units`` of each
    LSTM from input to output. Raises InputError for what cannot be."""

    window: int
    units: tuple[int, ...]
    epochs: int
    batch_size: int
    scaling: Scaling
    seed: int

    def __post_init__(self) -> None:
        if not self.units:
            raise InputError("--units is missing; give the units of at least one LSTM")
        counts = {
            "--window": self.window,
            "--units": min(self.units),
            "--epochs": self.epochs,
            "--batch-size": self.batch_size,
        }
        for option, value in counts.items():
            if value < 1:
                raise InputError(f"{option} is {value}; it must be 1 or more")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed is {self.seed}; it must lie between 0 and {2**32 - 1}")
        if self.scaling not in get_args(Scaling):
            choices = ", ".join(get_args(Scaling))
            raise InputError(f"--scaling is '{self.scaling}'; choose one of {choices}")


@dataclass(frozen=True)
class _Affine:
    """``scaled = (physical - offset) / span`` for each column, float64 [columns]."""

    offset: npt.NDArray[np.float64]
    span: npt.NDArray[np.float64]


def fit(split: Split, settings: Settings) -> Any:
    """Train on the training part; a Keras model, float32 [N, window, F] → [N, 1], both in
    physical units.

    The same seed gives the same model on the same machine. Raises MissingToolError without
    TensorFlow, InputError where the training diverges or a column cannot be scaled.
    """
    features, target = split.training.feature_names, split.training.target_names
    feature_scaling = _scaling(split.feature_rows, features, settings.scaling)
    target_scaling = _scaling(split.target_rows, target, settings.scaling)
    y = np.asarray(split.training.y, np.float32)
    if target_scaling is not None:
        y = ((y - target_scaling.offset) / target_scaling.span).astype(np.float32)

    keras = import_keras()
    keras.utils.set_random_seed(settings.seed)
    layers = _layers(keras, split.training.features, feature_scaling, settings)
    scaled_model = keras.Sequential(layers)
    scaled_model.compile(optimizer="adam", loss="mean_squared_error")
    with _progress_bar(keras, settings.epochs) as callbacks:
        history = scaled_model.fit(
            split.training.x,
            y,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            callbacks=callbacks,
            verbose=0,
        )
    loss = history.history["loss"][-1]
    if not np.isfinite(loss):
        raise InputError(
            f"the training diverged (its loss is {loss}); use --scaling minmax or standard"
        )
    if target_scaling is None:
        return scaled_model
    return keras.Sequential(
        [*layers, _normalization(keras, target_scaling, "target_scaling", invert=True)]
    )


def _layers(keras: Any, features: int, scaling: _Affine | None, settings: Settings) -> list[Any]:
    layers = [keras.Input((settings.window, features), name="features")]
    if scaling is not None:
        layers.append(_normalization(keras, scaling, "feature_scaling", invert=False))
    last = len(settings.units)
    for number, units in enumerate(settings.units, start=1):
        layers.append(
            keras.layers.LSTM(units, return_sequences=number < last, name=f"lstm_{number}")
        )
    return [*layers, keras.layers.Dense(1, name="dense")]


def _normalization(keras: Any, scaling: _Affine, name: str, *, invert: bool) -> Any:
    return keras.layers.Normalization(
        mean=scaling.offset.tolist(),
        variance=np.square(scaling.span).tolist(),
        invert=invert,
        name=name,
    )


def _scaling(
    rows: npt.NDArray[np.float32], names: tuple[str, ...] | None, scaling: Scaling
) -> _Affine | None:
    """What brings the columns of rows, float32 [rows, columns], to 0…1 (minmax) or to mean 0
    and variance 1 (standard). A constant column keeps its units."""
    if scaling == "none":
        return None
    values = rows.astype(np.float64)
    lower, upper = values.min(axis=0), values.max(axis=0)
    if scaling == "minmax":
        offset, span = lower, upper - lower
    else:
        offset, span = values.mean(axis=0), values.std(axis=0)
    span = np.where(lower == upper, 1.0, span)
    for name, width in zip(names or (), span, strict=True):
        if not _SMALLEST_SPAN <= width <= _LARGEST_SPAN:
            raise InputError(
                f"column '{name}' spreads over {width:.3g} in the training part, which float32 "
                f"cannot scale; choose a unit that brings it between {_SMALLEST_SPAN:g} and "
                f"{_LARGEST_SPAN:g}"
            )
    return _Affine(offset, span)


@contextlib.contextmanager
def _progress_bar(keras: Any, epochs: int) -> Iterator[list[Any]]:
    """Callbacks that show epoch and loss on stderr; none off a terminal."""
    if not sys.stderr.isatty():
        yield []
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("training", total=epochs, loss="…")

        def show(epoch: int, logs: dict[str, float]) -> None:
            progress.update(task, completed=epoch + 1, loss=f"{logs['loss']:.4g}")

        yield [keras.callbacks.LambdaCallback(on_epoch_end=show)]
