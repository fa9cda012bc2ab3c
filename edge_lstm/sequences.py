"""Sequences of physical values as they lie in ``.npz`` files: calibration, test and golden data."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.calibrate import check_sequences
from converters.errors import InputError
from edge_lstm.files import read_bytes

__all__ = ["Sequences", "pack_arrays", "read_arrays", "read_sequences"]


@dataclass(frozen=True)
class Sequences:
    """N sequences, each from a reset.

    x: float32 [N, T, F] in physical units; lengths: int64 [N], the steps that count;
    y: targets [N, …], or None; the names label features and targets in messages and plots.
    """

    x: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]
    y: npt.NDArray[Any] | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def steps(self) -> int:
        """Steps of the longest sequence."""
        return int(self.x.shape[1])

    @property
    def features(self) -> int:
        """Values a step."""
        return int(self.x.shape[2])

    @property
    def ragged(self) -> bool:
        """True when the sequences differ in length."""
        return bool((self.lengths != self.steps).any())

    def counted(self, dimensions: int) -> npt.NDArray[np.bool_]:
        """Which answers count, as a mask over their first axes: [N] for answers of two
        ``dimensions`` (one a sequence), [N, T] for three (one a step)."""
        if dimensions == 2:
            return np.ones(len(self), np.bool_)
        return np.asarray(np.arange(self.steps) < self.lengths[:, None])

    def trimmed(self) -> Sequences:
        """Without the padding that no sequence reaches into."""
        x = self.x[:, : self.lengths.max()]
        return Sequences(x, self.lengths, self.y, self.feature_names, self.target_names)

    def select(self, indices: npt.NDArray[Any]) -> Sequences:
        """The sequences at ``indices`` (or where a mask is true)."""
        y = None if self.y is None else self.y[indices]
        return Sequences(
            self.x[indices], self.lengths[indices], y, self.feature_names, self.target_names
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an ``.npz`` that ``read_sequences`` reads back."""
        arrays: dict[str, npt.NDArray[Any]] = {"x": self.x}
        if self.ragged:
            arrays["lengths"] = self.lengths
        if self.y is not None:
            arrays["y"] = self.y
        if self.feature_names is not None:
            arrays["feature_names"] = np.asarray(self.feature_names)
        if self.target_names is not None:
            arrays["target_names"] = np.asarray(self.target_names)
        return arrays


def pack_arrays(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """An ``.npz`` as bytes, the same for the same arrays (numpy's own carries no time stamp)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # stub: allow_pickle
    return buffer.getvalue()


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an ``.npz``; pickled objects are refused."""
    content = read_bytes(path)
    try:
        archive = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"'{path}' holds a single array; save it with np.savez(path, x=...)")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise what they like
        raise InputError(f"'{path}' is not a readable .npz file: {error}") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"'{path}' is not a readable .npz file: '{name}' is no array")
    return arrays


def read_sequences(path: Path) -> Sequences:
    """Read and check array ``x`` and, where present, ``lengths``, ``y`` and the names.

    Raises InputError, naming file and array, for what cannot be used.
    """
    arrays = read_arrays(path)
    try:
        return _sequences(arrays)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error


def _sequences(arrays: dict[str, npt.NDArray[Any]]) -> Sequences:
    if "x" not in arrays:
        present = ", ".join(f"'{name}'" for name in sorted(arrays)) or "none"
        raise InputError(
            f"there is no array 'x' (arrays in the file: {present}); "
            "save the inputs as 'x', float32 [sequences, steps, features]"
        )
    x = arrays["x"]
    if x.dtype.kind not in "fiu":
        raise InputError(f"array 'x' has dtype {x.dtype}; float32 is needed")
    if x.ndim != 3:
        raise InputError(
            f"array 'x' has shape {list(x.shape)}; [sequences, steps, features] is needed"
        )
    if x.size == 0:
        raise InputError(f"array 'x' is empty (shape {list(x.shape)})")
    with np.errstate(over="ignore"):  # what overflows float32 is refused as inf below
        x = x.astype(np.float32)
    lengths = _lengths(arrays.get("lengths"), x.shape[0], x.shape[1])
    check_sequences(x, lengths)
    return Sequences(
        x,
        lengths,
        _labels(arrays.get("y"), len(x)),
        _names(arrays, "feature_names", x.shape[2]),
        _names(arrays, "target_names"),
    )


def _labels(y: npt.NDArray[Any] | None, count: int) -> npt.NDArray[Any] | None:
    if y is None:
        return None
    if y.ndim == 0 or len(y) != count:
        raise InputError(
            f"array 'y' has shape {list(y.shape)}; its first axis must match the {count} "
            "sequences of 'x'"
        )
    if y.dtype.kind not in "fiub":
        raise InputError(f"array 'y' has dtype {y.dtype}; numbers are needed")
    if not np.isfinite(y).all():
        raise InputError("array 'y' holds values that are not finite; remove or fill them first")
    return y


def _lengths(given: npt.NDArray[Any] | None, count: int, steps: int) -> npt.NDArray[np.int64]:
    if given is None:
        return np.full(count, steps, np.int64)
    if given.dtype.kind not in "iu" or given.shape != (count,):
        raise InputError(
            f"array 'lengths' is {given.dtype} {list(given.shape)}; integers [{count}] are needed"
        )
    if given.min() < 1 or given.max() > steps:
        raise InputError(
            f"array 'lengths' runs from {given.min()} to {given.max()}; 1 to {steps} is possible"
        )
    return given.astype(np.int64)


def _names(
    arrays: dict[str, npt.NDArray[Any]], key: str, count: int | None = None
) -> tuple[str, ...] | None:
    if key not in arrays:
        return None
    names = tuple(str(name) for name in np.atleast_1d(arrays[key]))
    if count is not None and len(names) != count:
        raise InputError(f"array '{key}' names {len(names)} features, 'x' has {count}")
    return names
