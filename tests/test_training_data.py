"""What is read from CSV, how it is split into windows, and which of them calibrate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.errors import InputError
from edge_lstm.sequences import Sequences
from edge_lstm.training.datasets import Split, Table, calibration_windows, read_csv, split_windows
from tests.tables import needs_keras, table


class TestSplit:
    @pytest.fixture
    def data(self) -> Table:
        return table()

    @pytest.fixture
    def split(self, data: Table) -> Split:
        return split_windows(data, "price", ("load", "price"), 5)

    def test_every_window_is_followed_by_its_target(self, data: Table, split: Split) -> None:
        x = np.concatenate([split.training.x, split.test.x])
        y = np.concatenate([np.asarray(split.training.y), np.asarray(split.test.y)])
        assert x.shape == (35, 5, 2)
        assert y.shape == (35, 1)
        assert x.dtype == y.dtype == np.float32
        for start in range(35):
            np.testing.assert_array_equal(x[start], data.values[start : start + 5, [1, 0]])
            assert y[start, 0] == data.values[start + 5, 0]

    def test_the_first_80_percent_train(self, data: Table, split: Split) -> None:
        # 32 rows train: the last training target is row 31, the first test target row 32.
        assert (len(split.training), len(split.test)) == (27, 8)
        assert np.asarray(split.training.y)[-1, 0] == data.values[31, 0]
        assert np.asarray(split.test.y)[0, 0] == data.values[32, 0]
        np.testing.assert_array_equal(split.feature_rows, data.values[:32, [1, 0]])
        np.testing.assert_array_equal(split.target_rows, data.values[:32, [0]])

    def test_persistence_repeats_the_row_before(self, data: Table) -> None:
        split = split_windows(data, "price", ("load",), 5)
        np.testing.assert_array_equal(split.last_seen, data.values[31:39, [0]])

    def test_names_go_along(self, split: Split) -> None:
        assert split.test.feature_names == ("load", "price")
        assert split.test.target_names == ("price",)

    def test_the_smallest_table(self) -> None:
        split = split_windows(table(8), "price", ("price",), 5)
        assert (len(split.training), len(split.test)) == (1, 2)
        with pytest.raises(InputError, match="has 7 rows, a window of 5 needs at least 8"):
            split_windows(table(7), "price", ("price",), 5)


class TestCalibrationWindows:
    def test_all_of_a_small_training_part(self) -> None:
        training = split_windows(table(), "price", ("price",), 5).training
        np.testing.assert_array_equal(calibration_windows(training).x, training.x)

    def test_evenly_spaced_and_every_extreme(self) -> None:
        training = self.training(spikes={1003: 9.0, 2222: -9.0})
        starts = self.starts(calibration_windows(training))
        count = len(training)
        assert count == 3994
        assert {0, count - 1} <= starts
        assert set(range(997, 1004)) <= starts  # row 1003 as the target, then among the inputs
        assert set(range(2216, 2223)) <= starts
        assert 400 <= len(starts) <= 414
        assert np.diff(sorted(starts)).max() <= 11

    def test_extremes_at_both_ends(self) -> None:
        values = np.full((1000, 1), 5, np.float32)
        values[0], values[799] = 1, 9
        training = split_windows(Table(("a",), values, "t"), "a", ("a",), 6).training
        picked = calibration_windows(training)
        assert picked.x[0, 0, 0] == 1
        assert np.asarray(picked.y)[-1, 0] == 9
        assert 400 <= len(picked) <= 406

    def test_extreme_of_a_target_that_is_no_feature(self) -> None:
        training = self.training(spikes={1003: 9.0, 2222: -9.0}, features=("row",))
        starts = self.starts(calibration_windows(training), row=0)
        assert {997, 2216} <= starts

    def test_labels_belong_to_their_windows(self) -> None:
        picked = calibration_windows(self.training(spikes={1003: 9.0}))
        spike = sorted(self.starts(picked)).index(997)
        assert np.asarray(picked.y)[spike, 0] == 9.0
        assert (np.asarray(picked.y) == 9.0).sum() == 1

    @staticmethod
    def training(
        spikes: dict[int, float], features: tuple[str, ...] = ("price", "row")
    ) -> Sequences:
        rows = np.arange(5000)
        price = np.sin(rows)
        price[list(spikes)] = list(spikes.values())
        values = np.stack([price, rows], axis=1).astype(np.float32)
        return split_windows(Table(("price", "row"), values, "t"), "price", features, 6).training

    @staticmethod
    def starts(windows: Sequences, row: int = 1) -> set[int]:
        return set(windows.x[:, 0, row].astype(int).tolist())


@needs_keras
class TestReadCsv:
    def read(self, folder: Path, text: str, *columns: str) -> Table:
        path = folder / "t.csv"
        path.write_bytes(text.encode())
        return read_csv(path, columns or ("a", "b"))

    @pytest.mark.parametrize(
        "text",
        [
            "a,b\n1,2\n3,4\n",
            "a,b\r\n1,2\r\n3,4",
            "\ufeffa,b\n1,2\n3,4\n\n\n",
            '"b", a ,text\n 2,"1",x\n4, 3,"y, z"\n,,\n',
            "a,b\n1e0,+2.\n 3 ,4\n",
        ],
        ids=["plain", "crlf", "bom", "quoted", "numbers"],
    )
    def test_dialects(self, tmp_path: Path, text: str) -> None:
        read = self.read(tmp_path, text)
        np.testing.assert_array_equal(read.values, [[1, 2], [3, 4]])
        assert read.values.dtype == np.float32

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,c\n1,2\n", "has no column 'b'; its columns are 'a', 'c'"),
            ("a,b,a\n1,2,3\n", "has 2 columns named 'a'"),
            ("1,2\n3,4\n", "begins with numbers; put a line with the names"),
            ("", "is empty; its first line must name"),
            ("\n\n", "is empty; its first line must name"),
            ("a,b\n1,2\n3,soup\n", "line 3: column 'b' holds 'soup', not a finite number"),
            ("a,b\n1,nan\n", "line 2: column 'b' holds 'nan', not a finite number"),
            ("a,b\n-inf,1\n", "line 2: column 'a' holds '-inf', not a finite number"),
            ("a,b\n1,1e39\n", "line 2: column 'b' holds '1e39', not a finite number"),
            ("a,b\n1,\n", "line 2: column 'b' is empty"),
            ("a,b\n1,2\n\n3,4\n", "line 3 is empty"),
            ("a,b\n1,2\n3\n", "line 3 has 1 cells, the first line has 2"),
            ("a,b\n1,2,3\n", "line 2 has 3 cells, the first line has 2"),
            ('a,b\n1,2\n3,"4\n5,6\n', "is not CSV: unexpected end of data"),
        ],
    )
    def test_bad_files(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError) as caught:
            self.read(tmp_path, text)
        assert str(caught.value).startswith(f"'{tmp_path / 't.csv'}' ")
        assert message in str(caught.value)

    def test_other_columns_may_hold_anything(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "day,a,,\nMon,1,,x\n", "a").values.tolist() == [[1]]

    def test_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_bytes(b"a,b\n\xff,1\n")
        with pytest.raises(InputError, match="is not UTF-8 text"):
            read_csv(path, ["a"])
