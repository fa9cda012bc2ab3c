"""tflite-micro's interpreter from its wheel, for this machine: x86-64 Linux only."""

from __future__ import annotations

import importlib.metadata

import numpy as np

from converters.errors import MissingToolError
from converters.network import QuantizedNetwork
from edge_lstm.engines.protocol import Engine, Int8Array, LayerState

__all__ = ["TflmEngine"]


class TflmEngine(Engine):
    """Runs the ``.tflite`` as a microcontroller with tflite-micro's reference kernels does."""

    name = "tflm"
    arithmetic = "tflm"

    def __init__(self, network: QuantizedNetwork, content: bytes) -> None:
        super().__init__(network)
        try:
            from tflite_micro.python.tflite_micro import runtime
        except ImportError as error:
            raise MissingToolError(
                "the engine tflm needs tflite-micro, which has wheels for x86-64 Linux only: "
                "pip install --pre tflite-micro (or take --engine native or numpy)"
            ) from error
        # Otherwise the arena forgets the states that `state` shows.
        keep = runtime.InterpreterConfig.kPreserveAllTensors
        self._interpreter = runtime.Interpreter.from_bytes(content, intrepreter_config=keep)
        self._shape = self._interpreter.get_input_details(0)["shape"]
        self._states = _state_tensors(content, network)

    def reset(self) -> None:
        """Start a new sequence."""
        self._interpreter.reset()

    def invoke(self, inputs: Int8Array) -> Int8Array:
        """See ``Engine.invoke``."""
        if self.network.form == "window":
            self.reset()
        self._interpreter.set_input(inputs.reshape(self._shape), 0)
        self._interpreter.invoke()
        output: Int8Array = self._interpreter.get_output(0)[0]
        return output[0] if self.network.form == "stream" else output

    @property
    def state(self) -> dict[str, LayerState]:
        """See ``Engine.state``."""
        return {
            name: LayerState(self._tensor(hidden)[0], self._tensor(cell)[0])
            for name, (hidden, cell) in self._states.items()
        }

    def describe(self) -> str:
        """The wheel's version."""
        return f"tflite-micro {importlib.metadata.version('tflite-micro')}"

    def _tensor(self, index: int) -> Int8Array:
        values: Int8Array = np.array(self._interpreter.GetTensor(index, 0)["tensor_data"])
        return values


def _state_tensors(content: bytes, network: QuantizedNetwork) -> dict[str, tuple[int, int]]:
    """Indices of the hidden and cell state of each LSTM; the interpreter knows no names."""
    import tflite

    graph = tflite.Model.GetRootAs(content).Subgraphs(0)
    indices = {graph.Tensors(i).Name().decode(): i for i in range(graph.TensorsLength())}
    return {
        op.output: (indices[f"{op.output}/hidden_state"], indices[f"{op.output}/cell_state"])
        for op in network.lstms
    }
