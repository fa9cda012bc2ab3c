"""Firmware projects: a folder with a board's files, the link, the model and a Makefile."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from converters.c_source import c_header, c_source
from converters.errors import EdgeLstmError, InputError, MissingToolError
from converters.tflite_reader import read_tflite
from edge_lstm.device.boards import Board, read_board
from edge_lstm.device.fit import check_fit
from edge_lstm.device.model_header import model_header
from edge_lstm.device.protocol import model_hash
from edge_lstm.device.tools import require_program
from edge_lstm.files import read_bytes, write_files
from firmware_templates import runtime_headers, template_directory

__all__ = ["Project", "build_emulator", "build_project", "new_project", "open_project"]

_BOARD_FILE = "board.toml"


@dataclass(frozen=True)
class Project:
    """A folder that ``new_project`` wrote."""

    folder: Path
    board: Board

    @property
    def firmware(self) -> Path:
        """What building makes."""
        return self.folder / "firmware.elf"


def new_project(board: Board, model: Path, folder: Path) -> Project:
    """Write a firmware project for a ``.tflite``. A project of the same board and model is
    renewed; any other folder that is not empty is refused."""
    content = read_bytes(model)
    network = read_tflite(content, str(model)).network
    check_fit(board, network)
    stored = folder / "model" / f"{network.name}.tflite"
    if folder.is_dir() and any(folder.iterdir()):
        _check_renewable(board, stored, folder)
    files = {
        folder / _BOARD_FILE: _board_file(board),
        stored: content,
        folder / "model" / f"{network.name}.h": c_header(network).encode(),
        folder / "model" / f"{network.name}.c": c_source(network).encode(),
        folder / "model" / "edge_lstm_model.h": model_header(
            network, model_hash(content), board.id
        ).encode(),
    }
    for header in runtime_headers():
        files[folder / "model" / header.name] = header.read_bytes()
    for part, target in _parts(board, folder):
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            files[target / file.relative_to(part)] = file.read_bytes()
    write_files(files)
    return Project(folder, board)


def open_project(folder: Path) -> Project:
    """A project that is there already."""
    if not (folder / _BOARD_FILE).is_file():
        raise InputError(
            f"'{folder}' is no firmware project: it has no {_BOARD_FILE}; "
            "'edge-lstm firmware new' makes one"
        )
    return Project(folder, read_board(folder / _BOARD_FILE))


def build_project(project: Project) -> None:
    """Run the project's Makefile, with the compiler of its board."""
    require_program("make", "make")
    require_program(project.board.compiler.program, project.board.compiler.package)
    done = _make(project, project.firmware.name)
    if done.returncode:
        raise _build_error(project, done.stderr)


def build_emulator(project: Project, package: str) -> Path:
    """The emulator that the project's own Makefile makes; ``package``: what that needs."""
    require_program("make", "make")
    built = project.folder / "emulator.elf"
    done = _make(project, built.name)
    if done.returncode:
        raise MissingToolError(
            f"the emulator of '{project.board.id}' cannot be built: apt-get install "
            f"{package} gcc; 'make -C {project.folder} {built.name}' says "
            "what is wrong"
        )
    return built


def _make(project: Project, target: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(project.folder), target]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _build_error(project: Project, text: str) -> EdgeLstmError:
    over = re.findall(r"region `(\w+)' overflowed by (\d+) bytes", text)
    if over:
        lacks = " and ".join(f"{int(count):,} bytes of {region}" for region, count in over)
        return InputError(
            f"the firmware in '{project.folder}' does not fit the board '{project.board.id}' by "
            f"{lacks}: use a model with fewer units, or a larger board"
        )
    if "no room for the stack" in text:
        return InputError(
            f"the firmware in '{project.folder}' leaves the board '{project.board.id}' too little "
            "RAM for a stack: use a model with fewer units, or a larger board"
        )
    lines = [line for line in text.splitlines() if "error" in line] or text.splitlines()
    return EdgeLstmError(
        f"the firmware in '{project.folder}' does not compile: "
        f"{lines[0].strip() if lines else 'no message'}; 'make -C {project.folder}' shows it all"
    )


def _parts(board: Board, folder: Path) -> list[tuple[Path, Path]]:
    """Folders and where in the project their files go; later ones win."""
    return [(template_directory("link"), folder / "link")] + [
        (part, folder) for part in board.folders()
    ]


def _board_file(board: Board) -> bytes:
    source = read_bytes(board.path)
    return source if board.path.name == _BOARD_FILE else f'id = "{board.id}"\n'.encode() + source


def _check_renewable(board: Board, stored: Path, folder: Path) -> None:
    models = list((folder / "model").glob("*.tflite"))
    ours = (folder / _BOARD_FILE).is_file() and models == [stored]
    if ours and open_project(folder).board.id == board.id:
        return
    raise InputError(
        f"'{folder}' is not empty and no project of this board and model: name another folder"
    )
