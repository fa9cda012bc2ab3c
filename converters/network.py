"""The two networks that the compiler passes along: float, then integer.

Both are directed graphs in topological order. A node names the value it reads, and its own
name is that of the value it makes. An op names the tensors it reads and makes.
Shapes leave out the batch: a sequence is [T, C], a vector [C]. Gate order is i, f, c, o.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Activation",
    "ActivationOp",
    "Affine",
    "Arithmetic",
    "Dense",
    "Form",
    "FullyConnectedOp",
    "Function",
    "Input",
    "LastStep",
    "LastStepOp",
    "Lstm",
    "LstmOp",
    "Network",
    "Node",
    "Op",
    "Port",
    "QuantizedNetwork",
    "QuantizedTensor",
]

FloatArray: TypeAlias = npt.NDArray[np.float32]
Int8Array: TypeAlias = npt.NDArray[np.int8]
Int32Array: TypeAlias = npt.NDArray[np.int32]

Arithmetic: TypeAlias = Literal["litert", "tflm"]
Form: TypeAlias = Literal["stream", "window"]
Function: TypeAlias = Literal["relu", "sigmoid", "tanh", "softmax"]


# --- Float -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """The one input: sequences of ``features`` values a step, in physical units."""

    name: str
    features: int


@dataclass(frozen=True)
class Affine:
    """``x * scale + offset`` per channel: Normalization or Rescaling. Both float32 [C]."""

    name: str
    input: str
    scale: FloatArray
    offset: FloatArray


@dataclass(frozen=True)
class Lstm:
    """An LSTM over a sequence, from a zero state; its value is every step, [T, units].

    kernel [features, 4 * units], recurrent_kernel [units, 4 * units], bias [4 * units],
    float32, columns in gate order i, f, c, o as Keras keeps them.
    """

    name: str
    input: str
    kernel: FloatArray
    recurrent_kernel: FloatArray
    bias: FloatArray

    @property
    def units(self) -> int:
        """Width of the output."""
        return int(self.recurrent_kernel.shape[0])


@dataclass(frozen=True)
class LastStep:
    """The last step of a sequence: [T, C] to [C]."""

    name: str
    input: str


@dataclass(frozen=True)
class Dense:
    """``x @ kernel + bias`` on the last axis. kernel [C, units], bias [units], float32."""

    name: str
    input: str
    kernel: FloatArray
    bias: FloatArray

    @property
    def units(self) -> int:
        """Width of the output."""
        return int(self.kernel.shape[1])


@dataclass(frozen=True)
class Activation:
    """An element-wise function, or softmax over the last axis."""

    name: str
    input: str
    function: Function


Node: TypeAlias = Affine | Lstm | LastStep | Dense | Activation


@dataclass(frozen=True)
class Network:
    """A float model as the compiler sees it.

    ``window`` is the number of steps the model was built for, None where it takes any.
    ``output`` names the node whose value the model returns.
    """

    name: str
    input: Input
    nodes: tuple[Node, ...]
    output: str
    window: int | None

    @property
    def returns_sequence(self) -> bool:
        """True when the model answers at every step, as Keras' return_sequences does."""
        return not any(isinstance(node, LastStep) for node in self.nodes)


# --- Integer ---------------------------------------------------------------------------


@dataclass(frozen=True)
class QuantizedTensor:
    """An int8 activation: real = scale * (q - zero_point). ``scale`` is a float32 value."""

    name: str
    channels: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class LstmOp:
    """A fused int8 LSTM: input int8, hidden int8 (the output tensor), cell int16.

    kernel int8 [4, units, inputs], recurrent_kernel int8 [4, units, units], bias int32
    [4, units] at input scale * kernel scale; one symmetric scale a gate. The cell scale
    is a power of two from 2**-15 up; the hidden state has the output's quantization.
    """

    input: str
    output: str
    kernel: Int8Array
    recurrent_kernel: Int8Array
    bias: Int32Array
    kernel_scales: tuple[float, float, float, float]
    recurrent_scales: tuple[float, float, float, float]
    cell_scale: float

    @property
    def units(self) -> int:
        """Width of the output."""
        return int(self.kernel.shape[1])

    @property
    def inputs(self) -> int:
        """Width of the input."""
        return int(self.kernel.shape[2])


@dataclass(frozen=True)
class FullyConnectedOp:
    """A matrix product on the last axis, with relu fused where ``relu`` is set.

    weights int8 [outputs, inputs], symmetric; bias int32 [outputs] at input scale *
    weight scale.
    """

    input: str
    output: str
    weights: Int8Array
    bias: Int32Array
    weight_scale: float
    relu: bool


@dataclass(frozen=True)
class ActivationOp:
    """Sigmoid, tanh or softmax between two int8 tensors."""

    input: str
    output: str
    function: Literal["sigmoid", "tanh", "softmax"]


@dataclass(frozen=True)
class LastStepOp:
    """Picks the last step of a window; not in a stream model, where every step is the last."""

    input: str
    output: str


Op: TypeAlias = LstmOp | FullyConnectedOp | ActivationOp | LastStepOp


@dataclass(frozen=True)
class Port:
    """Where physical values meet integers: an input or an output, channel by channel.

    physical = scale * (q - zero_point), with scale and zero_point float32 [C]. The zero
    points need not be integers nor fit int8. ``lower`` and ``upper`` [C] are the
    calibrated range, in physical units. ``open_ends`` tells for the lower and the upper
    end of int8 whether values beyond it exist: they do not below a relu's zero, nor at
    either end of sigmoid, tanh and softmax, so an end value there is no saturation.
    """

    name: str
    tensor: str
    labels: tuple[str, ...]
    scale: FloatArray
    zero_point: FloatArray
    lower: FloatArray
    upper: FloatArray
    open_ends: tuple[bool, bool] = (True, True)

    def quantize(self, values: npt.ArrayLike) -> Int8Array:
        """Physical values [..., C] to int8, halves away from zero; what does not fit saturates,
        and not-a-number becomes -128.

        The C helper does the same operations in the same order in float32.
        """
        with np.errstate(over="ignore"):
            steps = np.asarray(values, np.float32) / self.scale + self.zero_point
        steps = np.where(np.isnan(steps), np.float32(-128), steps)
        limited = np.clip(steps, np.float32(-128), np.float32(127))
        rounded = np.copysign(np.floor(np.abs(limited) + np.float32(0.5)), limited)
        return np.asarray(rounded, np.int8)

    def dequantize(self, values: Int8Array) -> FloatArray:
        """int8 values [..., C] to physical float32."""
        return (values.astype(np.float32) - self.zero_point) * self.scale


@dataclass(frozen=True)
class QuantizedNetwork:
    """An integer model in one form, in the arithmetic of one runtime. ``window`` is the number
    of steps of the window form, and of the sequences the model was calibrated on; None where
    that is not known."""

    name: str
    arithmetic: Arithmetic
    form: Form
    window: int | None
    input: Port
    output: Port
    returns_sequence: bool
    tensors: dict[str, QuantizedTensor]
    ops: tuple[Op, ...]

    @property
    def lstms(self) -> tuple[LstmOp, ...]:
        """The ops that keep a state, in model order."""
        return tuple(op for op in self.ops if isinstance(op, LstmOp))

    @property
    def features(self) -> int:
        """Input values a step."""
        return self.tensors[self.input.tensor].channels

    @property
    def outputs(self) -> int:
        """Output values an answer."""
        return self.tensors[self.output.tensor].channels

    @property
    def steps_per_call(self) -> int:
        """Time steps that one call takes. Raises ValueError for a window of unknown length."""
        if self.form == "stream":
            return 1
        if self.window is None:
            raise ValueError("a window model without a window")
        return self.window

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulates of one step of the stream form."""
        products = [op.kernel.size + op.recurrent_kernel.size for op in self.lstms]
        products += [op.weights.size for op in self.ops if isinstance(op, FullyConnectedOp)]
        return sum(products)
