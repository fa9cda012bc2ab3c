"""``edge-lstm demo``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_lstm.cli.options import json_option
from edge_lstm.cli.output import print_rows, print_warnings, write_json


@click.command("demo")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("edge-lstm-demo"),
    show_default=True,
    help="Folder to leave everything in.",
)
@json_option
def command(output: Path, json_path: str | None) -> None:
    """Train on real prices, convert, run on three engines and verify: a few minutes, offline."""
    from edge_lstm.demo import run_demo

    quiet = json_path == "-"
    result = run_demo(output, announce=lambda text: click.echo(text, err=True))
    print_warnings(result.alarms)
    print_rows(result.rows(), quiet=quiet)
    write_json(json_path, result.to_json())
    if not result.passed:
        click.get_current_context().exit(1)
