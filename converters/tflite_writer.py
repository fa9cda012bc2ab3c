"""``QuantizedNetwork`` → bytes of a ``.tflite``.

The LSTM is the builtin UNIDIRECTIONAL_SEQUENCE_LSTM with its state in variable tensors: no
WHILE, no Flex, and no cell clip, which Keras does not have either. docs/metadata.md
describes the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    Op,
    QuantizedNetwork,
)
from converters.tflite_metadata import METADATA_NAME, Provenance, encode

__all__ = ["write_tflite"]

_GATES = ("i", "f", "c", "o")
_GATE_SCALE = 2.0**-12  # Q3.12, the input of sigmoid and tanh
_NO_TENSOR = -1
_EMPTY_BUFFER = 0

# Lowest version of each op that takes int8 as it is used here.
_VERSIONS = {
    tflite.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM: 1,
    tflite.BuiltinOperator.FULLY_CONNECTED: 5,
    tflite.BuiltinOperator.LOGISTIC: 2,
    tflite.BuiltinOperator.TANH: 2,
    tflite.BuiltinOperator.SOFTMAX: 2,
    tflite.BuiltinOperator.STRIDED_SLICE: 2,
}


def write_tflite(network: QuantizedNetwork, provenance: Provenance) -> bytes:
    """The file, with the ``edge_lstm`` metadata buffer. The same input gives the same bytes."""
    graph = _Graph(network)
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
    return graph.finish(encode(network, provenance))


@dataclass(frozen=True)
class _Operator:
    code: int
    inputs: Sequence[int]
    output: int
    options_type: int
    options: int | None
    intermediates: Sequence[int] = ()


class _Graph:
    """Collects tensors, buffers and operators, and keeps the schema's calls in one place."""

    def __init__(self, network: QuantizedNetwork) -> None:
        self.network = network
        self.builder = flatbuffers.Builder(1 << 16)
        self._tensors: list[int] = []
        self._buffers = [b""]
        self._operators: list[_Operator] = []
        self._activations: dict[str, int] = {}
        self._steps = 1 if network.form == "stream" else network.window
        sequence = {network.input.tensor}
        for op in network.ops:
            if op.input in sequence and not isinstance(op, LastStepOp):
                sequence.add(op.output)
        for tensor in network.tensors.values():
            steps = [self._steps] if tensor.name in sequence else []
            self._activations[tensor.name] = self.tensor(
                tensor.name,
                [1, *steps, tensor.channels],
                tflite.TensorType.INT8,
                scale=tensor.scale,
                zero_point=tensor.zero_point,
            )

    def activation(self, name: str) -> int:
        return self._activations[name]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: int,
        *,
        scale: float | None = None,
        zero_point: int = 0,
        data: npt.NDArray[Any] | None = None,
        variable: bool = False,
    ) -> int:
        """Add a tensor and return its index."""
        builder = self.builder
        name_offset = builder.CreateString(name)
        shape_offset = builder.CreateNumpyVector(np.asarray(shape, np.int32))
        quantization = None if scale is None else self._quantization(scale, zero_point)
        tflite.TensorStart(builder)
        tflite.TensorAddName(builder, name_offset)
        tflite.TensorAddShape(builder, shape_offset)
        tflite.TensorAddType(builder, kind)
        tflite.TensorAddBuffer(builder, self._buffer(data))
        if quantization is not None:
            tflite.TensorAddQuantization(builder, quantization)
        tflite.TensorAddIsVariable(builder, variable)
        self._tensors.append(tflite.TensorEnd(builder))
        return len(self._tensors) - 1

    def operator(self, operator: _Operator) -> None:
        self._operators.append(operator)

    def finish(self, metadata: bytes) -> bytes:
        builder = self.builder
        self._buffers.append(metadata)
        metadata_buffer = len(self._buffers) - 1
        codes = sorted({operator.code for operator in self._operators})
        operators = [self._finish_operator(o, codes.index(o.code)) for o in self._operators]
        subgraph = self._finish_subgraph(operators)
        codes_vector = self._offsets(
            tflite.ModelStartOperatorCodesVector, [self._operator_code(code) for code in codes]
        )
        subgraphs = self._offsets(tflite.ModelStartSubgraphsVector, [subgraph])
        entry = self._offsets(tflite.ModelStartMetadataVector, [self._metadata(metadata_buffer)])
        description = builder.CreateString("edge-lstm")
        buffers = self._offsets(
            tflite.ModelStartBuffersVector, [self._finish_buffer(data) for data in self._buffers]
        )
        tflite.ModelStart(builder)
        tflite.ModelAddVersion(builder, 3)
        tflite.ModelAddOperatorCodes(builder, codes_vector)
        tflite.ModelAddSubgraphs(builder, subgraphs)
        tflite.ModelAddDescription(builder, description)
        tflite.ModelAddBuffers(builder, buffers)
        tflite.ModelAddMetadata(builder, entry)
        builder.Finish(tflite.ModelEnd(builder), b"TFL3")
        return bytes(builder.Output())

    def _buffer(self, data: npt.NDArray[Any] | None) -> int:
        if data is None:
            return _EMPTY_BUFFER
        self._buffers.append(np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes())
        return len(self._buffers) - 1

    def _quantization(self, scale: float, zero_point: int) -> int:
        scales = self.builder.CreateNumpyVector(np.asarray([scale], np.float32))
        zero_points = self.builder.CreateNumpyVector(np.asarray([zero_point], np.int64))
        tflite.QuantizationParametersStart(self.builder)
        tflite.QuantizationParametersAddScale(self.builder, scales)
        tflite.QuantizationParametersAddZeroPoint(self.builder, zero_points)
        return int(tflite.QuantizationParametersEnd(self.builder))

    def _offsets(
        self, start: Callable[[flatbuffers.Builder, int], Any], offsets: Sequence[int]
    ) -> int:
        start(self.builder, len(offsets))
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def _indices(self, values: Sequence[int]) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, np.int32)))

    def _finish_operator(self, operator: _Operator, code_index: int) -> int:
        builder = self.builder
        inputs = self._indices(operator.inputs)
        outputs = self._indices([operator.output])
        intermediates = self._indices(operator.intermediates) if operator.intermediates else None
        tflite.OperatorStart(builder)
        tflite.OperatorAddOpcodeIndex(builder, code_index)
        tflite.OperatorAddInputs(builder, inputs)
        tflite.OperatorAddOutputs(builder, outputs)
        if operator.options is not None:
            tflite.OperatorAddBuiltinOptionsType(builder, operator.options_type)
            tflite.OperatorAddBuiltinOptions(builder, operator.options)
        if intermediates is not None:
            tflite.OperatorAddIntermediates(builder, intermediates)
        return int(tflite.OperatorEnd(builder))

    def _finish_subgraph(self, operators: Sequence[int]) -> int:
        builder = self.builder
        name = builder.CreateString("main")
        tensors = self._offsets(tflite.SubGraphStartTensorsVector, self._tensors)
        inputs = self._indices([self.activation(self.network.input.tensor)])
        outputs = self._indices([self.activation(self.network.output.tensor)])
        vector = self._offsets(tflite.SubGraphStartOperatorsVector, operators)
        tflite.SubGraphStart(builder)
        tflite.SubGraphAddTensors(builder, tensors)
        tflite.SubGraphAddInputs(builder, inputs)
        tflite.SubGraphAddOutputs(builder, outputs)
        tflite.SubGraphAddOperators(builder, vector)
        tflite.SubGraphAddName(builder, name)
        return int(tflite.SubGraphEnd(builder))

    def _operator_code(self, code: int) -> int:
        tflite.OperatorCodeStart(self.builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(self.builder, code)
        tflite.OperatorCodeAddBuiltinCode(self.builder, code)
        tflite.OperatorCodeAddVersion(self.builder, _VERSIONS[code])
        return int(tflite.OperatorCodeEnd(self.builder))

    def _metadata(self, buffer: int) -> int:
        name = self.builder.CreateString(METADATA_NAME)
        tflite.MetadataStart(self.builder)
        tflite.MetadataAddName(self.builder, name)
        tflite.MetadataAddBuffer(self.builder, buffer)
        return int(tflite.MetadataEnd(self.builder))

    def _finish_buffer(self, data: bytes) -> int:
        vector = None
        if data:
            # The schema asks for 16-byte alignment, which CreateByteVector does not give.
            self.builder.StartVector(1, len(data), 16)
            self.builder.head -= len(data)
            self.builder.Bytes[self.builder.Head() : self.builder.Head() + len(data)] = data
            vector = self.builder.EndVector()
        tflite.BufferStart(self.builder)
        if vector is not None:
            tflite.BufferAddData(self.builder, vector)
        return int(tflite.BufferEnd(self.builder))


def _add_lstm(graph: _Graph, op: LstmOp) -> None:
    tensors = graph.network.tensors
    source, hidden = tensors[op.input], tensors[op.output]

    def constant(role: str, gate: int, data: npt.NDArray[Any], scale: float, kind: int) -> int:
        name = f"{op.output}/{role}_{_GATES[gate]}"
        return graph.tensor(name, data.shape, kind, scale=scale, data=data)

    int8, int32 = tflite.TensorType.INT8, tflite.TensorType.INT32
    kernels = [
        constant("kernel", g, op.kernel[g], op.kernel_scales[g], int8) for g in range(4)
    ]
    recurrent_kernels = [
        constant("recurrent_kernel", g, op.recurrent_kernel[g], op.recurrent_scales[g], int8)
        for g in range(4)
    ]
    biases = [
        constant("bias", g, op.bias[g], source.scale * op.kernel_scales[g], int32)
        for g in range(4)
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
        _Operator(
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


def _lstm_intermediates(graph: _Graph, op: LstmOp) -> list[int]:
    """Four gate tensors at Q3.12, which the kernel only checks, and o * tanh(c), which it
    reads the hidden state's scale from."""
    hidden = graph.network.tensors[op.output]
    shape = [1, op.units]
    gates = [
        graph.tensor(
            f"{op.output}/gate_{gate}", shape, tflite.TensorType.INT16, scale=_GATE_SCALE
        )
        for gate in _GATES
    ]
    product = graph.tensor(
        f"{op.output}/gated_cell",
        shape,
        tflite.TensorType.INT8,
        scale=hidden.scale,
        zero_point=hidden.zero_point,
    )
    return [*gates, product]


def _lstm_options(builder: flatbuffers.Builder) -> int:
    tflite.UnidirectionalSequenceLSTMOptionsStart(builder)
    tflite.UnidirectionalSequenceLSTMOptionsAddFusedActivationFunction(
        builder, tflite.ActivationFunctionType.TANH
    )
    tflite.UnidirectionalSequenceLSTMOptionsAddTimeMajor(builder, False)
    return int(tflite.UnidirectionalSequenceLSTMOptionsEnd(builder))


def _add_fully_connected(graph: _Graph, op: FullyConnectedOp) -> None:
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
        _Operator(
            code=tflite.BuiltinOperator.FULLY_CONNECTED,
            inputs=[graph.activation(op.input), weights, bias],
            output=graph.activation(op.output),
            options_type=tflite.BuiltinOptions.FullyConnectedOptions,
            options=tflite.FullyConnectedOptionsEnd(builder),
        )
    )


def _add_activation(graph: _Graph, op: ActivationOp) -> None:
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
    graph.operator(_Operator(code, inputs, output, options_type, options))


def _add_last_step(graph: _Graph, op: LastStepOp) -> None:
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
        _Operator(
            code=tflite.BuiltinOperator.STRIDED_SLICE,
            inputs=inputs,
            output=graph.activation(op.output),
            options_type=tflite.BuiltinOptions.StridedSliceOptions,
            options=tflite.StridedSliceOptionsEnd(builder),
        )
    )
