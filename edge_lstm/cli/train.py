"""``edge-lstm train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from edge_lstm.cli.options import json_option
from edge_lstm.cli.output import print_rows, write_json

if TYPE_CHECKING:
    from edge_lstm.training.train import TrainingReport


@click.command("train")
@click.argument("data", required=False, metavar="[DATA.csv]", type=click.Path(path_type=Path))
@click.option("--recipe", help="Train on data of an installed package instead: stock.")
@click.option("--target", help="Column to predict, one row ahead (a recipe has a default).")
@click.option(
    "--feature",
    "features",
    multiple=True,
    help="Column that the model sees; repeatable.  [default: the target alone]",
)
@click.option("--window", default=60, show_default=True, help="Rows that the model sees.")
@click.option(
    "--units",
    multiple=True,
    type=int,
    default=(50, 50),
    show_default=True,
    help="Units of an LSTM; repeat it for a stack.",
)
@click.option("--epochs", default=20, show_default=True, help="Passes over the training part.")
@click.option("--batch-size", default=32, show_default=True, help="Windows a training step.")
@click.option(
    "--scaling",
    type=click.Choice(["minmax", "standard", "none"]),
    default="minmax",
    show_default=True,
    help="Scaling layers, taken from the training part and put into the model.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of weights and shuffling.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="MODEL.keras",
    type=click.Path(path_type=Path),
    help="Where the model goes; its calibration and test data go beside it.",
)
@json_option
def command(
    data: Path | None,
    recipe: str | None,
    target: str | None,
    features: tuple[str, ...],
    window: int,
    units: tuple[int, ...],
    epochs: int,
    batch_size: int,
    scaling: Literal["minmax", "standard", "none"],
    seed: int,
    output: Path,
    json_path: str | None,
) -> None:
    """Train an LSTM on the columns of DATA.csv, in time order: the first 80 % of its rows to
    learn from, the rest to test on (a recipe may split elsewhere)."""
    from edge_lstm.training.train import train

    report = train(
        data,
        output=output,
        recipe=recipe,
        target=target,
        features=features,
        window=window,
        units=units,
        epochs=epochs,
        batch_size=batch_size,
        scaling=scaling,
        seed=seed,
    )
    print_rows(_rows(report), quiet=json_path == "-")
    write_json(json_path, report)


def _rows(report: TrainingReport) -> list[tuple[str, str]]:
    return [
        ("data", report.source),
        ("task", f"{report.target} one row ahead from {', '.join(report.features)}"),
        (
            "windows",
            f"{report.training_windows:,} for training, {report.test_windows:,} for the test, "
            f"{report.calibration_windows:,} of the training ones for calibration",
        ),
        ("test, model", f"RMSE {report.rmse:.4g}"),
        ("test, persistence", f"RMSE {report.persistence_rmse:.4g} (repeats the last value)"),
        ("verdict", _verdict(report.skill)),
        ("written to", f"{report.model}, {report.calibration.name}, {report.test.name}"),
    ]


def _verdict(skill: float | None) -> str:
    if skill is None:
        return "no better than persistence, which is exact: the target never changes"
    better = "better" if skill > 0 else "no better"
    return f"{better} than persistence (skill {skill:+.3f})"
