"""Fixtures shared by the tests: random networks, Keras models, required tools."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from converters.keras_import import import_keras
from edge_lstm.conversion import convert
from edge_lstm.conversion_report import ConversionReport


@pytest.fixture(scope="session", autouse=True)
def _compiled_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Compile into a folder of this run, so that no earlier build hides a broken one."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras 3, with what its import warns about kept out of the tests."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_keras()


def require_tool(name: str) -> str:
    """Path of a tool. Where it is missing, CI fails and a developer's run skips."""
    path = shutil.which(name)
    if path is None:
        _missing(name)
    return path


def require_header(name: str) -> None:
    """The same for a library's header."""
    if not Path("/usr/include", name).is_file():
        _missing(name)


def _missing(name: str) -> NoReturn:
    message = f"{name} is not installed (tools/install_system_packages.sh installs it)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def save_calibration(path: Path, x: np.ndarray, **arrays: np.ndarray) -> Path:
    np.savez(path, x=x.astype(np.float32), **arrays)
    return path


@pytest.fixture(scope="session")
def seed_files(tmp_path_factory: pytest.TempPathFactory, keras: Any) -> tuple[Path, Path]:
    """The seed's model, batch None, trained a little on sines, and its calibration data."""
    folder = tmp_path_factory.mktemp("seed")
    layers = keras.layers
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((60, 1)),
            layers.Normalization(mean=[200.0], variance=[180.0**2]),
            layers.LSTM(50, return_sequences=True, name="lstm"),
            layers.LSTM(50, name="lstm_1"),
            layers.Dense(1, name="dense"),
            layers.Normalization(mean=[200.0], variance=[180.0**2], invert=True),
        ]
    )
    phase = np.linspace(0, 40, 640)[:, None]
    wave = (200 + 180 * np.sin(np.arange(61) / 9 + phase)).astype(np.float32)
    x, y = wave[:, :60, None], wave[:, 60:]
    model.compile("adam", "mse")
    model.fit(x, y, epochs=6, batch_size=32, verbose=0)
    model.save(folder / "seed.keras")
    return folder / "seed.keras", save_calibration(folder / "calibration.npz", x[::8], y=y[::8])


@pytest.fixture(scope="session")
def seed_stream(
    seed_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> ConversionReport:
    model, calibration = seed_files
    return convert(model, calibration, output=tmp_path_factory.mktemp("stream"))


@pytest.fixture(scope="session")
def seed_window(
    seed_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> ConversionReport:
    model, calibration = seed_files
    return convert(model, calibration, output=tmp_path_factory.mktemp("window"), form="window")
