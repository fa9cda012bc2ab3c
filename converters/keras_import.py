"""The one place that imports Keras and with it TensorFlow: seconds of work and a lot of talk."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from converters.errors import MissingToolError

__all__ = ["import_keras"]


def import_keras() -> Any:
    """The ``keras`` module, imported without TensorFlow's greetings on stderr.

    Raises MissingToolError where it is not installed.
    """
    if sys.modules.get("keras") is not None:
        return sys.modules["keras"]
    # 3 leaves out the C++ runtime's messages about missing GPUs, which look like errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet_stderr():
            import keras
    except ImportError as error:
        raise MissingToolError(
            f"a Keras model needs Keras 3 and TensorFlow ({error}): pip install 'edge-lstm[train]'"
        ) from error
    return keras


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what native code writes to file descriptor 2; shown if the block fails.

    TensorFlow logs there before its log level counts.
    """
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        try:
            os.dup2(held.fileno(), 2)
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
