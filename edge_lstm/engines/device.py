"""The model on a device, behind a serial line."""

from __future__ import annotations

import numpy as np

from converters.errors import InputError
from converters.network import QuantizedNetwork
from edge_lstm.device.client import Client
from edge_lstm.device.line import DEFAULT_BAUD
from edge_lstm.device.protocol import Name, model_hash
from edge_lstm.engines.protocol import DeviceFigures, Engine, Int8Array, LayerState

__all__ = ["DeviceEngine"]


class DeviceEngine(Engine):
    """Runs the model of a firmware, which must be the one of the given ``.tflite``."""

    name = "device"

    def __init__(
        self, network: QuantizedNetwork, content: bytes, port: str, baud: int = DEFAULT_BAUD
    ) -> None:
        super().__init__(network)
        self.client = Client.connect(port, baud=baud)
        self._check_model(content, port)
        many = network.form == "window" and network.returns_sequence
        self._shape = (network.window or 0, network.outputs) if many else (network.outputs,)
        name = self.client.name
        self._description = f"{name(Name.BOARD)}, C by {name(Name.COMPILER)}, {port}"

    def _check_model(self, content: bytes, port: str) -> None:
        hello = self.client.hello
        if hello.model_hash == model_hash(content):
            return
        other = self.client.name(Name.MODEL)
        self.close()
        raise InputError(
            f"the device on '{port}' runs another model ('{other}', {hello.model_hash.hex()}) than "
            f"the .tflite given ('{self.network.name}', {model_hash(content).hex()}): make the "
            "firmware of this file, or give the file of that firmware"
        )

    def reset(self) -> None:
        """Start a new sequence."""
        self.client.reset()

    def invoke(self, inputs: Int8Array) -> Int8Array:
        """See ``Engine.invoke``."""
        answer = self.client.invoke(inputs.tobytes())
        return np.frombuffer(answer, np.int8).reshape(self._shape)

    @property
    def state(self) -> dict[str, LayerState]:
        """Not told by the link."""
        raise InputError("the engine device does not tell the model's state: take native")

    def describe(self) -> str:
        """Board, compiler and port."""
        return self._description

    def figures(self) -> DeviceFigures:
        """Memory and times, as the device measured them."""
        memory, timings = self.client.memory(), self.client.timings()
        per_second = self.client.hello.ticks_per_second
        ticks = None
        if per_second and timings.calls:
            ticks = (timings.least, timings.total / timings.calls, timings.most)
        return DeviceFigures(
            flash_used=memory.flash_used,
            static_ram=memory.static_ram,
            stack_room=memory.stack_room,
            stack_used=memory.stack_used,
            ticks=ticks,
            ticks_per_second=per_second,
            sent_again=self.client.sent_again,
        )

    def close(self) -> None:
        """Give the port back."""
        self.client.close()
