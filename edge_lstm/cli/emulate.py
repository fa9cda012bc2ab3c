"""``edge-lstm emulate``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("emulate")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Run the firmware built in FOLDER until Ctrl-C; prints the port that it is on."""
    import signal

    from edge_lstm.device.emulator import emulate
    from edge_lstm.device.project import open_project

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the emulator must end as well
    with emulate(open_project(folder)) as emulation:
        click.echo(emulation.port)
        click.echo(f"edge-lstm verify … --engine device --port {emulation.port}", err=True)
        try:
            emulation.process.wait()
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
