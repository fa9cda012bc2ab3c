"""The exceptions that users meet, one sentence each, and the exit codes they lead to.

EdgeLstmError            anything that is not a bug
├── InputError           bad usage or bad input                exit code 2
│   └── UnsupportedError   a model that cannot be converted    exit code 2
└── MissingToolError     a tool or package is missing          exit code 3
"""

from __future__ import annotations

__all__ = ["EdgeLstmError", "InputError", "MissingToolError", "UnsupportedError"]


class EdgeLstmError(Exception):
    """Base of all errors whose text is meant for the user.

    The text is one sentence that names what is wrong, where (layer, file or option) and
    what to do. The command line prints it as it is and exits with ``exit_code``.
    """

    exit_code = 2


class InputError(EdgeLstmError):
    """A file, an array or an option that cannot be used as given."""


class UnsupportedError(InputError):
    """A model with a layer or a setting that the converter does not support."""


class MissingToolError(EdgeLstmError):
    """A tool, a package or a device that this machine lacks."""

    exit_code = 3
