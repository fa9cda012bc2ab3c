"""Sigmoid and tanh of every int16 input, by the arithmetic of each runtime.

Both functions have 65,536 inputs only, so the oracle looks them up.

* ``litert``: exp by polynomial and barrel shifter, 1 / (1 + x) by Newton-Raphson (gemmlowp).
* ``tflm``: one table of sigmoid with linear interpolation (tflite-micro
  ``integer_ops/logistic.h`` and ``tanh.h``); tanh(x) = 2 sigmoid(2x) - 1.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from converters.fixed_point import (
    exp_on_negative,
    largest_fraction,
    newton_reciprocal,
    one_over_one_plus,
    saturate,
)
from converters.network import Arithmetic

__all__ = [
    "MOST_CELL_INTEGER_BITS",
    "interpolation_table",
    "sigmoid_q15_table",
    "tanh_q15_table",
]

Int64Array = npt.NDArray[np.int64]
Int16Array = npt.NDArray[np.int16]

# LiteRT's int16 tanh takes no more; tflite-micro's is right up to here.
MOST_CELL_INTEGER_BITS: dict[Arithmetic, int] = {"litert": 6, "tflm": 8}

# Entries of tflite-micro's table that are one above the rounded value of the function.
_ONE_ABOVE = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41,
    43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip


@functools.cache
def sigmoid_q15_table(arithmetic: Arithmetic) -> Int16Array:
    """Sigmoid of every int16 input in Q3.12, as Q0.15; the index is ``input + 32768``."""
    if arithmetic == "tflm":
        return _interpolated_sigmoid(_all_int16() * 3)
    inputs = _all_int16()
    positive = one_over_one_plus(exp_on_negative(-np.abs(inputs), 3, 16), 16)
    result = np.where(inputs > 0, positive, largest_fraction(16) - positive)
    return np.where(inputs == 0, 1 << 14, result).astype(np.int16)


@functools.cache
def tanh_q15_table(arithmetic: Arithmetic, integer_bits: int) -> Int16Array:
    """Tanh of every int16 input with ``integer_bits`` integer bits, 0 to
    ``MOST_CELL_INTEGER_BITS``, as Q0.15; the index is ``input + 32768``."""
    inputs = _all_int16()
    if arithmetic == "tflm":
        shift = integer_bits - 3
        if shift >= 0:
            return _interpolated_tanh(inputs * (3 << shift))
        return _interpolated_tanh((inputs * 3 + (1 << (-shift - 1))) >> -shift)
    # exp(-2|x|): doubling is a change of format, to one integer bit more.
    exponential = exp_on_negative(-np.abs(inputs), integer_bits + 1, 16)
    magnitude = saturate((newton_reciprocal(exponential, 16) - (1 << 13)) << 2, 16)
    result = np.where(inputs < 0, -magnitude, magnitude)
    return np.where(inputs == 0, 0, result).astype(np.int16)


@functools.cache
def interpolation_table() -> npt.NDArray[np.uint16]:
    """sigmoid(i / 24) for i in 0…255 as Q0.16, the points that tflite-micro interpolates."""
    points = np.round(65536 / (1 + np.exp(-np.arange(256) / 24)))
    points[list(_ONE_ABOVE)] += 1
    return points.astype(np.uint16)


def _interpolate(magnitude: Int64Array, fraction_bits: int, end: int) -> Int64Array:
    """The table at ``magnitude / 2**fraction_bits``, times 2**fraction_bits; ``end`` beyond it."""
    points = interpolation_table().astype(np.int64)
    index = np.minimum(magnitude >> fraction_bits, 254)
    fraction = magnitude & ((1 << fraction_bits) - 1)
    inside = (points[index] << fraction_bits) + fraction * (points[index + 1] - points[index])
    return np.where(magnitude >> fraction_bits >= 255, end, inside)


def _interpolated_sigmoid(scaled: Int64Array) -> Int16Array:
    """``scaled`` is 3 * 2**12 times the input: 24 * 2**9."""
    value = _interpolate(np.abs(scaled), 9, 0x7FFF << 10)
    result = np.where(scaled >= 0, value + (1 << 9), (1 << 25) - value + (1 << 9) - 1)
    return (result >> 10).astype(np.int16)


def _interpolated_tanh(scaled: Int64Array) -> Int16Array:
    """``scaled`` is 3 * 2**12 times the input; twice that goes into the sigmoid."""
    value = _interpolate(np.abs(scaled), 8, 0xFFFF << 8) - (1 << 23)
    result = np.where(scaled >= 0, value + (1 << 7), -value + (1 << 7) - 1)
    return (result >> 8).astype(np.int16)


def _all_int16() -> Int64Array:
    return np.arange(-(1 << 15), 1 << 15, dtype=np.int64)
