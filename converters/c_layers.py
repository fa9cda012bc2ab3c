"""One op → its constants as C and the call of its kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from converters.c_literals import array, identifiers, integer
from converters.fixed_point import Multiplier
from converters.kernel_parameters import (
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
)

__all__ = ["CLayer", "CLayers"]


_WEIGHTS = "int8_t EDGE_LSTM_ALIGNED"

_REQUANTIZE: dict[Arithmetic, str] = {
    "litert": "edge_lstm_multiply_single_rounding",
    "tflm": "edge_lstm_multiply",
}


@dataclass(frozen=True)
class CLayer:
    """One op in C: its constants, the call that runs it (empty where there is nothing to run),
    and how many bytes the constants take."""

    data: str
    call: str
    size: int


class CLayers:
    """The layers of a network in C, and the names by which they know each other.

    ``suffixes`` are the C names of tensors. A tensor lives in the caller's ``input`` or
    ``output``, or in a field of the state: ``hidden_…`` for an LSTM, else ``values_…``.
    """

    def __init__(self, network: QuantizedNetwork) -> None:
        self._network = network
        self.suffixes = identifiers(network.tensors)
        self.layers = [self._layer(op) for op in network.ops]

    def operand(self, tensor: str) -> str:
        """The C expression for a tensor's values."""
        network = self._network
        if tensor == network.input.tensor:
            return "input"
        maker = next(op for op in network.ops if op.output == tensor)
        match maker:
            case LstmOp():
                return f"state->hidden_{self.suffixes[tensor]}"
            case LastStepOp():
                return self.operand(maker.input)
        if tensor == network.output.tensor:
            return "output"
        return f"state->values_{self.suffixes[tensor]}"

    def _layer(self, op: Op) -> CLayer:
        match op:
            case LstmOp():
                return self._lstm(op)
            case FullyConnectedOp():
                return self._fully_connected(op)
            case ActivationOp(function="softmax"):
                return self._softmax(op)
            case ActivationOp():
                return self._lookup(op)
            case LastStepOp():
                return CLayer("", "", 0)
            case _:
                assert_never(op)

    def _lstm(self, op: LstmOp) -> CLayer:
        tensors, suffix = self._network.tensors, self.suffixes[op.output]
        arithmetic = self._network.arithmetic
        p = lstm_parameters(op, tensors[op.input], tensors[op.output], arithmetic)
        # [4, units, …] to [units, 4, …]: the four gates of a unit are the rows of its blocks.
        constants: dict[str, tuple[str, npt.NDArray[Any]]] = {
            "kernel": (_WEIGHTS, _blocks(op.kernel.swapaxes(0, 1))),
            "recurrent_kernel": (_WEIGHTS, _blocks(op.recurrent_kernel.swapaxes(0, 1))),
            "input_bias": ("int32_t", p.input_bias.T),
            "recurrent_bias": ("int32_t", p.recurrent_bias.T),
        }
        fields = {
            "inputs": str(op.inputs),
            "units": str(op.units),
            **{role: f"{role}_{suffix}" for role in constants},
            "input_multiplier": _multipliers(p.input_multipliers),
            "recurrent_multiplier": _multipliers(p.recurrent_multipliers),
            "hidden_multiplier": _multiplier(p.hidden_multiplier),
            "hidden_zero_point": integer(p.hidden_zero_point),
            "cell_shift": str(p.cell_shift),
            "cell_integer_bits": str(p.cell_integer_bits),
        }
        data = "".join(array(kind, f"{role}_{suffix}", v) for role, (kind, v) in constants.items())
        call = (
            f"edge_lstm_lstm_s8_step(&layer_{suffix}, {self.operand(op.input)}, "
            f"state->hidden_{suffix}, state->cell_{suffix}, state->pairs,\n"
            f"edge_lstm_unit_{arithmetic}_s8);"
        )
        return CLayer(
            data + _struct("edge_lstm_lstm_s8", f"layer_{suffix}", fields),
            call,
            _size(*(values for _, values in constants.values())),
        )

    def _fully_connected(self, op: FullyConnectedOp) -> CLayer:
        tensors, suffix = self._network.tensors, self.suffixes[op.output]
        p = fully_connected_parameters(op, tensors[op.input], tensors[op.output])
        fields = {
            "inputs": str(op.weights.shape[1]),
            "outputs": str(op.weights.shape[0]),
            "weights": f"weights_{suffix}",
            "bias": f"bias_{suffix}",
            "multiplier": _multiplier(p.multiplier),
            "zero_point": integer(p.zero_point),
            "lower": integer(p.lower),
            "upper": integer(p.upper),
        }
        outputs, inputs = op.weights.shape
        rows = -outputs % 4
        weights = _blocks(np.pad(op.weights, ((0, rows), (0, 0))).reshape(-1, 4, inputs))
        bias = np.pad(p.bias, (0, rows))
        data = (
            array(_WEIGHTS, f"weights_{suffix}", weights)
            + array("int32_t", f"bias_{suffix}", bias)
            + _struct("edge_lstm_fully_connected_s8", f"layer_{suffix}", fields)
        )
        operands = f"{self.operand(op.input)}, {self.operand(op.output)}"
        return CLayer(
            data,
            f"edge_lstm_fully_connected_s8_run(&layer_{suffix}, {operands}, state->pairs,\n"
            f"{_REQUANTIZE[self._network.arithmetic]});",
            _size(weights, bias),
        )

    def _lookup(self, op: ActivationOp) -> CLayer:
        tensors, suffix = self._network.tensors, self.suffixes[op.output]
        table = lookup_table(op, tensors[op.input], tensors[op.output], self._network.arithmetic)
        operands = f"{self.operand(op.input)}, {self.operand(op.output)}"
        return CLayer(
            array("int8_t", f"table_{suffix}", table),
            f"edge_lstm_lookup_s8(table_{suffix}, {tensors[op.input].channels}, {operands});",
            _size(table),
        )

    def _softmax(self, op: ActivationOp) -> CLayer:
        tensors, suffix = self._network.tensors, self.suffixes[op.output]
        exponentials = softmax_exponentials(tensors[op.input])
        fields = {
            "channels": str(tensors[op.input].channels),
            "exponential": f"exponential_{suffix}",
            "distances": str(len(exponentials)),
        }
        operands = f"{self.operand(op.input)}, {self.operand(op.output)}"
        return CLayer(
            array("int32_t", f"exponential_{suffix}", exponentials)
            + _struct("edge_lstm_softmax_s8", f"layer_{suffix}", fields),
            f"edge_lstm_softmax_s8_run(&layer_{suffix}, {operands});",
            _size(exponentials),
        )


def _blocks(rows: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """[groups, 4 rows, columns] as edge_lstm_dot_s8.h reads it: [groups, blocks, 4, 4], columns
    filled up with zeros to a multiple of four and, in a block, in the order 0, 2, 1, 3."""
    groups, _, columns = rows.shape
    padded = np.pad(rows, ((0, 0), (0, 0), (0, -columns % 4)))
    blocks = padded.reshape(groups, 4, -1, 4).swapaxes(1, 2)
    return np.ascontiguousarray(blocks[..., [0, 2, 1, 3]])


def _multiplier(multiplier: Multiplier) -> str:
    return f"{{{multiplier.significand}, {multiplier.shift}}}"


def _multipliers(multipliers: tuple[Multiplier, ...]) -> str:
    return "{" + ", ".join(_multiplier(m) for m in multipliers) + "}"


def _struct(kind: str, name: str, fields: dict[str, str]) -> str:
    body = "".join(f"    .{field} = {value},\n" for field, value in fields.items())
    return f"static const {kind} {name} = {{\n{body}}};\n"


def _size(*arrays: npt.NDArray[np.generic]) -> int:
    return sum(values.nbytes for values in arrays)
