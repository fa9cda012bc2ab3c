"""``edge-lstm deploy`` as a function: project, build, emulator, proof."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from converters.errors import InputError
from edge_lstm.device.boards import find_board
from edge_lstm.device.client import Client
from edge_lstm.device.emulator import emulate
from edge_lstm.device.project import Project, build_project, new_project
from edge_lstm.device.protocol import SelfTest
from edge_lstm.harness.verdict import Verdict, verify

__all__ = ["Deployment", "deploy"]


@dataclass(frozen=True)
class Deployment:
    """A firmware that was built and run, and what came of it."""

    project: Project
    self_test: SelfTest
    verdict: Verdict

    @property
    def passed(self) -> bool:
        """True when self-test and golden were right, bit for bit."""
        return self.self_test.passed and self.verdict.passed


def deploy(
    model: Path, board: str, *, golden: Path | None = None, folder: Path | None = None
) -> Deployment:
    """Make a board's firmware of a ``.tflite``, build it, emulate it and run the golden on it.

    ``golden``: NAME_golden.npz beside the model if None; ``folder``: NAME_BOARD beside it.
    """
    found = find_board(board)
    golden = golden or model.with_name(f"{model.stem}_golden.npz")
    if not golden.is_file():
        raise InputError(f"there is no golden '{golden}': name one with --golden")
    project = new_project(found, model, folder or model.with_name(f"{model.stem}_{found.id}"))
    build_project(project)
    with emulate(project) as emulation:
        with Client.connect(emulation.port) as client:
            self_test = client.self_test()
        verdict = verify(model, golden, engine="device", port=emulation.port)
    return Deployment(project, self_test, verdict)
