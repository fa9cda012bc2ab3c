"""Small tables to train on, and the training command."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_lstm.cli.main import cli
from edge_lstm.training.datasets import Table
from edge_lstm.training.fit import Scaling, Settings


def table(rows: int = 40, *, seed: int = 0) -> Table:
    """Prices that wander, loads that do not, and a constant."""
    random = np.random.default_rng(seed)
    values = np.stack(
        [100 + random.normal(size=rows).cumsum(), random.normal(size=rows), np.full(rows, 7.0)],
        axis=1,
    )
    return Table(("price", "load", "fixed"), values.astype(np.float32), "the table")


def csv_file(folder: Path, data: Table) -> Path:
    path = folder / "data.csv"
    lines = [",".join(["day", *data.names])]
    lines += [
        ",".join([f"day {day}", *(repr(float(value)) for value in row)])
        for day, row in enumerate(data.values)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def settings(scaling: Scaling = "minmax", *, epochs: int = 1, window: int = 5) -> Settings:
    return Settings(window, (2,), epochs, 8, scaling, seed=3)


def run(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(cli, ["train", *map(str, arguments)])


# Where CI runs, TensorFlow has to be there.
needs_keras = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None and not os.environ.get("CI"),
    reason="TensorFlow is not installed",
)

TINY = ("--window", "5", "--units", "2", "--epochs", "1", "--batch-size", "8")
