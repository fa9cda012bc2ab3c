"""Engines run a converted model; one protocol for all, see ``engines.protocol``."""

from __future__ import annotations

from pathlib import Path

from converters.errors import InputError
from converters.tflite_reader import read_tflite
from edge_lstm.engines.protocol import Engine
from edge_lstm.files import read_bytes

__all__ = ["ENGINES", "load"]

ENGINES = ("litert", "native", "numpy", "tflm")


def load(path: str | Path, engine: str = "native") -> Engine:
    """Load a ``.tflite`` that ``convert`` wrote into an engine: litert, native, numpy or tflm.

    Raises InputError for a file that cannot be used, MissingToolError where the engine needs
    a package or a compiler that this machine lacks.
    """
    content = read_bytes(Path(path))
    network = read_tflite(content, str(path)).network
    match engine:
        case "litert":
            from edge_lstm.engines.litert import LitertEngine

            return LitertEngine(network, content)
        case "native":
            from edge_lstm.engines.native import NativeEngine

            return NativeEngine(network)
        case "tflm":
            from edge_lstm.engines.tflm import TflmEngine

            return TflmEngine(network, content)
        case "numpy":
            from edge_lstm.engines.numpy_oracle import NumpyEngine

            return NumpyEngine(network)
    raise InputError(f"there is no engine '{engine}'; there are {', '.join(ENGINES)}")
