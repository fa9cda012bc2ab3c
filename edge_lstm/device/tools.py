"""Programs that building and emulating need."""

from __future__ import annotations

import shutil

from converters.errors import MissingToolError

__all__ = ["require_program"]


def require_program(program: str, package: str) -> str:
    """Path of a program; MissingToolError says which package to install."""
    path = shutil.which(program)
    if path is None:
        raise MissingToolError(
            f"'{program}' is not installed: apt-get install {package} (or your system's like)"
        )
    return path
