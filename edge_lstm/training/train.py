"""From a table to a trained Keras model, the data to calibrate it with and an honest score."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from converters.keras_reader import predict
from edge_lstm.files import write_files
from edge_lstm.sequences import pack_arrays
from edge_lstm.training.datasets import (
    TRAINING_SHARE,
    Table,
    calibration_windows,
    read_csv,
    split_windows,
)
from edge_lstm.training.fit import Scaling, Settings, fit
from edge_lstm.training.recipes import RECIPES, find_recipe

__all__ = ["TrainingReport", "train"]


@dataclass(frozen=True)
class TrainingReport:
    """What a training made.

    ``rows`` of the table, and the windows of each part. ``rmse`` is the model's on the test
    part, ``persistence_rmse`` that of repeating the last seen target, both in the target's
    physical units; ``skill`` = 1 - rmse / persistence_rmse, None where persistence is exact.
    """

    model: Path
    calibration: Path
    test: Path
    source: str
    target: str
    features: tuple[str, ...]
    rows: int
    training_windows: int
    calibration_windows: int
    test_windows: int
    rmse: float
    persistence_rmse: float
    skill: float | None


def train(
    data: str | Path | None = None,
    *,
    output: str | Path,
    recipe: str | None = None,
    target: str | None = None,
    features: Sequence[str] = (),
    window: int = 60,
    units: Sequence[int] = (50, 50),
    epochs: int = 20,
    batch_size: int = 32,
    scaling: Scaling = "minmax",
    seed: int = 0,
) -> TrainingReport:
    """Train an LSTM that predicts ``target`` one row ahead from ``window`` rows of ``features``
    (default: the target alone), on a CSV file or a recipe.

    Writes the Keras model to ``output`` (NAME.keras) and beside it NAME_calibration.npz and
    NAME_test.npz, all or none. Raises InputError for what cannot be read, used or written,
    MissingToolError without TensorFlow or a recipe's package.
    """
    settings = Settings(window, tuple(units), epochs, batch_size, scaling, seed)
    model_path, calibration_path, test_path = _output_paths(Path(output))
    table, source, target, share = _load(data, recipe, target, features)
    split = split_windows(table, target, features or (target,), window, share)

    model = fit(split, settings)
    calibration = calibration_windows(split.training)
    rmse = _rmse(predict(model, split.test.x, split.test.lengths), split.test.y)
    persistence_rmse = _rmse(split.last_seen, split.test.y)
    write_files(
        {
            model_path: _model_bytes(model),
            calibration_path: pack_arrays(calibration.arrays()),
            test_path: pack_arrays(split.test.arrays()),
        }
    )
    return TrainingReport(
        model=model_path,
        calibration=calibration_path,
        test=test_path,
        source=source,
        target=target,
        features=tuple(features) or (target,),
        rows=len(table.values),
        training_windows=len(split.training),
        calibration_windows=len(calibration),
        test_windows=len(split.test),
        rmse=rmse,
        persistence_rmse=persistence_rmse,
        skill=1 - rmse / persistence_rmse if persistence_rmse else None,
    )


def _load(
    data: str | Path | None, recipe: str | None, target: str | None, features: Sequence[str]
) -> tuple[Table, str, str, float]:
    """The table, where it is from, the column to predict and the training part's share."""
    if data is not None and recipe is not None:
        raise InputError(f"both '{data}' and --recipe {recipe} are given; leave one of them out")
    if recipe is not None:
        found = find_recipe(recipe)
        return found.load(), str(found), target or found.target, found.training_share
    if data is None:
        raise InputError(
            f"there is nothing to train on; name a CSV file or a --recipe ({', '.join(RECIPES)})"
        )
    if target is None:
        raise InputError("--target is missing; name the column of the CSV file to predict")
    columns = dict.fromkeys((target, *features))
    return read_csv(Path(data), tuple(columns)), str(data), target, TRAINING_SHARE


def _output_paths(model: Path) -> tuple[Path, Path, Path]:
    """Model, calibration and test file. What cannot be written is refused here, before a long
    training and not after it."""
    if model.suffix != ".keras":
        raise InputError(f"the model '{model}' must be named NAME.keras; change --output")
    existing = model.parent
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise InputError(f"cannot write to '{existing}'; choose another --output")
    calibration, test = (
        model.with_name(f"{model.stem}_{part}.npz") for part in ("calibration", "test")
    )
    return model, calibration, test


def _model_bytes(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _rmse(forecast: npt.NDArray[Any], truth: npt.NDArray[Any] | None) -> float:
    error = np.asarray(forecast, np.float64) - np.asarray(truth, np.float64)
    return float(np.sqrt(np.mean(np.square(error))))
