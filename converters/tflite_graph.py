"""The flatbuffer of a ``.tflite``: tensors, buffers and operators, with the schema's calls
kept in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

from converters.network import LastStepOp, QuantizedNetwork

__all__ = ["Graph", "Operator"]

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


@dataclass(frozen=True)
class Operator:
    """An op over tensors by index; ``code`` is a BuiltinOperator, ``options`` its table."""

    code: int
    inputs: Sequence[int]
    output: int
    options_type: int
    options: int | None
    intermediates: Sequence[int] = ()


class Graph:
    """Collects tensors, buffers and operators; starts with the activations of ``network``."""

    def __init__(self, network: QuantizedNetwork) -> None:
        self.network = network
        self.builder = flatbuffers.Builder(1 << 16)
        self._tensors: list[int] = []
        self._buffers = [b""]
        self._operators: list[Operator] = []
        self._activations: dict[str, int] = {}
        sequence = {network.input.tensor}
        for op in network.ops:
            if op.input in sequence and not isinstance(op, LastStepOp):
                sequence.add(op.output)
        for tensor in network.tensors.values():
            steps = [network.steps_per_call] if tensor.name in sequence else []
            self._activations[tensor.name] = self.tensor(
                tensor.name,
                [1, *steps, tensor.channels],
                tflite.TensorType.INT8,
                scale=tensor.scale,
                zero_point=tensor.zero_point,
            )

    def activation(self, name: str) -> int:
        """Index of the tensor of an activation."""
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

    def operator(self, operator: Operator) -> None:
        """Append an operator."""
        self._operators.append(operator)

    def finish(self, metadata_name: str, metadata: bytes) -> bytes:
        """The file, with one metadata buffer."""
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
        entry = self._offsets(
            tflite.ModelStartMetadataVector, [self._metadata(metadata_name, metadata_buffer)]
        )
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

    def _finish_operator(self, operator: Operator, code_index: int) -> int:
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

    def _metadata(self, name_text: str, buffer: int) -> int:
        name = self.builder.CreateString(name_text)
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
