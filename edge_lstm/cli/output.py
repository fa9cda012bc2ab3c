"""How commands print: tables on stdout, warnings on stderr, JSON where it is asked for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

__all__ = ["one_line", "print_rows", "print_warnings", "write_json"]


def print_rows(rows: Sequence[tuple[str, str]], *, quiet: bool) -> None:
    """Two aligned columns; nothing where stdout belongs to JSON."""
    if quiet:
        return
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        click.echo(f"{label:<{width}}  {text}")


def one_line(text: object) -> str:
    """A message without line breaks, whatever the names in it hold."""
    return " ".join(str(text).split())


def print_warnings(warnings: Iterable[object]) -> None:
    """One line each on stderr."""
    for warning in warnings:
        click.echo(f"warning: {one_line(warning)}", err=True)


def write_json(path: str | None, content: object) -> None:
    """Write JSON to ``path``, '-' being stdout; dataclasses become objects."""
    if path is None:
        return
    text = json.dumps(content, indent=1, default=_plain) + "\n"
    if path == "-":
        click.echo(text, nl=False)
        return
    from edge_lstm.files import write_files

    write_files({Path(path): text.encode()})


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
