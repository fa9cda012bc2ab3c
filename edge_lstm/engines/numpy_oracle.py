"""The oracle as an engine: pure NumPy, for machines without an interpreter or a compiler."""

from __future__ import annotations

import numpy as np

from converters.integer_execution import IntegerExecution
from converters.network import QuantizedNetwork
from edge_lstm.engines.protocol import Engine, Int8Array, LayerState

__all__ = ["NumpyEngine"]


class NumpyEngine(Engine):
    """Runs the same integer arithmetic as LiteRT's reference kernels."""

    name = "numpy"

    def __init__(self, network: QuantizedNetwork) -> None:
        super().__init__(network)
        self._execution = IntegerExecution(network)

    def reset(self) -> None:
        """Start a new sequence."""
        self._execution.reset()

    def invoke(self, inputs: Int8Array) -> Int8Array:
        """See ``Engine.invoke``."""
        if self.network.form == "window":
            self.reset()
            return np.asarray(self._execution.run(inputs[None])[0])
        return np.asarray(self._execution.run(inputs[None, None])[0, 0])

    @property
    def state(self) -> dict[str, LayerState]:
        """See ``Engine.state``."""
        return {
            name: LayerState(state.hidden[0].copy(), state.cell[0].copy())
            for name, state in self._execution.state.items()
        }

    def describe(self) -> str:
        """NumPy and its version."""
        return f"numpy {np.__version__}"
