"""``edge-lstm verify``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_lstm.cli.options import engine_options, json_option
from edge_lstm.cli.output import print_rows, print_warnings, write_json
from edge_lstm.cli.results import verdict_json, verdict_rows


@click.command("verify")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--golden",
    required=True,
    type=click.Path(path_type=Path),
    help="The NAME_golden.npz that convert wrote.",
)
@engine_options
@click.option(
    "--max-lsb",
    type=click.IntRange(min=0),
    help="Largest distance from the golden, in steps of int8.  [default: 0 where the engine has "
    "the model's arithmetic, else only reported]",
)
@click.option(
    "--max-p99-us",
    type=click.FloatRange(min=0, min_open=True),
    help="Largest p99 latency of a call, in microseconds.",
)
@click.option("--min-accuracy", type=click.FloatRange(0, 1), help="Lowest accuracy against y.")
@click.option(
    "--max-rmse", type=click.FloatRange(min=0), help="Largest RMSE against y, in physical units."
)
@json_option
def command(
    model: Path,
    golden: Path,
    engine: str,
    keras_model: Path | None,
    port: str | None,
    baud: int,
    max_lsb: int | None,
    max_p99_us: float | None,
    min_accuracy: float | None,
    max_rmse: float | None,
    json_path: str | None,
) -> None:
    """Hold MODEL (.tflite) against a golden; exit 1 when a budget is missed."""
    from edge_lstm.harness.verdict import Budgets, verify

    budgets = Budgets(max_lsb, max_p99_us, min_accuracy, max_rmse)
    verdict = verify(
        model,
        golden,
        engine=engine,
        budgets=budgets,
        keras_model=keras_model,
        port=port,
        baud=baud,
    )
    print_warnings(verdict.alarms)
    print_rows(verdict_rows(verdict), quiet=json_path == "-")
    write_json(json_path, verdict_json(verdict))
    if not verdict.passed:
        click.get_current_context().exit(1)
