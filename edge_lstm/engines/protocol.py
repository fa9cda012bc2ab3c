"""What every engine does: reset, step, run, describe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from converters.network import Arithmetic, QuantizedNetwork

__all__ = ["DeviceFigures", "Engine", "LayerState"]

FloatArray = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class LayerState:
    """State of one LSTM: hidden int8 [units], cell int16 [units]."""

    hidden: Int8Array
    cell: npt.NDArray[np.int16]


@dataclass(frozen=True)
class DeviceFigures:
    """What a device says of itself after a run: bytes (0: unknown), and the ticks of a call of
    the model alone (least, mean, most; None without a counter). ``sent_again``: commands that
    were lost on the line or late."""

    flash_used: int
    static_ram: int
    stack_room: int
    stack_used: int
    ticks: tuple[int, float, int] | None
    ticks_per_second: int
    sent_again: int


class Engine(ABC):
    """A converted model on one runtime, with the state of one stream.

    ``step`` and ``run`` speak physical units; ``invoke`` speaks the model's integers.
    """

    name: str
    # The one arithmetic that the runtime has; None where it follows the model.
    arithmetic: Arithmetic | None = None

    def __init__(self, network: QuantizedNetwork) -> None:
        self.network = network

    @property
    def exact(self) -> bool:
        """True where the engine has the model's arithmetic, so that every bit must agree."""
        return self.arithmetic in (None, self.network.arithmetic)

    @abstractmethod
    def reset(self) -> None:
        """Start a new sequence."""

    @abstractmethod
    def invoke(self, inputs: Int8Array) -> Int8Array:
        """One call of the model. Stream form: int8 [features] to [outputs], one step on from
        the present state. Window form: int8 [window, features] from a reset, to [outputs] or
        [window, outputs]."""

    @property
    @abstractmethod
    def state(self) -> dict[str, LayerState]:
        """The state of each LSTM by layer name, in model order."""

    @abstractmethod
    def describe(self) -> str:
        """The runtime and its version, for reports."""

    def figures(self) -> DeviceFigures | None:
        """What the runtime measured by itself; None for one that is no device."""
        return None

    def close(self) -> None:  # noqa: B027 - most engines hold nothing that must be given back
        """Give back what the engine holds; it cannot be used afterwards."""

    def step(self, x: npt.ArrayLike) -> FloatArray:
        """One step: physical values [features] to [outputs]. Stream form only."""
        if self.network.form != "stream":
            raise InputError(
                f"the window model '{self.network.name}' takes {self.network.window} steps a "
                "call: use run, or convert with --form stream"
            )
        values = _numbers(x)
        if values.shape != (self.network.features,):
            raise InputError(
                f"a step has shape {list(values.shape)}, the model takes "
                f"[{self.network.features}] features"
            )
        return self.network.output.dequantize(self.invoke(self.network.input.quantize(values)))

    def run(self, x: npt.ArrayLike) -> FloatArray:
        """A whole sequence from a reset: physical values [T, features] to the shape of Keras'
        ``predict`` without the batch, [outputs] or [T, outputs]."""
        values = _numbers(x)
        if values.ndim != 2 or values.shape[1] != self.network.features or not len(values):
            raise InputError(
                f"a sequence has shape {list(values.shape)}, the model takes "
                f"[steps, {self.network.features}]"
            )
        self.reset()
        quantized = self.network.input.quantize(values)
        if self.network.form == "window":
            if len(values) != self.network.window:
                raise InputError(
                    f"the window model '{self.network.name}' takes {self.network.window} steps, "
                    f"not {len(values)}"
                )
            answers = self.invoke(quantized)
        else:
            steps = np.stack([self.invoke(step) for step in quantized])
            answers = steps if self.network.returns_sequence else steps[-1]
        return self.network.output.dequantize(answers)


def _numbers(x: npt.ArrayLike) -> FloatArray:
    try:
        with np.errstate(over="ignore"):  # what overflows float32 saturates anyway
            return np.asarray(x, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"the input is no array of numbers: {error}") from error
