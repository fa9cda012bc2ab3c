"""Tables of numbers, read from CSV or a recipe, and the windows that a model learns from.

The split is chronological: the first rows, 80 % unless a recipe has another share, are the
training part, and no window of it looks beyond them.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from edge_lstm.files import read_bytes
from edge_lstm.sequences import Sequences

__all__ = ["TRAINING_SHARE", "Split", "Table", "calibration_windows", "read_csv", "split_windows"]

FloatArray = npt.NDArray[np.float32]

# Enough windows to meet every state of the model, few enough for a conversion in seconds.
_CALIBRATION_WINDOWS = 400

TRAINING_SHARE = 0.8

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Table:
    """Columns of numbers in physical units: values, float32 [rows, columns], oldest row first.

    ``source`` names the table in messages.
    """

    names: tuple[str, ...]
    values: FloatArray
    source: str


@dataclass(frozen=True)
class Split:
    """The windows of both parts, and the rows of the training part that scaling is taken from.

    training, test: x float32 [N, window, F] (read-only views of the table), y float32 [N, 1],
    the target of the row after each window. feature_rows: float32 [rows, F]; target_rows:
    float32 [rows, 1]. last_seen: float32 [N, 1], the target in the last row of each test
    window, which persistence repeats. All in physical units.
    """

    training: Sequences
    test: Sequences
    feature_rows: FloatArray
    target_rows: FloatArray
    last_seen: FloatArray


def read_csv(path: Path, columns: Sequence[str]) -> Table:
    """The named columns of a comma-separated UTF-8 file whose first line names its columns.

    Blank lines may end the file. Raises InputError, naming file, line and column, for a
    missing or ambiguous column, a line of another width and a cell without a finite number.
    """
    source = f"'{path}'"
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text; save it as UTF-8 CSV") from error
    lines = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        positions = _positions(header, columns, source)
        rows = [
            [_number(cells[at], header[at], f"{source} line {line}") for at in positions]
            for line, cells in _records(lines, len(header), source)
        ]
    except csv.Error as error:
        raise InputError(f"{source} line {lines.line_num} is not CSV: {error}") from error
    values = np.asarray(rows, np.float32).reshape(len(rows), len(positions))
    return Table(tuple(columns), values, source)


def split_windows(
    table: Table,
    target: str,
    features: Sequence[str],
    window: int,
    share: float = TRAINING_SHARE,
) -> Split:
    """Windows of ``window`` rows of the features, each with the target of the next row.

    A training window lies in the first ``share`` of the rows, target included; a test window's
    target lies behind them, while its inputs may reach back. Raises InputError for columns
    that the table lacks and for fewer rows than one training window needs.
    """
    x_rows = table.values[:, _positions(table.names, features, table.source)]
    y_rows = table.values[:, _positions(table.names, [target], table.source)]
    rows = len(table.values)
    cut = int(rows * share)
    if cut <= window:
        needed = math.ceil((window + 1) / share)
        raise InputError(
            f"{table.source} has {rows} rows, a window of {window} needs at least {needed} for "
            f"a training part of {share:.0%}; give more rows or a smaller --window"
        )
    # The last window has no target: nothing follows the last row.
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(x_rows, window, axis=0), 2, 1)
    names = tuple(features), (target,)
    first_test = cut - window
    return Split(
        training=_sequences(windows[:first_test], y_rows[window:cut], names),
        test=_sequences(windows[first_test:-1], y_rows[cut:], names),
        feature_rows=x_rows[:cut],
        target_rows=y_rows[:cut],
        last_seen=y_rows[cut - 1 : -1],
    )


def calibration_windows(training: Sequences) -> Sequences:
    """Up to 400 training windows evenly spaced in time, the first and the last among them, and
    all that meet an extreme of a feature or of the target, in their inputs or as their target.

    Where an extreme occurs more than once, its first occurrence counts.
    """
    count = len(training)
    even = np.linspace(0, count - 1, min(count, _CALIBRATION_WINDOWS)).round().astype(np.int64)
    # Row i of the table is the first row of window i; the last window holds the rest.
    inputs = np.concatenate([training.x[:-1, 0], training.x[-1]])
    rows = {*inputs.argmin(axis=0), *inputs.argmax(axis=0)}
    meeting = [np.arange(max(0, row - training.steps + 1), min(row + 1, count)) for row in rows]
    targets = np.asarray(training.y)
    ends = [targets.argmin(axis=0), targets.argmax(axis=0)]
    return training.select(np.unique(np.concatenate([even, *meeting, *ends])))


def _sequences(
    x: FloatArray, y: FloatArray, names: tuple[tuple[str, ...], tuple[str, ...]]
) -> Sequences:
    return Sequences(x, np.full(len(x), x.shape[1], np.int64), y, *names)


def _positions(names: Sequence[str], wanted: Sequence[str], source: str) -> list[int]:
    """Where the wanted columns are; each must be there once and be wanted once."""
    if not any(names):
        raise InputError(f"{source} is empty; its first line must name the columns")
    for column in wanted:
        if column not in names and all(_is_number(name) for name in names):
            raise InputError(
                f"{source} begins with numbers; put a line with the names of the columns first"
            )
        if column not in names:
            listed = ", ".join(f"'{name}'" for name in names)
            raise InputError(f"{source} has no column '{column}'; its columns are {listed}")
        if names.count(column) > 1:
            raise InputError(
                f"{source} has {names.count(column)} columns named '{column}'; give each its own "
                "name"
            )
        if wanted.count(column) > 1:
            raise InputError(f"column '{column}' is given as --feature twice; name it once")
    return [names.index(column) for column in wanted]


def _records(lines: Any, width: int, source: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row after the header."""
    blank = None
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            blank = blank or lines.line_num
            continue
        if blank:
            raise InputError(f"{source} line {blank} is empty; remove it, or fill in its values")
        if len(cells) != width:
            raise InputError(
                f"{source} line {lines.line_num} has {len(cells)} cells, the first line has {width}"
            )
        yield lines.line_num, cells


def _number(cell: str, column: str, where: str) -> float:
    value = float(cell) if _is_number(cell) else math.nan
    if not abs(value) <= _LARGEST:
        found = f"holds '{cell}', not a finite number" if cell.strip() else "is empty"
        raise InputError(f"{where}: column '{column}' {found}; correct, fill or remove such rows")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text.isascii()  # Python's float takes more than CSV means
