"""``edge-lstm boards``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_lstm.cli.options import json_option
from edge_lstm.cli.output import print_rows, write_json

if TYPE_CHECKING:
    from edge_lstm.device.listing import Listed


@click.command("boards")
@click.argument("model", type=click.Path(path_type=Path), required=False)
@json_option
def command(model: Path | None, json_path: str | None) -> None:
    """List the boards, and whether MODEL (.tflite) fits them."""
    from edge_lstm.device.listing import list_boards

    listed = list_boards(model)
    print_rows([(board.id, _text(board)) for board in listed], quiet=json_path == "-")
    write_json(json_path, listed)


def _text(board: Listed) -> str:
    text = f"{board.name}; {board.core}"
    if board.flash is not None and board.ram is not None:
        text += f"; {board.flash // 1024:,} KiB flash, {board.ram // 1024:,} KiB RAM"
    if board.fits is None:
        return text
    if board.fits:
        spare = [f"{count:,} bytes of {kind}" for kind, count in board.spare.items()]
        return f"{text}; fits" + (f", {' and '.join(spare)} to spare" if spare else "")
    lacks = [f"{-count:,} bytes of {kind}" for kind, count in board.spare.items() if count < 0]
    return f"{text}; does NOT fit, by about {' and '.join(lacks)}"
