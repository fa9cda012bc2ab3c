"""``edge-lstm run``."""

from __future__ import annotations

from pathlib import Path

import click

from edge_lstm.cli.options import engine_options, json_option
from edge_lstm.cli.output import print_rows, print_warnings, write_json
from edge_lstm.cli.results import run_rows


@click.command("run")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "data",
    required=True,
    type=click.Path(path_type=Path),
    help="Sequences: an .npz with array x in physical units, and labels y if there are any.",
)
@engine_options
@click.option("--every-step", is_flag=True, help="Keep an answer a step, not only the last.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the answers to this .npz: output (float32) and raw (integers).",
)
@json_option
def command(
    model: Path,
    data: Path,
    engine: str,
    keras_model: Path | None,
    port: str | None,
    baud: int,
    every_step: bool,
    output: Path | None,
    json_path: str | None,
) -> None:
    """Run sequences through MODEL (.tflite), each from a reset."""
    from edge_lstm.harness.prediction import predict_file

    result = predict_file(
        model,
        data,
        engine=engine,
        keras_model=keras_model,
        port=port,
        baud=baud,
        every_step=every_step,
        output=output,
    )
    print_warnings(result.alarms)
    print_rows(run_rows(result), quiet=json_path == "-")
    write_json(json_path, result.to_json())
