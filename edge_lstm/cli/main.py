"""The ``edge-lstm`` command: a group that loads each command when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from converters.errors import EdgeLstmError
from edge_lstm.cli.output import one_line
from firmware_templates import __version__

__all__ = ["cli"]

# Each command is the object `command` of the module edge_lstm.cli.NAME.
_COMMANDS = (
    "train",
    "convert",
    "run",
    "verify",
    "boards",
    "firmware",
    "emulate",
    "deploy",
    "demo",
)

_INTERRUPTED = 130  # as shells have it for SIGINT; 1 belongs to checks


class _Commands(click.Group):
    """Imports a command only when it is needed, and turns our errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"edge_lstm.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EdgeLstmError as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"error: {one_line(error)}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge-lstm")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Convert Keras LSTMs to int8 for microcontrollers and the Raspberry Pi, run them, and
    check that every target computes the same bits.

    Exit codes: 0 good, 1 a check failed, 2 bad usage or bad input, 3 a tool or device is
    missing.
    """
