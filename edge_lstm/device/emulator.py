"""Runs a built firmware without its board, its serial line on a TCP port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from converters.errors import InputError, MissingToolError
from edge_lstm.device.boards import Emulator
from edge_lstm.device.project import Project, build_emulator
from edge_lstm.device.tools import require_program

__all__ = ["Emulation", "emulate"]

_SECONDS_TO_START = 20.0
_TRIES = 3  # another program may take the free port first


@dataclass(frozen=True)
class Emulation:
    """A running firmware: where its line is, and what it runs on."""

    port: str
    process: subprocess.Popen[bytes]


@contextmanager
def emulate(project: Project) -> Iterator[Emulation]:
    """Start the project's emulator, and stop it at the end of the ``with`` block."""
    if not project.firmware.is_file():
        raise InputError(
            f"'{project.folder}' is not built: run 'edge-lstm firmware build {project.folder}'"
        )
    emulator = project.board.emulator
    if emulator is None:
        raise InputError(
            f"the board '{project.board.id}' has no emulator: write '{project.firmware}' to the "
            "board, and 'edge-lstm verify --engine device --port PORT' does the rest"
        )
    with tempfile.TemporaryFile() as log:
        process, number = _start(project, emulator, log.fileno())
        try:
            yield Emulation(f"socket://127.0.0.1:{number}", process)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()


def _start(project: Project, emulator: Emulator, log: int) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(_TRIES):
        number = _free_port()
        process = subprocess.Popen(
            _command(project, emulator, number),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "EDGE_LSTM_TCP_PORT": str(number)},
        )
        if _answers(process, number):
            return process, number
        process.kill()
        process.wait()
    os.lseek(log, 0, os.SEEK_SET)
    lines = os.read(log, 4096).decode("utf-8", "replace").splitlines() or ["no message"]
    raise MissingToolError(
        f"the emulator of '{project.board.id}' does not start: {lines[0].strip()}"
    )


def _command(project: Project, emulator: Emulator, number: int) -> list[str]:
    firmware = str(project.firmware.resolve())
    if emulator.kind == "process":
        return [firmware]
    if emulator.kind == "made":
        return [str(build_emulator(project, emulator.package).resolve()), firmware]
    line = f"socket,id=line,host=127.0.0.1,port={number},server=on,wait=off,nodelay=on"
    program = require_program(emulator.program, emulator.package)
    headless = ["-display", "none", "-monitor", "none", "-chardev", line, "-serial", "chardev:line"]
    return [program, *emulator.arguments, *headless, "-kernel", firmware]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


def _answers(process: subprocess.Popen[bytes], number: int) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", number), 1):
            return True
        time.sleep(0.02)
    return False
