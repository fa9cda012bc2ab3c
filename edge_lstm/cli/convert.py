"""``edge-lstm convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from edge_lstm.cli.options import json_option
from edge_lstm.cli.output import print_rows, print_warnings, write_json

if TYPE_CHECKING:
    from edge_lstm.conversion_report import ConversionReport


@click.command("convert")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--calibration",
    required=True,
    type=click.Path(path_type=Path),
    help="Representative sequences: an .npz with array x, float32 [N, T, F].",
)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--name", help="Name of the model in files and in C (default: the file's stem).")
@click.option(
    "--form",
    type=click.Choice(["auto", "stream", "window"]),
    default="auto",
    show_default=True,
    help="One time step a call, or a whole window a call; auto streams wherever it can.",
)
@click.option(
    "--arithmetic",
    type=click.Choice(["litert", "tflm"]),
    default="litert",
    show_default=True,
    help="Whose bits: LiteRT's reference kernels, or tflite-micro (and CMSIS-NN).",
)
@json_option
def command(
    model: Path,
    calibration: Path,
    output: Path,
    name: str | None,
    form: Literal["auto", "stream", "window"],
    arithmetic: Literal["litert", "tflm"],
    json_path: str | None,
) -> None:
    """Convert a Keras MODEL to an int8 .tflite, C, a TFLM array and a golden."""
    from edge_lstm.conversion import convert

    report = convert(model, calibration, output=output, name=name, form=form, arithmetic=arithmetic)
    print_warnings(report.warnings)
    print_rows(_rows(report), quiet=json_path == "-")
    write_json(json_path, report.to_json())


def _rows(report: ConversionReport) -> list[tuple[str, str]]:
    form = "stream" if report.form == "stream" else f"window of {report.window} steps"
    rows = [
        ("model", f"{report.name}, int8 in the arithmetic {report.arithmetic}, {form}"),
        ("written to", str(report.folder)),
        ("size", f"{report.tflite_bytes:,} bytes of .tflite"),
        ("in C", f"{report.constant_bytes:,} bytes of constants, {report.state_bytes:,} of state"),
        ("work", f"{report.multiply_accumulates_per_step:,} multiply-accumulates a step"),
    ]
    for output in report.outputs:
        relative = "" if output.logit_error is None else f", {output.logit_error:.2%} of its SD"
        rows.append(
            (f"int8 - float, {output.label}", f"RMS {output.rmse:.4g}{relative} (calibration data)")
        )
    return rows
