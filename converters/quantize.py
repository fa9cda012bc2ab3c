"""Float ``Network`` + ranges → ``QuantizedNetwork``: where ranges become scales and weights
become int8.

Activations are asymmetric int8 over their calibrated range, weights symmetric int8 per
matrix, biases int32, cell states int16 at a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import assert_never

import numpy as np
import numpy.typing as npt

from converters.activation_tables import MOST_CELL_INTEGER_BITS
from converters.calibrate import Range, Ranges
from converters.errors import UnsupportedError
from converters.kernel_parameters import largest_accumulator_shift
from converters.network import (
    Activation,
    ActivationOp,
    Affine,
    Arithmetic,
    Dense,
    Form,
    FullyConnectedOp,
    LastStep,
    LastStepOp,
    Lstm,
    LstmOp,
    Network,
    Op,
    Port,
    QuantizedNetwork,
    QuantizedTensor,
)
from converters.scaling import LiftedNetwork, Units, lift_scaling, quantized_tensor

__all__ = ["quantize"]

FloatArray = npt.NDArray[np.float32]

# Formats that TensorFlow Lite prescribes for the outputs of these functions.
_FIXED_FORMATS = {"sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0), "softmax": (1 / 256, -128)}

# LiteRT's reference softmax aborts the process where the sum of exponentials reaches 512.
_MOST_SOFTMAX_CHANNELS = 511

# An accumulator is an int32; half of it is left to the products beside the bias.
_LARGEST_BIAS = (1 << 30) - 1


def quantize(
    network: Network,
    ranges: Ranges,
    *,
    form: Form,
    arithmetic: Arithmetic = "litert",
    feature_labels: Sequence[str] | None = None,
    output_labels: Sequence[str] | None = None,
) -> QuantizedNetwork:
    """Quantize ``network`` to int8 in the given form, for the arithmetic of one runtime.

    Raises UnsupportedError where a layer cannot be held in that runtime's int8 formats.
    """
    lifted = lift_scaling(network, ranges)
    tensors, ops = _Builder(lifted, ranges, form, arithmetic).build()
    input_port = _port(
        network.input.name,
        tensors[lifted.input_tensor.name],
        lifted.input_units,
        ranges.values[network.input.name],
        feature_labels,
    )
    output_tensor = tensors[ops[-1].output]
    output_port = _port(
        network.output,
        output_tensor,
        lifted.output_units,
        ranges.values[network.output],
        output_labels,
        _open_ends(ops[-1], lifted.output_units),
    )
    return QuantizedNetwork(
        name=network.name,
        arithmetic=arithmetic,
        form=form,
        window=network.window or ranges.steps,
        input=input_port,
        output=output_port,
        returns_sequence=network.returns_sequence,
        tensors=tensors,
        ops=ops,
    )


def _port(
    name: str,
    tensor: QuantizedTensor,
    units: Units,
    seen: Range,
    labels: Sequence[str] | None,
    open_ends: tuple[bool, bool] = (True, True),
) -> Port:
    scale = units.scale * tensor.scale
    if not labels:
        labels = (
            [name] if tensor.channels == 1 else [f"{name}[{i}]" for i in range(tensor.channels)]
        )
    return Port(
        name=name,
        tensor=tensor.name,
        labels=tuple(labels),
        scale=scale.astype(np.float32),
        zero_point=(tensor.zero_point - units.offset / scale).astype(np.float32),
        lower=seen.lower,
        upper=seen.upper,
        open_ends=open_ends,
    )


def _open_ends(last: Op, units: Units) -> tuple[bool, bool]:
    match last:
        case ActivationOp():
            return (False, False)
        case FullyConnectedOp(relu=True):
            return (False, True) if units.scale[0] > 0 else (True, False)
        case _:
            return (True, True)


class _Builder:
    """Walks the nodes once and collects tensors and ops."""

    def __init__(
        self, lifted: LiftedNetwork, ranges: Ranges, form: Form, arithmetic: Arithmetic
    ) -> None:
        self._lifted = lifted
        self._ranges = ranges
        self._form = form
        self._arithmetic = arithmetic
        self._tensors = {lifted.input_tensor.name: lifted.input_tensor}
        self._ops: list[Op] = []
        # Tensor that holds a node's value; nodes that compute nothing share one.
        self._holder = {lifted.network.input.name: lifted.input_tensor.name}

    def build(self) -> tuple[dict[str, QuantizedTensor], tuple[Op, ...]]:
        for node in self._lifted.network.nodes:
            source = self._tensors[self._holder[node.input]]
            match node:
                case Lstm():
                    self._lstm(node, source)
                case Dense():
                    self._dense(node, source)
                case Activation():
                    self._activation(node, source)
                case LastStep():
                    self._last_step(node, source)
                case Affine():
                    raise AssertionError("scaling was lifted")
                case _:
                    assert_never(node)
        return self._tensors, tuple(self._ops)

    def _add(self, node: str, op: Op, tensor: QuantizedTensor) -> None:
        self._ops.append(op)
        self._tensors[tensor.name] = tensor
        self._holder[node] = tensor.name

    def _lstm(self, layer: Lstm, source: QuantizedTensor) -> None:
        hidden = quantized_tensor(layer.name, self._ranges.values[layer.name])
        cell_scale = _cell_scale(layer.name, self._ranges.cells[layer.name], self._arithmetic)
        op = _quantize_lstm(layer, source, hidden, cell_scale)
        _check_accumulators(op, source, hidden, self._arithmetic)
        self._add(layer.name, op, hidden)

    def _dense(self, layer: Dense, source: QuantizedTensor) -> None:
        relu = self._relu_after(layer)
        output = self._lifted.output_tensor
        if output is None or output.name != layer.name:
            name = relu.name if relu else layer.name
            output = quantized_tensor(name, self._ranges.values[name])
        op = _quantize_dense(layer, source, output, relu=relu is not None)
        self._add(layer.name, op, output)

    def _relu_after(self, layer: Dense) -> Activation | None:
        for node in self._lifted.network.nodes:
            if isinstance(node, Activation) and node.input == layer.name:
                return node if node.function == "relu" else None
        return None

    def _activation(self, node: Activation, source: QuantizedTensor) -> None:
        if node.function == "relu":  # fused into the Dense that feeds it
            self._holder[node.name] = source.name
            return
        if node.function == "softmax" and source.channels > _MOST_SOFTMAX_CHANNELS:
            raise UnsupportedError(
                f"layer '{node.name}': softmax over {source.channels} channels; LiteRT's int8 "
                f"softmax sums at most {_MOST_SOFTMAX_CHANNELS}: use linear outputs and take "
                "the largest"
            )
        scale, zero_point = _FIXED_FORMATS[node.function]
        tensor = QuantizedTensor(node.name, source.channels, scale, zero_point)
        self._add(node.name, ActivationOp(source.name, tensor.name, node.function), tensor)

    def _last_step(self, node: LastStep, source: QuantizedTensor) -> None:
        if self._form == "stream":
            self._holder[node.name] = source.name
            return
        tensor = QuantizedTensor(node.name, source.channels, source.scale, source.zero_point)
        self._add(node.name, LastStepOp(source.name, tensor.name), tensor)


def _quantize_lstm(
    layer: Lstm, source: QuantizedTensor, hidden: QuantizedTensor, cell_scale: float
) -> LstmOp:
    kernels = np.split(layer.kernel.T, 4)
    recurrent_kernels = np.split(layer.recurrent_kernel.T, 4)
    biases = np.split(layer.bias, 4)
    kernel_scales = tuple(
        _weight_scale(kernel, bias, source.scale)
        for kernel, bias in zip(kernels, biases, strict=True)
    )
    recurrent_scales = tuple(_weight_scale(kernel) for kernel in recurrent_kernels)
    return LstmOp(
        input=source.name,
        output=hidden.name,
        kernel=_stack_weights(kernels, kernel_scales),
        recurrent_kernel=_stack_weights(recurrent_kernels, recurrent_scales),
        bias=np.stack(
            [
                _quantize_bias(bias, source.scale * scale)
                for bias, scale in zip(biases, kernel_scales, strict=True)
            ]
        ),
        kernel_scales=kernel_scales,  # type: ignore[arg-type]  # np.split gives four
        recurrent_scales=recurrent_scales,  # type: ignore[arg-type]
        cell_scale=cell_scale,
    )


def _quantize_dense(
    layer: Dense, source: QuantizedTensor, output: QuantizedTensor, *, relu: bool
) -> FullyConnectedOp:
    weights = layer.kernel.T
    scale = _weight_scale(weights, layer.bias, source.scale)
    return FullyConnectedOp(
        input=source.name,
        output=output.name,
        weights=_quantize_weights(weights, scale),
        bias=_quantize_bias(layer.bias, source.scale * scale),
        weight_scale=scale,
        relu=relu,
    )


def _weight_scale(
    weights: FloatArray, bias: FloatArray | None = None, input_scale: float = 1.0
) -> float:
    """Symmetric int8 scale, wide enough that the bias fits int32 at input scale * scale."""
    scale = float(np.abs(weights).max()) / 127
    if bias is not None:
        scale = max(scale, float(np.abs(bias).max()) / (input_scale * _LARGEST_BIAS))
    return float(np.float32(scale)) or 1.0


def _quantize_weights(weights: FloatArray, scale: float) -> npt.NDArray[np.int8]:
    return np.clip(np.round(weights / np.float64(scale)), -127, 127).astype(np.int8)


def _stack_weights(matrices: Sequence[FloatArray], scales: Sequence[float]) -> npt.NDArray[np.int8]:
    return np.stack([_quantize_weights(m, s) for m, s in zip(matrices, scales, strict=True)])


def _quantize_bias(bias: FloatArray, scale: float) -> npt.NDArray[np.int32]:
    return np.round(bias / np.float64(scale)).astype(np.int32)


def _cell_scale(layer: str, largest: float, arithmetic: Arithmetic) -> float:
    """Power of two with a spare bit above the largest |c| seen, down to 2**-15.

    Sixteen bits are more than the cell needs, and a state beyond its format would be cut;
    the spare bit is given up only at the limit of the kernel.
    """
    most_bits = MOST_CELL_INTEGER_BITS[arithmetic]
    if largest > 1 << most_bits:
        if arithmetic == "litert":
            reach = 1 << MOST_CELL_INTEGER_BITS["tflm"]
            limit, advice = (
                "LiteRT's int8 LSTM can hold",
                f"--arithmetic tflm reaches {reach}, and 16x8 quantization, which this version "
                "of edge-lstm does not have, reaches further",
            )
        else:
            limit = "tflite-micro's int8 LSTM can hold"
            advice = "shorten the sequences or train with a smaller cell state"
        raise UnsupportedError(
            f"layer '{layer}': the cell state reaches {largest:.3g} on the calibration data, "
            f"beyond the {1 << most_bits} that {limit}; {advice}"
        )
    needed = math.ceil(math.log2(2 * largest)) if largest > 0 else 0
    return 2.0 ** (min(max(needed, 0), most_bits) - 15)


def _check_accumulators(
    op: LstmOp, source: QuantizedTensor, hidden: QuantizedTensor, arithmetic: Arithmetic
) -> None:
    # One bit is left for the kernels' doubling products.
    if largest_accumulator_shift(op, source, hidden, arithmetic) >= 30:
        raise UnsupportedError(
            f"layer '{op.output}': its gates see values so large that the runtime's int32 "
            "arithmetic overflows; put a Normalization layer in front of the model or check the "
            "weights"
        )
