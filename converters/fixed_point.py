"""Integer arithmetic of the LiteRT and tflite-micro kernels, vectorised over NumPy arrays.

Every function names the format of its operands: ``Qm.n`` is a signed integer with ``m``
integer and ``n`` fractional bits. Values travel in int64 arrays so that no intermediate
overflows by accident; where LiteRT saturates, the functions saturate.

Sources of the formulas: gemmlowp ``fixedpoint.h`` (exp, logistic, tanh, reciprocal) and
TensorFlow Lite ``kernels/internal/common.h`` (multipliers), release named in DESIGN.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Multiplier",
    "exp_on_negative",
    "largest_fraction",
    "multiply_by_quantized_multiplier",
    "multiply_by_quantized_multiplier_single_rounding",
    "newton_reciprocal",
    "one_over_one_plus",
    "quantize_multiplier",
    "round_half_away",
    "rounding_divide_by_power_of_two",
    "saturate",
    "saturating_doubling_high_multiply",
]

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Multiplier:
    """The real number ``significand * 2**(shift - 31)``, significand in Q0.31."""

    significand: int
    shift: int


def quantize_multiplier(real: float) -> Multiplier:
    """The nearest ``Multiplier`` to a real number ≥ 0 (TensorFlow Lite ``QuantizeMultiplier``)."""
    if real == 0.0:
        return Multiplier(0, 0)
    fraction, exponent = math.frexp(real)
    significand = math.floor(fraction * (1 << 31) + 0.5)
    if significand == 1 << 31:
        significand //= 2
        exponent += 1
    if exponent < -31:
        return Multiplier(0, 0)
    return Multiplier(significand, exponent)


def saturate(values: Int64Array, bits: int) -> Int64Array:
    """Clamp to the range of a signed integer of ``bits`` bits."""
    return np.clip(values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def round_half_away(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Round to the nearest integer, halves away from zero, as C's ``round`` does."""
    half = values.dtype.type(0.5)
    return np.asarray(np.copysign(np.floor(np.abs(values) + half), values))


def rounding_divide_by_power_of_two(values: Int64Array, exponent: int) -> Int64Array:
    """``values / 2**exponent``, rounded to nearest, halves away from zero."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (values < 0)
    return (values >> exponent) + ((values & mask) > threshold)


def saturating_doubling_high_multiply(a: Int64Array, b: Int64Array | int, bits: int) -> Int64Array:
    """High half of ``2 * a * b`` of ``bits``-bit integers, rounded to nearest, halves up."""
    product = a * b
    return saturate((product + (1 << (bits - 2))) >> (bits - 1), bits)


def multiply_by_quantized_multiplier(values: Int64Array, multiplier: Multiplier) -> Int64Array:
    """``values`` (int32) times a multiplier, rounded twice, as LiteRT's LSTM does."""
    shifted = values * (1 << max(multiplier.shift, 0))
    product = saturating_doubling_high_multiply(shifted, multiplier.significand, 32)
    return rounding_divide_by_power_of_two(product, max(-multiplier.shift, 0))


def multiply_by_quantized_multiplier_single_rounding(
    values: Int64Array, multiplier: Multiplier
) -> Int64Array:
    """``values`` (int32) times a multiplier, rounded once, as LiteRT's FULLY_CONNECTED does."""
    total_shift = 31 - multiplier.shift
    return (values * multiplier.significand + (1 << (total_shift - 1))) >> total_shift


# exp, logistic and tanh: gemmlowp's scheme at a width of 16 or 32 bits. Constants are given
# in 32 bits there; at 16 bits each is rounded to its upper half.

_EXP_MINUS_ONE_EIGHTH = 1895147668  # exp(-1/8), Q0.31
_ONE_THIRD = 715827883  # 1/3, Q0.31
_EXP_BARREL = (  # (log2 of the exponent, exp(-2**that), Q0.31)
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
_48_OVER_17 = 1515870810  # Q2.29
_MINUS_32_OVER_17 = -1010580540  # Q2.29


def _constant(q31: int, bits: int) -> int:
    shift = 32 - bits
    return q31 if shift == 0 else (q31 + (1 << (shift - 1))) >> shift


def largest_fraction(bits: int) -> int:
    """1 - epsilon, the largest value of Q0.(bits-1)."""
    return (1 << (bits - 1)) - 1


def _exp_between_minus_quarter_and_zero(a: Int64Array, bits: int) -> Int64Array:
    """exp(a) for ``a`` in [-1/4, 0), Q0.(bits-1): Taylor series of degree 4 around -1/8."""

    def multiply(x: Int64Array, y: Int64Array | int) -> Int64Array:
        return saturating_doubling_high_multiply(x, y, bits)

    x = a + (1 << (bits - 4))
    x2 = multiply(x, x)
    x3 = multiply(x2, x)
    x4_over_4 = rounding_divide_by_power_of_two(multiply(x2, x2), 2)
    series = rounding_divide_by_power_of_two(
        multiply(x4_over_4 + x3, _constant(_ONE_THIRD, bits)) + x2, 1
    )
    constant = _constant(_EXP_MINUS_ONE_EIGHTH, bits)
    return saturate(constant + multiply(x + series, constant), bits)


def exp_on_negative(a: Int64Array, integer_bits: int, bits: int) -> Int64Array:
    """exp(a) in Q0.(bits-1) for ``a`` ≤ 0 with ``integer_bits`` integer bits."""
    fractional_bits = bits - 1 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    a_mod_quarter = (a & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_zero(a_mod_quarter << integer_bits, bits)
    remainder = a_mod_quarter - a
    for exponent, factor in _EXP_BARREL:
        if integer_bits > exponent:
            bit_set = (remainder & (1 << (fractional_bits + exponent))) != 0
            product = saturating_doubling_high_multiply(result, _constant(factor, bits), bits)
            result = np.where(bit_set, product, result)
    if integer_bits > 5:
        result = np.where(a < -(1 << (fractional_bits + 5)), 0, result)
    return np.where(a == 0, largest_fraction(bits), result)


def newton_reciprocal(a: Int64Array, bits: int) -> Int64Array:
    """2 / (1 + a) in Q2.(bits-3) for ``a`` in [0, 1], Q0.(bits-1): three Newton-Raphson steps."""

    def multiply(x: Int64Array, y: Int64Array | int) -> Int64Array:
        return saturating_doubling_high_multiply(x, y, bits)

    total = a + largest_fraction(bits)
    half_denominator = (total + 1) >> 1  # the sum is ≥ 0, so half up is half away
    x = _constant(_48_OVER_17, bits) + multiply(
        half_denominator, _constant(_MINUS_32_OVER_17, bits)
    )
    for _ in range(3):
        one_minus = (1 << (bits - 3)) - multiply(half_denominator, x)
        x = x + saturate(multiply(x, one_minus) << 2, bits)
    return x


def one_over_one_plus(a: Int64Array, bits: int) -> Int64Array:
    """1 / (1 + a) in Q0.(bits-1): half of the Newton result is that, read at Q1."""
    return saturate(newton_reciprocal(a, bits) << 1, bits)
