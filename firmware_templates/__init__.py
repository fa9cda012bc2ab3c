"""C sources that land on a device, as package data, and the version they carry.

This is the lowest floor: it imports nothing of ``converters`` or ``edge_lstm``.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["__version__", "host_directory", "runtime_headers", "template_directory"]

_ROOT = Path(__file__).resolve().parent


def runtime_headers() -> list[Path]:
    """The hand-written C headers that every generated model includes, sorted by name."""
    return sorted((_ROOT / "runtime").glob("*.h"))


def host_directory() -> Path:
    """The folder with the C that wraps a generated model as a shared library on a host."""
    return _ROOT / "host"


def template_directory(name: str) -> Path:
    """A folder that goes into firmware projects: ``link``, ``cortex_m``, or one board's."""
    return _ROOT / name


def _read_version() -> str:
    text = (_ROOT / "runtime" / "edge_lstm_version.h").read_text(encoding="utf-8")
    parts = dict(re.findall(r"#define EDGE_LSTM_VERSION_(MAJOR|MINOR|PATCH) (\d+)", text))
    return ".".join(parts[part] for part in ("MAJOR", "MINOR", "PATCH"))


__version__ = _read_version()
