"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["engine_options", "json_option"]

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option(
    "--json",
    "json_path",
    metavar="PATH",
    help="Write the result as JSON; '-' writes it to stdout, and nothing else there.",
)


def engine_options(command: Command) -> Command:
    """``--engine`` and, for the float one, ``--model``."""
    engine = click.option(
        "--engine",
        type=click.Choice(["litert", "native", "numpy", "tflm", "keras"]),
        default="native",
        show_default=True,
        help="What runs the model; keras needs --model.",
    )
    keras_model = click.option(
        "--model",
        "keras_model",
        type=click.Path(path_type=Path),
        help="The Keras model, for --engine keras.",
    )
    return engine(keras_model(command))
