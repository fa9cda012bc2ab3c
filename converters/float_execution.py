"""Runs a float ``Network`` in NumPy: the truth that calibration and error reports compare to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.network import Activation, Affine, Dense, Function, LastStep, Lstm, Network, Node

__all__ = ["FloatTrace", "run_float"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FloatTrace:
    """All values of one run. ``values`` by node or input name, float32 [N, T, C] or [N, C];
    ``cells`` the cell state of each LSTM at every step, float32 [N, T, units]."""

    values: dict[str, FloatArray]
    cells: dict[str, FloatArray]


def run_float(network: Network, x: FloatArray, *, every_step: bool = False) -> FloatTrace:
    """Run sequences x, float32 [N, T, features], each from a zero state.

    With ``every_step`` the model answers at every step, as its stream form does: LastStep
    passes the whole sequence on.
    """
    values: dict[str, FloatArray] = {network.input.name: x.astype(np.float32)}
    cells: dict[str, FloatArray] = {}
    for node in network.nodes:
        source = values[node.input]
        if isinstance(node, Lstm):
            values[node.name], cells[node.name] = _lstm(node, source)
        elif isinstance(node, LastStep):
            values[node.name] = source if every_step else source[:, -1]
        else:
            values[node.name] = _stateless(node, source)
    return FloatTrace(values, cells)


def _stateless(node: Node, x: FloatArray) -> FloatArray:
    match node:
        case Affine():
            return x * node.scale + node.offset
        case Dense():
            return x @ node.kernel + node.bias
        case Activation():
            return _activate(node.function, x)
    raise TypeError(f"{type(node).__name__} keeps a state")


def _activate(function: Function, x: FloatArray) -> FloatArray:
    match function:
        case "relu":
            return np.maximum(x, np.float32(0))
        case "sigmoid":
            return _sigmoid(x)
        case "tanh":
            return np.tanh(x)
        case "softmax":
            exponential = np.exp(x - x.max(axis=-1, keepdims=True))
            return np.asarray(exponential / exponential.sum(axis=-1, keepdims=True), np.float32)


def _sigmoid(x: FloatArray) -> FloatArray:
    half = np.float32(0.5)
    return np.asarray(half * np.tanh(half * x) + half, np.float32)


def _lstm(layer: Lstm, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Hidden and cell states at every step, each [N, T, units], from a zero state."""
    sequences, steps, _ = x.shape
    units = layer.units
    from_input = x @ layer.kernel + layer.bias
    hidden = np.zeros((sequences, units), np.float32)
    cell = np.zeros((sequences, units), np.float32)
    all_hidden = np.empty((sequences, steps, units), np.float32)
    all_cell = np.empty((sequences, steps, units), np.float32)
    for step in range(steps):
        gates = from_input[:, step] + hidden @ layer.recurrent_kernel
        input_gate = _sigmoid(gates[:, :units])
        forget_gate = _sigmoid(gates[:, units : 2 * units])
        candidate = np.tanh(gates[:, 2 * units : 3 * units])
        output_gate = _sigmoid(gates[:, 3 * units :])
        cell = forget_gate * cell + input_gate * candidate
        hidden = output_gate * np.tanh(cell)
        all_hidden[:, step] = hidden
        all_cell[:, step] = cell
    return all_hidden, all_cell
