"""``edge-lstm firmware new`` and ``firmware build``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_lstm.cli.output import print_rows


@click.group("firmware")
def command() -> None:
    """Make and build firmware projects."""


@command.command("new")
@click.argument("board")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write to."
)
def new(board: str, model: Path, output: Path) -> None:
    """Write a project that runs MODEL (.tflite) on BOARD, an id or a board file (.toml)."""
    from edge_lstm.device.boards import find_board
    from edge_lstm.device.project import new_project

    project = new_project(find_board(board), model, output)
    print_rows(
        [
            ("board", f"{project.board.id}, {project.board.name}"),
            ("written to", str(project.folder)),
            ("next", f"edge-lstm firmware build {project.folder}"),
        ],
        quiet=False,
    )


@command.command("build")
@click.argument("folder", type=click.Path(path_type=Path))
def build(folder: Path) -> None:
    """Build the project in FOLDER with its board's compiler."""
    from edge_lstm.device.project import build_project, open_project

    project = open_project(folder)
    build_project(project)
    print_rows([("built", str(project.firmware))], quiet=False)
