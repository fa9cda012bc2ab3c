"""Boards: TOML files that say what a board has, how its firmware is built and what emulates it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from converters.errors import InputError
from edge_lstm.files import read_bytes
from firmware_templates import template_directory

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Board", "Emulator", "Tool", "board_ids", "find_board", "read_board"]

_BOARDS = Path(__file__).resolve().parent / "boards"


@dataclass(frozen=True)
class Tool:
    """A program, and the Debian package that has it."""

    program: str
    package: str


@dataclass(frozen=True)
class Emulator:
    """``qemu``: the program and its arguments; ``process``: the firmware is a program itself;
    ``made``: emulator.elf, which the project's Makefile makes, given ``package``."""

    kind: Literal["qemu", "process", "made"]
    program: str = ""
    arguments: tuple[str, ...] = ()
    package: str = ""


@dataclass(frozen=True)
class Board:
    """``parts``: folders of firmware_templates, or beside the board's file, that a project is
    made of, besides link. ``flash`` and ``ram``: bytes; None: as much as one wants.
    ``code_flash`` and ``code_ram``: what runtime, link and stack take beside a model, about.
    ``constants_in_ram``: the core copies a model's constants there."""

    id: str
    name: str
    core: str
    parts: tuple[str, ...]
    compiler: Tool
    path: Path
    emulator: Emulator | None = None
    flash: int | None = None
    ram: int | None = None
    code_flash: int = 0
    code_ram: int = 0
    constants_in_ram: bool = False

    def folders(self) -> list[Path]:
        """Where the parts are; InputError for one that is not there."""
        return [self._folder(part) for part in self.parts]

    def _folder(self, part: str) -> Path:
        for folder in (self.path.parent / part, template_directory(part)):
            if folder.is_dir():
                return folder
        raise InputError(f"the board file '{self.path}' cannot be used: there is no part '{part}'")


def board_ids() -> list[str]:
    """The boards that come with edge-lstm."""
    return sorted(path.stem for path in _BOARDS.glob("*.toml"))


def find_board(name: str) -> Board:
    """A board by its id, or by the path of a board file that ends in .toml."""
    if name.endswith(".toml"):
        return read_board(Path(name))
    if name not in board_ids():
        raise InputError(
            f"there is no board '{name}'; there are {', '.join(board_ids())}, or give the path "
            "of a board file (.toml)"
        )
    return read_board(_BOARDS / f"{name}.toml")


def read_board(path: Path) -> Board:
    """Read a board file; InputError names the key that is wrong."""
    try:
        content = tomllib.loads(read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is no TOML file: {error}") from error
    try:
        return _board(path, content)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the board file '{path}' cannot be used: {_why(error)}") from error


def _board(path: Path, content: dict[str, Any]) -> Board:
    parts = tuple(str(part) for part in content.pop("parts"))
    compiler = Tool(**_known(Tool, content.pop("compiler")))
    emulator = _emulator(content.pop("emulator")) if "emulator" in content else None
    for key in ("flash", "ram", "code_flash", "code_ram"):
        value = content.get(key, 1)
        if type(value) is not int or value < 1:
            raise ValueError(f"{key} = {value!r} is no number of bytes")
    return Board(
        id=str(content.pop("id", path.stem)),
        parts=parts,
        compiler=compiler,
        emulator=emulator,
        path=path,
        **_known(Board, content),
    )


def _emulator(table: dict[str, Any]) -> Emulator:
    emulator = Emulator(**_known(Emulator, table))
    if emulator.kind not in ("qemu", "process", "made"):
        raise ValueError(f"emulator.kind '{emulator.kind}' is none of qemu, process, made")
    return emulator


def _known(kind: type[Any], table: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    for key in table:
        if key not in names:
            raise ValueError(f"the key '{key}' is unknown")
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the key {error} is missing"
    return str(error)
