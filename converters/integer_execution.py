"""Runs a ``QuantizedNetwork`` bit for bit as LiteRT's reference kernels or
tflite-micro do, by the network's arithmetic: the oracle.

Vectorised over sequences. Matrix products run in float64, where the integers involved
(below 2**53) are exact, because NumPy has no fast integer product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.activation_tables import sigmoid_q15_table, tanh_q15_table
from converters.fixed_point import (
    Multiplier,
    multiply_by_quantized_multiplier,
    multiply_by_quantized_multiplier_single_rounding,
    one_over_one_plus,
    rounding_divide_by_power_of_two,
    saturate,
    saturating_doubling_high_multiply,
)
from converters.kernel_parameters import (
    FullyConnectedParameters,
    LstmParameters,
    fully_connected_parameters,
    lookup_table,
    lstm_parameters,
    softmax_exponentials,
)
from converters.network import (
    ActivationOp,
    Arithmetic,
    FullyConnectedOp,
    LastStepOp,
    LstmOp,
    Op,
    QuantizedNetwork,
    QuantizedTensor,
)

__all__ = ["IntegerExecution", "LstmState"]

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
Int64Array = npt.NDArray[np.int64]


@dataclass
class LstmState:
    """State of one LSTM for a batch of sequences: hidden int8 [N, units], cell int16 [N, units]."""

    hidden: Int8Array
    cell: Int16Array


class IntegerExecution:
    """A network and the state of ``batch`` sequences that run through it side by side."""

    def __init__(self, network: QuantizedNetwork, batch: int = 1) -> None:
        self._network = network
        self._kernels = {op.output: _kernel(op, network) for op in network.ops}
        self.batch = batch
        self.state: dict[str, LstmState] = {}
        self.reset()

    def reset(self) -> None:
        """Start every sequence anew: hidden states at their zero point, cells at zero."""
        for op in self._network.lstms:
            zero_point = self._network.tensors[op.output].zero_point
            shape = (self.batch, op.units)
            self.state[op.output] = LstmState(
                np.full(shape, zero_point, np.int8), np.zeros(shape, np.int16)
            )

    def run(self, inputs: Int8Array) -> Int8Array:
        """Feed int8 [N, T, features] on from the present state.

        Returns int8 [N, T, outputs], or [N, outputs] for a window model that answers once.
        """
        return self.trace(inputs)[self._network.output.tensor]

    def trace(self, inputs: Int8Array) -> dict[str, Int8Array]:
        """As ``run``, but returns the values of all tensors by name."""
        values: dict[str, Int8Array] = {self._network.input.tensor: inputs}
        for op in self._network.ops:
            kernel, source = self._kernels[op.output], values[op.input]
            if isinstance(kernel, _Lstm):
                values[op.output] = kernel.run(source, self.state[op.output])
            else:
                values[op.output] = kernel.run(source)
        return values


class _Lstm:
    def __init__(self, op: LstmOp, parameters: LstmParameters, arithmetic: Arithmetic) -> None:
        self._p = parameters
        self._tflm = arithmetic == "tflm"
        self._kernel = op.kernel.astype(np.float64)
        self._recurrent_kernel = op.recurrent_kernel.astype(np.float64)
        self._sigmoid = sigmoid_q15_table(arithmetic)
        self._tanh = tanh_q15_table(arithmetic, 3)
        self._cell_tanh = tanh_q15_table(arithmetic, parameters.cell_integer_bits)

    def run(self, inputs: Int8Array, state: LstmState) -> Int8Array:
        """int8 [N, T, inputs] to int8 [N, T, units]; moves ``state`` on."""
        from_input = self._gates_from_input(inputs)
        outputs = np.empty((*inputs.shape[:2], state.hidden.shape[1]), np.int8)
        for step in range(inputs.shape[1]):
            self._step([gate[:, step] for gate in from_input], state)
            outputs[:, step] = state.hidden
        return outputs

    def _gates_from_input(self, inputs: Int8Array) -> list[Int64Array]:
        """The input's share of each gate, Q3.12 saturated to int16, [N, T, units]."""
        return [
            saturate(
                multiply_by_quantized_multiplier(
                    (inputs @ kernel.T).astype(np.int64) + bias, multiplier
                ),
                16,
            )
            for kernel, bias, multiplier in zip(
                self._kernel, self._p.input_bias, self._p.input_multipliers, strict=True
            )
        ]

    def _step(self, from_input: list[Int64Array], state: LstmState) -> None:
        p = self._p
        pre_activations = [
            saturate(self._from_hidden(gate, state.hidden) + share, 16)
            for gate, share in enumerate(from_input)
        ]
        input_gate = _look_up(self._sigmoid, pre_activations[0])
        forget_gate = _look_up(self._sigmoid, pre_activations[1])
        candidate = _look_up(self._tanh, pre_activations[2])
        output_gate = _look_up(self._sigmoid, pre_activations[3])

        kept = self._shift(forget_gate * state.cell, 15)
        added = self._shift(input_gate * candidate, p.cell_shift)
        cell = saturate(saturate(kept, 16) + saturate(added, 16), 16)

        product = output_gate * _look_up(self._cell_tanh, cell)  # Q0.30
        hidden = multiply_by_quantized_multiplier(product, p.hidden_multiplier)
        state.cell = cell.astype(np.int16)
        state.hidden = saturate(hidden + p.hidden_zero_point, 8).astype(np.int8)

    def _from_hidden(self, gate: int, hidden: Int8Array) -> Int64Array:
        """The hidden state's share of a gate, Q3.12; tflite-micro saturates it by itself."""
        accumulators = (hidden @ self._recurrent_kernel[gate].T).astype(np.int64)
        share = multiply_by_quantized_multiplier(
            accumulators + self._p.recurrent_bias[gate], self._p.recurrent_multipliers[gate]
        )
        return saturate(share, 16) if self._tflm else share

    def _shift(self, values: Int64Array, exponent: int) -> Int64Array:
        """``values / 2**exponent``; tflite-micro has a multiplier for it, which rounds twice."""
        if self._tflm:
            return multiply_by_quantized_multiplier(values, Multiplier(1 << 30, 1 - exponent))
        return rounding_divide_by_power_of_two(values, exponent)


class _FullyConnected:
    def __init__(
        self, op: FullyConnectedOp, parameters: FullyConnectedParameters, arithmetic: Arithmetic
    ) -> None:
        self._p = parameters
        self._multiply = (
            multiply_by_quantized_multiplier
            if arithmetic == "tflm"
            else multiply_by_quantized_multiplier_single_rounding
        )
        self._weights = op.weights.astype(np.float64)

    def run(self, inputs: Int8Array) -> Int8Array:
        p = self._p
        accumulators = (inputs @ self._weights.T).astype(np.int64) + p.bias
        steps = self._multiply(accumulators, p.multiplier)
        return np.clip(steps + p.zero_point, p.lower, p.upper).astype(np.int8)


class _LookUp:
    def __init__(self, table: Int8Array) -> None:
        self._table = table

    def run(self, inputs: Int8Array) -> Int8Array:
        return self._table[inputs.astype(np.int64) + 128]


class _Softmax:
    """Softmax over the last axis; the output format is fixed at 1/256 and -128."""

    def __init__(self, source: QuantizedTensor) -> None:
        present = softmax_exponentials(source).astype(np.int64)
        self._exponentials = np.zeros(256, np.int64)
        self._exponentials[: len(present)] = present

    def run(self, inputs: Int8Array) -> Int8Array:
        wide = inputs.astype(np.int64)
        exponentials = self._exponentials[wide.max(axis=-1, keepdims=True) - wide]
        # The sum has 12 integer bits; its reciprocal is taken of the mantissa in [1, 2).
        total = rounding_divide_by_power_of_two(exponentials, 12).sum(axis=-1, keepdims=True)
        integer_bits = np.floor(np.log2(total.astype(np.float64))).astype(np.int64) - 19
        reciprocal = one_over_one_plus((total << (12 - integer_bits)) - (1 << 31), 32)
        product = saturating_doubling_high_multiply(exponentials, reciprocal, 32)
        shift = integer_bits + 23  # 31 - 8 bits of output, and the exponent of the sum
        steps = _rounding_divide(product, shift)
        return saturate(steps - 128, 8).astype(np.int8)


class _LastStep:
    def run(self, inputs: Int8Array) -> Int8Array:
        return inputs[:, -1]


def _kernel(
    op: Op, network: QuantizedNetwork
) -> _Lstm | _FullyConnected | _LookUp | _Softmax | _LastStep:
    source, output = network.tensors[op.input], network.tensors[op.output]
    arithmetic = network.arithmetic
    match op:
        case LstmOp():
            return _Lstm(op, lstm_parameters(op, source, output, arithmetic), arithmetic)
        case FullyConnectedOp():
            return _FullyConnected(op, fully_connected_parameters(op, source, output), arithmetic)
        case ActivationOp(function="softmax"):
            return _Softmax(source)
        case ActivationOp():
            return _LookUp(lookup_table(op, source, output, arithmetic))
        case LastStepOp():
            return _LastStep()


def _look_up(table: npt.NDArray[np.int16], values: Int64Array) -> Int64Array:
    return table[values + 32768].astype(np.int64)


def _rounding_divide(values: Int64Array, exponents: Int64Array) -> Int64Array:
    """``values / 2**exponents`` for values ≥ 0, rounded to nearest, halves up."""
    return (values + (1 << (exponents - 1))) >> exponents
