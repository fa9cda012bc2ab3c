"""The LiteRT interpreter with its reference kernels, from whichever package provides it."""

from __future__ import annotations

import importlib
import importlib.metadata
from types import ModuleType

import numpy as np

from converters.errors import MissingToolError
from converters.network import QuantizedNetwork
from edge_lstm.engines.protocol import Engine, Int8Array, LayerState

__all__ = ["LitertEngine"]

# The same Interpreter under two names: LiteRT, and its forerunner for 32-bit ARM.
_PACKAGES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}


class LitertEngine(Engine):
    """Runs the ``.tflite`` itself. The reference kernels are the named arithmetic; optimized
    ones may differ by one step in the layers after the LSTM."""

    name = "litert"
    arithmetic = "litert"

    def __init__(self, network: QuantizedNetwork, content: bytes) -> None:
        super().__init__(network)
        self._package, module = _import_interpreter()
        self._interpreter = module.Interpreter(
            model_content=content,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
            num_threads=1,
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]
        indices = {t["name"]: t["index"] for t in self._interpreter.get_tensor_details()}
        self._states = {
            op.output: (
                indices[f"{op.output}/hidden_state"],
                indices[f"{op.output}/cell_state"],
            )
            for op in network.lstms
        }

    def reset(self) -> None:
        """Start a new sequence."""
        self._interpreter.reset_all_variables()

    def invoke(self, inputs: Int8Array) -> Int8Array:
        """See ``Engine.invoke``."""
        if self.network.form == "window":
            self.reset()
        self._interpreter.set_tensor(self._input["index"], inputs.reshape(self._input["shape"]))
        self._interpreter.invoke()
        output: Int8Array = self._interpreter.get_tensor(self._output)[0]
        return output[0] if self.network.form == "stream" else output

    @property
    def state(self) -> dict[str, LayerState]:
        """See ``Engine.state``."""
        read = self._interpreter.get_tensor
        return {
            name: LayerState(read(hidden)[0], read(cell)[0])
            for name, (hidden, cell) in self._states.items()
        }

    def describe(self) -> str:
        """The package and its version."""
        return f"{self._package} {importlib.metadata.version(self._package)}, reference kernels"


def _import_interpreter() -> tuple[str, ModuleType]:
    for package, module in _PACKAGES.items():
        try:
            return package, importlib.import_module(module)
        except ImportError:
            continue
    raise MissingToolError(
        "the engine litert needs the LiteRT interpreter: pip install ai-edge-litert "
        "(or take --engine native or numpy); "
        f"numpy here is {np.__version__}, tflite-runtime needs one below 2"
    )
