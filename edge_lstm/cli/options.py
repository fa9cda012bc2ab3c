"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["baud_option", "engine_options", "json_option"]

Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option(
    "--json",
    "json_path",
    metavar="PATH",
    help="Write the result as JSON; '-' writes it to stdout, and nothing else there.",
)

baud_option = click.option(
    "--baud",
    type=click.IntRange(min=1),
    default=115_200,
    show_default=True,
    help="Speed of a device's serial line.",
)


def engine_options(command: Command) -> Command:
    """``--engine``, ``--model`` for the float one, ``--port`` and ``--baud`` for a device."""
    engine = click.option(
        "--engine",
        type=click.Choice(["litert", "native", "numpy", "tflm", "device", "keras"]),
        default="native",
        show_default=True,
        help="What runs the model; keras needs --model, device needs --port.",
    )
    keras_model = click.option(
        "--model",
        "keras_model",
        type=click.Path(path_type=Path),
        help="The Keras model, for --engine keras.",
    )
    port = click.option(
        "--port", help="Where the device is: /dev/ttyACM0, COM3, socket://host:port."
    )
    return engine(keras_model(port(baud_option(command))))
