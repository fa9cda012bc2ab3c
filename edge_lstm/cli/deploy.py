"""``edge-lstm deploy``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_lstm.cli.options import json_option
from edge_lstm.cli.output import print_rows, print_warnings, write_json
from edge_lstm.cli.results import verdict_json, verdict_rows


@click.command("deploy")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", required=True, help="Id of the board, or a board file (.toml).")
@click.option(
    "--golden",
    type=click.Path(path_type=Path),
    help="The golden of convert (default: NAME_golden.npz beside MODEL).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the project (default: NAME_BOARD beside MODEL).",
)
@json_option
def command(
    model: Path, board: str, golden: Path | None, output: Path | None, json_path: str | None
) -> None:
    """Make, build and emulate a firmware of MODEL (.tflite) and hold its bits against the
    golden; exit 1 when one differs."""
    from edge_lstm.deployment import deploy

    result = deploy(model, board, golden=golden, folder=output)
    test, found = result.self_test, result.project.board
    print_warnings(result.verdict.alarms)
    rows = [
        ("board", f"{found.id}, {found.name}"),
        ("project", str(result.project.folder)),
        ("self-test", f"{test.calls} calls, {'right' if test.passed else 'WRONG'}"),
    ]
    print_rows([*rows, *verdict_rows(result.verdict)], quiet=json_path == "-")
    content = {"board": found.id, "self_test": test, **verdict_json(result.verdict)}
    write_json(json_path, {**content, "passed": result.passed})
    if not result.passed:
        click.get_current_context().exit(1)
