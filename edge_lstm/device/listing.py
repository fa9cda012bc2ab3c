"""``edge-lstm boards`` as a function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from converters.network import QuantizedNetwork
from converters.tflite_reader import read_tflite
from edge_lstm.device.boards import Board, board_ids, find_board
from edge_lstm.device.fit import fit
from edge_lstm.files import read_bytes

__all__ = ["Listed", "list_boards"]


@dataclass(frozen=True)
class Listed:
    """A board, and bytes to spare beside a model, about (negative: lacking), by kind of memory.
    ``fits`` is None where no model was given."""

    id: str
    name: str
    core: str
    flash: int | None
    ram: int | None
    fits: bool | None
    spare: dict[str, int]


def list_boards(model: Path | None = None) -> list[Listed]:
    """All boards that come with edge-lstm, held against ``model`` if there is one."""
    network = None if model is None else read_tflite(read_bytes(model), str(model)).network
    return [_listed(find_board(name), network) for name in board_ids()]


def _listed(board: Board, network: QuantizedNetwork | None) -> Listed:
    fits, spare = None, {}
    if network is not None:
        found = fit(board, network)
        fits, spare = not any(room < 0 for room in found.spare.values()), found.spare
    return Listed(board.id, board.name, board.core, board.flash, board.ram, fits, spare)
