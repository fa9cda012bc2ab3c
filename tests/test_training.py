"""Training: what the model takes and gives, how it is scored, recipes, refusals."""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from converters.errors import InputError, MissingToolError
from converters.keras_reader import load_keras_model
from edge_lstm.cli.train import command
from edge_lstm.sequences import read_sequences
from edge_lstm.training.datasets import Table, split_windows
from edge_lstm.training.fit import Scaling, Settings, fit
from edge_lstm.training.recipes import RECIPES, find_recipe
from edge_lstm.training.train import train
from tests.tables import TINY, csv_file, needs_keras, run, settings, table


class TestFit:
    def test_scaling_is_taken_from_the_training_part(self) -> None:
        data = table()
        other = Table(data.names, data.values.copy(), data.source)
        other.values[32:] *= 50
        models = [
            fit(split_windows(each, "price", ("price", "load"), 5), settings())
            for each in (data, other)
        ]
        first, second = (self.normalizations(model) for model in models)
        assert first == second
        for mine, theirs in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_array_equal(mine, theirs)

    def test_minmax_and_standard_layers(self) -> None:
        split = split_windows(table(), "price", ("price", "fixed"), 5)
        rows = split.feature_rows.astype(np.float64)
        spans = [np.ptp(rows[:, 0]), 1.0]  # a constant column keeps its units
        deviations = [rows[:, 0].std(), 1.0]
        expected: dict[Scaling, Any] = {
            "minmax": (rows.min(axis=0), spans),
            "standard": (rows.mean(axis=0), deviations),
        }
        for scaling, (offsets, widths) in expected.items():
            features, target = self.normalizations(fit(split, settings(scaling)))
            np.testing.assert_allclose(features[0], offsets, rtol=1e-6)
            np.testing.assert_allclose(features[1], np.square(widths), rtol=1e-6)
            np.testing.assert_allclose(target[0], offsets[:1], rtol=1e-6)
            np.testing.assert_allclose(target[1], np.square(widths[:1]), rtol=1e-6)

    def test_layers(self) -> None:
        split = split_windows(table(), "price", ("price", "load"), 5)
        model = fit(split, Settings(5, (3, 2), 1, 8, "minmax", 0))
        names = ["feature_scaling", "lstm_1", "lstm_2", "dense", "target_scaling"]
        assert [layer.name for layer in model.layers] == names
        assert model.input_shape == (None, 5, 2)
        assert model.output_shape == (None, 1)
        assert [model.layers[i].return_sequences for i in (1, 2)] == [True, False]
        bare = fit(split, settings("none"))
        assert [layer.name for layer in bare.layers] == ["lstm_1", "dense"]

    def test_model_speaks_physical_units(self) -> None:
        # The same prices in another unit: the answers change by that unit and by nothing else.
        data = table(60)
        cents = Table(data.names, data.values * np.float32(128), data.source)
        answers = []
        for each in (data, cents):
            split = split_windows(each, "price", ("price",), 5)
            model = fit(split, settings(epochs=2))
            answers.append(model.predict(split.test.x, verbose=0))
        assert 80 < answers[0].mean() < 120
        np.testing.assert_allclose(answers[1], answers[0] * 128, rtol=1e-5)

    def test_model_learns(self) -> None:
        # The next value of a sine is a function of the last two; persistence lags behind.
        wave = 20 + 5 * np.sin(np.arange(400) * 0.7)
        split = split_windows(
            Table(("wave",), wave.astype(np.float32)[:, None], "t"), "wave", ("wave",), 4
        )
        model = fit(split, Settings(4, (8,), 25, 16, "standard", 0))
        error = model.predict(split.test.x, verbose=0) - split.test.y
        assert np.sqrt(np.mean(error**2)) < 0.5

    def test_the_seed_decides(self) -> None:
        split = split_windows(table(), "price", ("price",), 5)
        first, again = (fit(split, settings()).get_weights() for _ in range(2))
        other = fit(split, Settings(5, (2,), 1, 8, "minmax", seed=4)).get_weights()
        np.testing.assert_array_equal(first[-2], again[-2])
        assert not np.array_equal(first[-2], other[-2])

    def test_divergence_is_an_error(self) -> None:
        huge = Table(("a",), np.full((40, 1), 1e30, np.float32), "t")
        with pytest.raises(InputError, match=r"the training diverged .*use --scaling minmax"):
            fit(split_windows(huge, "a", ("a",), 5), settings("none"))

    def test_spread_that_float32_cannot_scale(self) -> None:
        values = np.arange(40, dtype=np.float32)[:, None] * np.float32(1e-12)
        split = split_windows(Table(("tiny",), values, "t"), "tiny", ("tiny",), 5)
        with pytest.raises(InputError, match=r"column 'tiny' spreads over 3.1e-11"):
            fit(split, settings())

    @staticmethod
    def normalizations(model: Any) -> list[tuple[list[float], list[float]]]:
        layers = [layer for layer in model.layers if layer.name.endswith("_scaling")]
        assert len(layers) == 2
        return [
            (np.ravel(layer.mean).tolist(), np.ravel(layer.variance).tolist()) for layer in layers
        ]


class TestSettings:
    @pytest.mark.parametrize(
        ("option", "value"),
        [("--window", 0), ("--units", 0), ("--epochs", 0), ("--batch-size", -1), ("--seed", -1)],
    )
    def test_numbers_out_of_range(self, tmp_path: Path, option: str, value: int) -> None:
        data = csv_file(tmp_path, table())
        result = run(data, "--target", "price", option, value, "-o", tmp_path / "m.keras")
        assert_refused(result, tmp_path, f"{option} is {value}")

    def test_python_callers_are_checked_too(self) -> None:
        with pytest.raises(InputError, match="--units is missing"):
            Settings(5, (), 1, 8, "minmax", 0)
        with pytest.raises(InputError, match="choose one of minmax, standard, none"):
            Settings(5, (2,), 1, 8, "log", 0)  # type: ignore[arg-type]


class TestTrain:
    @needs_keras
    def test_files_and_numbers(self, tmp_path: Path) -> None:
        data = table(50)
        output = tmp_path / "new" / "model.keras"
        result = run(
            csv_file(tmp_path, data), "--target", "price", "--feature", "load", "--feature",
            "price", *TINY, "-o", output, "--json", "-",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        report = json.loads(result.stdout)
        assert result.stderr == ""

        names = {"model.keras", "model_calibration.npz", "model_test.npz"}
        assert {path.name for path in output.parent.iterdir()} == names
        assert report["model"] == str(output)
        sizes = [report[f"{part}_windows"] for part in ("training", "calibration", "test")]
        assert sizes == [35, 35, 10]
        assert report["rows"] == 50

        split = split_windows(data, "price", ("load", "price"), 5)
        test = read_sequences(Path(report["test"]))
        calibration = read_sequences(Path(report["calibration"]))
        np.testing.assert_array_equal(test.x, split.test.x)
        np.testing.assert_array_equal(calibration.x, split.training.x)
        np.testing.assert_array_equal(calibration.y, split.training.y)
        assert calibration.feature_names == ("load", "price")
        assert calibration.target_names == ("price",)
        assert np.asarray(calibration.y).dtype == np.float32

        # Persistence by hand: each test row's price less that of the row before.
        price = data.values[:, 0].astype(np.float64)
        by_hand = np.sqrt(np.mean((price[40:] - price[39:-1]) ** 2))
        assert report["persistence_rmse"] == pytest.approx(by_hand, rel=1e-6)
        error = load_keras_model(output).predict(test.x, verbose=0) - test.y
        assert report["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
        assert report["skill"] == pytest.approx(1 - report["rmse"] / by_hand, rel=1e-5)

    @needs_keras
    def test_table_says_what_persistence_does(self, tmp_path: Path) -> None:
        data = csv_file(tmp_path, table())
        result = run(data, "--target", "price", *TINY, "-o", tmp_path / "m.keras")
        assert result.exit_code == 0, result.stderr
        assert "test, persistence  RMSE " in result.stdout
        assert "no better than persistence (skill -" in result.stdout
        assert result.stderr == ""

    @needs_keras
    def test_a_target_that_does_not_change(self, tmp_path: Path) -> None:
        data = csv_file(tmp_path, table())
        report = train(
            data, target="fixed", output=tmp_path / "m.keras", window=5, units=[2], epochs=1
        )
        assert report.persistence_rmse == 0
        assert report.skill is None
        assert np.isfinite(report.rmse)

    def test_defaults_of_the_command_are_those_of_the_function(self) -> None:
        parameters = inspect.signature(train).parameters
        given = command.make_context("train", ["x.csv", "-o", "m.keras"]).params
        for name in set(given) - {"data", "output", "json_path"}:
            assert given[name] == parameters[name].default, name

    def test_missing_keras_names_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        monkeypatch.setattr(sys, "meta_path", [_NoKeras(), *sys.meta_path])
        data = csv_file(tmp_path, table())
        result = run(data, "--target", "price", *TINY, "-o", tmp_path / "m.keras")
        assert_refused(result, tmp_path, "pip install 'edge-lstm[train]'", exit_code=3)


class _NoKeras(importlib.abc.MetaPathFinder):
    """Makes this Python one without Keras."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "keras":
            raise ModuleNotFoundError("No module named 'keras'", name="keras")


class TestRecipes:
    def test_stock(self) -> None:
        recipe = find_recipe("stock")
        prices = recipe.load()
        assert prices.names == (recipe.target,) == ("adj_close",)
        assert prices.values.shape == (3270, 1)
        assert prices.values.dtype == np.float32
        # What the recipe was chosen for: partly inside, partly beyond the training range.
        split = split_windows(prices, "adj_close", ("adj_close",), 60, recipe.training_share)
        seen = np.concatenate([split.test.x[..., 0], np.asarray(split.test.y)], axis=1)
        inside = (seen >= split.target_rows.min()) & (seen <= split.target_rows.max())
        assert inside.all(axis=1).mean() == pytest.approx(0.302, abs=1e-3)

    def test_licence_is_told(self) -> None:
        assert "public domain" in str(RECIPES["stock"])
        assert "Quandl WIKI" in str(RECIPES["stock"])

    @needs_keras
    def test_trains_without_a_target(self, tmp_path: Path) -> None:
        result = run("--recipe", "stock", *TINY, "-o", tmp_path / "stock.keras")
        assert result.exit_code == 0, result.stderr
        assert "adj_close one row ahead" in result.stdout
        # The recipe's own share of the 3,270 rows trains: 1,962, of which 5 begin no window.
        assert "1,957 for training, 1,308 for the test" in result.stdout

    def test_missing_package_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "bokeh_sampledata", None)
        with pytest.raises(MissingToolError, match=r"pip install 'edge-lstm\[examples\]'"):
            find_recipe("stock").load()

    def test_unknown_recipe_and_column(self, tmp_path: Path) -> None:
        output = tmp_path / "m.keras"
        assert_refused(run("--recipe", "soup", "-o", output), tmp_path, "choose one of stock")
        result = run("--recipe", "stock", "--target", "close", "-o", output)
        assert_refused(result, tmp_path, "no column 'close'; its columns are 'adj_close'")


class TestBadInput:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        return csv_file(tmp_path, table())

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--target", "prise"], "has no column 'prise'; its columns are 'day', 'price'"),
            (["--target", "price", "--feature", "lode"], "has no column 'lode'"),
            (["--target", "day"], "line 2: column 'day' holds 'day 0', not a finite number"),
            (["--target", "price", "--window", "60"], "has 40 rows, a window of 60 needs at least"),
            (["--target", "price", "--feature", "load", "--feature", "load"], "--feature twice"),
            ([], "--target is missing"),
            (["--target", "price", "--recipe", "stock"], "leave one of them out"),
        ],
    )
    def test_refused(self, data: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
        assert_refused(run(data, *arguments, "-o", tmp_path / "m.keras"), tmp_path, message)

    def test_neither_file_nor_recipe(self, tmp_path: Path) -> None:
        result = run("--target", "price", "-o", tmp_path / "m.keras")
        assert_refused(result, tmp_path, "there is nothing to train on")

    def test_missing_file(self, tmp_path: Path) -> None:
        result = run(tmp_path / "no.csv", "--target", "price", "-o", tmp_path / "m.keras")
        assert_refused(result, tmp_path, "no.csv': No such file or directory")

    def test_folder_that_cannot_be_written(self, data: Path, tmp_path: Path) -> None:
        result = run(data, "--target", "price", *TINY, "-o", data / "sub" / "m.keras")
        assert_refused(result, tmp_path, "choose another --output")

    def test_name_of_the_model(self, data: Path, tmp_path: Path) -> None:
        result = run(data, "--target", "price", *TINY, "-o", tmp_path / "model.h5")
        assert_refused(result, tmp_path, "must be named NAME.keras")

    @needs_keras
    def test_a_failed_write_leaves_nothing(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "m_test.npz").mkdir()
        result = run(data, "--target", "price", *TINY, "-o", tmp_path / "m.keras")
        assert_refused(result, tmp_path, "cannot write", left={"m_test.npz"})


def assert_refused(
    result: Result,
    folder: Path,
    message: str,
    *,
    exit_code: int = 2,
    left: Set[str] = frozenset(),
) -> None:
    """One sentence on stderr, the exit code, and no file but the data."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert {path.name for path in folder.iterdir()} <= {"data.csv", *left}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("edge_lstm.cli.train", "numpy keras tensorflow"),
        ("edge_lstm.training.train", "keras tensorflow bokeh_sampledata"),
    ],
)
def test_modules_import_nothing_heavy(module: str, absent: str) -> None:
    code = f"import sys, {module}; print(*set('{absent}'.split()) & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == ""
