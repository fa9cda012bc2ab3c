"""Engines run a converted model; one protocol for all, see ``engines.protocol``."""

from __future__ import annotations

from pathlib import Path

from converters.errors import InputError
from converters.tflite_reader import read_tflite
from edge_lstm.device.line import DEFAULT_BAUD
from edge_lstm.engines.protocol import Engine
from edge_lstm.files import read_bytes

__all__ = ["ENGINES", "load"]

# Those that need nothing but the file; device needs a port as well.
ENGINES = ("litert", "native", "numpy", "tflm")


def load(
    path: str | Path, engine: str = "native", *, port: str | None = None, baud: int = DEFAULT_BAUD
) -> Engine:
    """Load a ``.tflite`` that ``convert`` wrote into an engine: litert, native, numpy, tflm, or
    device, a firmware of this model at ``port``, such as /dev/ttyACM0 or socket://127.0.0.1:5000.

    Raises InputError for a file that cannot be used, MissingToolError where the engine needs
    a package, a compiler or a device that this machine lacks.
    """
    if port is not None and engine != "device":
        raise InputError(f"a port (--port) goes with the engine device, not with {engine}")
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
        case "device":
            from edge_lstm.engines.device import DeviceEngine

            if port is None:
                raise InputError(
                    "the engine device needs the port that the device is on: give it with --port"
                )
            return DeviceEngine(network, content, port, baud)
    raise InputError(f"there is no engine '{engine}'; there are {', '.join(ENGINES)} and device")
