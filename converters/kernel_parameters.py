"""The integers that a kernel runs on: scales become multipliers, zero points fold into biases.

One op of a ``QuantizedNetwork`` in, the constants of its C kernel out. The oracle runs on
the same ones. Products of scales are formed in the precision that LiteRT forms them in; a
different rounding there changes the last bit of a multiplier.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.fixed_point import (
    Multiplier,
    exp_on_negative,
    largest_fraction,
    multiply_by_quantized_multiplier,
    newton_reciprocal,
    one_over_one_plus,
    quantize_multiplier,
    round_half_away,
    rounding_divide_by_power_of_two,
    saturate,
    saturating_doubling_high_multiply,
)
from converters.network import (
    ActivationOp,
    Arithmetic,
    FullyConnectedOp,
    LstmOp,
    QuantizedTensor,
)

__all__ = [
    "FullyConnectedParameters",
    "LstmParameters",
    "fully_connected_parameters",
    "largest_accumulator_shift",
    "lookup_table",
    "lstm_parameters",
    "softmax_exponentials",
]

Int32Array = npt.NDArray[np.int32]

_GATE_SCALE = 2.0**-12  # Q3.12, the input of sigmoid and tanh


@dataclass(frozen=True)
class LstmParameters:
    """Constants of an int8 LSTM step, gates in order i, f, c, o.

    input_bias, recurrent_bias: int32 [4, units], zero points folded in. The multipliers take
    accumulators to Q3.12. ``cell_shift`` takes Q0.30 to the cell's format, c = f·c + i·g;
    ``cell_integer_bits`` is that format for tanh. ``hidden_multiplier`` takes Q0.30 to the
    hidden state.
    """

    input_bias: Int32Array
    recurrent_bias: Int32Array
    input_multipliers: tuple[Multiplier, ...]
    recurrent_multipliers: tuple[Multiplier, ...]
    cell_shift: int
    cell_integer_bits: int
    hidden_multiplier: Multiplier
    hidden_zero_point: int


@dataclass(frozen=True)
class FullyConnectedParameters:
    """Constants of an int8 fully connected layer: bias int32 [outputs] with the zero point
    folded in, multiplier to the output's scale, output zero point and limits."""

    bias: Int32Array
    multiplier: Multiplier
    zero_point: int
    lower: int
    upper: int


def lstm_parameters(
    op: LstmOp, source: QuantizedTensor, hidden: QuantizedTensor, arithmetic: Arithmetic
) -> LstmParameters:
    """Constants of ``op`` between its input tensor and its hidden state."""
    kernel_sums = op.kernel.sum(axis=2, dtype=np.int64)
    recurrent_sums = op.recurrent_kernel.sum(axis=2, dtype=np.int64)
    cell_exponent = round(math.log2(op.cell_scale))
    half = np.float32(2.0**-15)
    return LstmParameters(
        input_bias=(op.bias - source.zero_point * kernel_sums).astype(np.int32),
        recurrent_bias=(-hidden.zero_point * recurrent_sums).astype(np.int32),
        input_multipliers=_gate_multipliers(op.kernel_scales, source.scale, arithmetic),
        recurrent_multipliers=_gate_multipliers(op.recurrent_scales, hidden.scale, arithmetic),
        cell_shift=30 + cell_exponent,
        cell_integer_bits=15 + cell_exponent,
        hidden_multiplier=quantize_multiplier(float(half / np.float32(hidden.scale) * half)),
        hidden_zero_point=hidden.zero_point,
    )


def _gate_multipliers(
    scales: tuple[float, ...], activation_scale: float, arithmetic: Arithmetic
) -> tuple[Multiplier, ...]:
    """LiteRT forms the product of the scales in float32, tflite-micro in double."""
    kind = np.float32 if arithmetic == "litert" else np.float64
    return tuple(
        quantize_multiplier(float(kind(scale) * kind(activation_scale)) / _GATE_SCALE)
        for scale in scales
    )


def largest_accumulator_shift(
    op: LstmOp, source: QuantizedTensor, hidden: QuantizedTensor, arithmetic: Arithmetic
) -> float:
    """Log2 of the largest value that a gate's accumulator can reach after the multiplier's
    left shift: from 31 on, int32 overflows."""
    parameters = lstm_parameters(op, source, hidden, arithmetic)
    largest = -math.inf
    for weights, bias, multipliers in (
        (op.kernel, parameters.input_bias, parameters.input_multipliers),
        (op.recurrent_kernel, parameters.recurrent_bias, parameters.recurrent_multipliers),
    ):
        magnitudes = 128 * np.abs(weights.astype(np.int64)).sum(axis=2) + np.abs(
            bias.astype(np.int64)
        )
        for magnitude, multiplier in zip(magnitudes.max(axis=1), multipliers, strict=True):
            largest = max(largest, math.log2(max(magnitude, 1)) + max(multiplier.shift, 0))
    return largest


def fully_connected_parameters(
    op: FullyConnectedOp, source: QuantizedTensor, output: QuantizedTensor
) -> FullyConnectedParameters:
    """Constants of ``op`` between its input and output tensors."""
    sums = op.weights.sum(axis=1, dtype=np.int64)
    return FullyConnectedParameters(
        bias=(op.bias - source.zero_point * sums).astype(np.int32),
        multiplier=quantize_multiplier(source.scale * op.weight_scale / output.scale),
        zero_point=output.zero_point,
        lower=max(-128, output.zero_point) if op.relu else -128,
        upper=127,
    )


def lookup_table(
    op: ActivationOp, source: QuantizedTensor, output: QuantizedTensor, arithmetic: Arithmetic
) -> npt.NDArray[np.int8]:
    """Sigmoid or tanh of every int8 input, int8 [256]; the index is ``input + 128``."""
    if arithmetic == "tflm":
        return _tflm_table(op, source)
    return _litert_table(op, source, output)


def _tflm_table(op: ActivationOp, source: QuantizedTensor) -> npt.NDArray[np.int8]:
    """tflite-micro computes in fixed point: Q4.27 in, Q0.31 out, rounded to int8."""
    multiplier = quantize_multiplier(source.scale * (1 << 27))
    # What lies farther out than 15 in Q4.27 is taken for the end value.
    radius = int(15 * 2.0 ** (27 - multiplier.shift))
    inputs = np.arange(-128, 128, dtype=np.int64) - source.zero_point
    inside = np.abs(inputs) < radius
    q4_27 = multiply_by_quantized_multiplier(np.where(inside, inputs, 0), multiplier)
    sign = np.sign(q4_27)
    if op.function == "tanh":
        reciprocal = newton_reciprocal(exp_on_negative(-np.abs(q4_27), 5, 32), 32)
        magnitude = saturate((reciprocal - (1 << 29)) << 2, 32)
        steps = rounding_divide_by_power_of_two(sign * magnitude, 24)
    else:
        positive = one_over_one_plus(exp_on_negative(-np.abs(q4_27), 4, 32), 32)
        q0_31 = np.where(sign > 0, positive, largest_fraction(32) - positive)
        q0_31 = np.where(sign == 0, 1 << 30, q0_31)
        steps = rounding_divide_by_power_of_two(q0_31, 23) - 128
    end = np.where(inputs > 0, 127, -128)
    return np.where(inside, saturate(steps, 8), end).astype(np.int8)


def _litert_table(
    op: ActivationOp, source: QuantizedTensor, output: QuantizedTensor
) -> npt.NDArray[np.int8]:
    """LiteRT builds this table in float32 when it prepares the op."""
    inputs = np.arange(-128, 128, dtype=np.float32)
    real = np.float32(source.scale) * (inputs - np.float32(source.zero_point))
    with np.errstate(over="ignore"):  # exp of a large number is inf, 1 / inf the right zero
        value = np.tanh(real) if op.function == "tanh" else 1 / (1 + np.exp(-real))
    steps = round_half_away(np.asarray(value, np.float32) / np.float32(output.scale))
    return np.asarray(np.clip(steps + output.zero_point, -128, 127), np.int8)


def softmax_exponentials(source: QuantizedTensor) -> Int32Array:
    """exp(-scale * d) for each distance d from the largest input, Q0.31, up to the last one
    that LiteRT's softmax does not take for zero (int32, at most 256 entries)."""
    q5_26 = min(source.scale * (1 << 26), float((1 << 31) - 1))
    multiplier = quantize_multiplier(q5_26)
    distances = np.arange(256, dtype=np.int64)
    limit = (31 << 26) >> multiplier.shift
    distances = distances[distances <= limit]
    scaled = saturating_doubling_high_multiply(
        -distances << multiplier.shift, multiplier.significand, 32
    )
    return exp_on_negative(scaled, 5, 32).astype(np.int32)
