"""``QuantizedNetwork`` → bytes of a ``.tflite``.

The LSTM is the builtin UNIDIRECTIONAL_SEQUENCE_LSTM with its state in variable tensors: no
WHILE, no Flex, and no cell clip, which Keras does not have either. docs/metadata.md
describes the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

from converters.network import (
    ActivationOp,
    FullyConnectedOp,
    LastStepOp,
    LstmOp,
    QuantizedNetwork,
)
from converters.tflite_graph import Graph, Operator
from converters.tflite_metadata import METADATA_NAME, Provenance, encode

__all__ = ["write_tflite"]

_GATES = ("i", "f", "c", "o")
_GATE_SCALE = 2.0**-12  # Q3.12, the input of sigmoid and tanh
_NO_TENSOR = -1


def write_tflite(network: QuantizedNetwork, provenance: Provenance) -> bytes:
    """The file, with the ``edge_lstm`` metadata buffer. The same input gives the same bytes."""
    graph = Graph(network)
    for op in network.ops:
        match op:
            case LstmOp():
                _add_lstm(graph, op)
            case FullyConnectedOp():
                _add_fully_connected(graph, op)
            case ActivationOp():
                _add_activation(graph, op)
            case LastStepOp():
                _add_last_step(graph, op)
            case _:
                assert_never(op)
    return graph.finish(METADATA_NAME, encode(network, provenance))


def _add_lstm(graph: Graph, op: LstmOp) -> None:
    tensors = graph.network.tensors
    source, hidden = tensors[op.input], tensors[op.output]

    def constant(role: str, gate: int, data: npt.NDArray[Any], scale: float, kind: int) -> int:
        name = f"{op.output}/{role}_{_GATES[gate]}"
        return graph.tensor(name, data.shape, kind, scale=scale, data=data)

    int8, int32 = tflite.TensorType.INT8, tflite.TensorType.INT32
    kernels = [constant("kernel", g, op.kernel[g], op.kernel_scales[g], int8) for g in range(4)]
    recurrent_kernels = [
        constant("recurrent_kernel", g, op.recurrent_kernel[g], op.recurrent_scales[g], int8)
        for g in range(4)
    ]
    biases = [
        constant("bias", g, op.bias[g], source.scale * op.kernel_scales[g], int32) for g in range(4)
    ]
    state = [1, op.units]
    hidden_state = graph.tensor(
        f"{op.output}/hidden_state",
        state,
        int8,
        scale=hidden.scale,
        zero_point=hidden.zero_point,
        variable=True,
    )
    cell_state = graph.tensor(
        f"{op.output}/cell_state",
        state,
        tflite.TensorType.INT16,
        scale=op.cell_scale,
        variable=True,
    )
    peepholes = projection = [_NO_TENSOR] * 3
    layer_norm = [_NO_TENSOR] * 4
    graph.operator(
        Operator(
            code=tflite.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
            inputs=[
                graph.activation(op.input),
                *kernels,
                *recurrent_kernels,
                *peepholes,
                *biases,
                *projection[:2],
                hidden_state,
                cell_state,
                *layer_norm,
            ],
            output=graph.activation(op.output),
            options_type=tflite.BuiltinOptions.UnidirectionalSequenceLSTMOptions,
            options=_lstm_options(graph.builder),
            intermediates=_lstm_intermediates(graph, op),
        )
    )


def _lstm_intermediates(graph: Graph, op: LstmOp) -> list[int]:
    """Four gate tensors at Q3.12, which the kernel only checks, and o * tanh(c), which it
    reads the hidden state's scale from. They hold formats, no values: tflite-micro refuses
    any that has a size."""
    hidden = graph.network.tensors[op.output]
    int16, int8 = tflite.TensorType.INT16, tflite.TensorType.INT8
    gates = [
        graph.tensor(f"{op.output}/gate_{gate}", [0], int16, scale=_GATE_SCALE) for gate in _GATES
    ]
    product = graph.tensor(
        f"{op.output}/gated_cell", [0], int8, scale=hidden.scale, zero_point=hidden.zero_point
    )
    return [*gates, product]


def _lstm_options(builder: flatbuffers.Builder) -> int:
    tflite.UnidirectionalSequenceLSTMOptionsStart(builder)
    tflite.UnidirectionalSequenceLSTMOptionsAddFusedActivationFunction(
        builder, tflite.ActivationFunctionType.TANH
    )
    tflite.UnidirectionalSequenceLSTMOptionsAddTimeMajor(builder, False)
    return int(tflite.UnidirectionalSequenceLSTMOptionsEnd(builder))


def _add_fully_connected(graph: Graph, op: FullyConnectedOp) -> None:
    weights = graph.tensor(
        f"{op.output}/weights",
        op.weights.shape,
        tflite.TensorType.INT8,
        scale=op.weight_scale,
        data=op.weights,
    )
    bias = graph.tensor(
        f"{op.output}/bias",
        op.bias.shape,
        tflite.TensorType.INT32,
        scale=graph.network.tensors[op.input].scale * op.weight_scale,
        data=op.bias,
    )
    function = tflite.ActivationFunctionType
    builder = graph.builder
    tflite.FullyConnectedOptionsStart(builder)
    tflite.FullyConnectedOptionsAddFusedActivationFunction(
        builder, function.RELU if op.relu else function.NONE
    )
    tflite.FullyConnectedOptionsAddKeepNumDims(builder, True)
    graph.operator(
        Operator(
            code=tflite.BuiltinOperator.FULLY_CONNECTED,
            inputs=[graph.activation(op.input), weights, bias],
            output=graph.activation(op.output),
            options_type=tflite.BuiltinOptions.FullyConnectedOptions,
            options=tflite.FullyConnectedOptionsEnd(builder),
        )
    )


def _add_activation(graph: Graph, op: ActivationOp) -> None:
    operators = tflite.BuiltinOperator
    options_type, options = tflite.BuiltinOptions.NONE, None
    match op.function:
        case "sigmoid":
            code = operators.LOGISTIC
        case "tanh":
            code = operators.TANH
        case "softmax":
            code = operators.SOFTMAX
            options_type = tflite.BuiltinOptions.SoftmaxOptions
            tflite.SoftmaxOptionsStart(graph.builder)
            tflite.SoftmaxOptionsAddBeta(graph.builder, 1.0)
            options = tflite.SoftmaxOptionsEnd(graph.builder)
    inputs, output = [graph.activation(op.input)], graph.activation(op.output)
    graph.operator(Operator(code, inputs, output, options_type, options))


def _add_last_step(graph: Graph, op: LastStepOp) -> None:
    """x[:, -1, :] as a STRIDED_SLICE."""

    def indices(role: str, values: Sequence[int]) -> int:
        data = np.asarray(values, np.int32)
        name = f"{op.output}/{role}"
        return graph.tensor(name, data.shape, tflite.TensorType.INT32, data=data)

    inputs = [
        graph.activation(op.input),
        indices("begin", [0, -1, 0]),
        indices("end", [0, 0, 0]),
        indices("strides", [1, 1, 1]),
    ]
    builder = graph.builder
    batch_and_channels, time = 0b101, 0b010
    tflite.StridedSliceOptionsStart(builder)
    tflite.StridedSliceOptionsAddBeginMask(builder, batch_and_channels)
    tflite.StridedSliceOptionsAddEndMask(builder, batch_and_channels)
    tflite.StridedSliceOptionsAddShrinkAxisMask(builder, time)
    graph.operator(
        Operator(
            code=tflite.BuiltinOperator.STRIDED_SLICE,
            inputs=inputs,
            output=graph.activation(op.output),
            options_type=tflite.BuiltinOptions.StridedSliceOptions,
            options=tflite.StridedSliceOptionsEnd(builder),
        )
    )
