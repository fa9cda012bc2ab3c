"""Bytes of a ``.tflite`` that ``tflite_writer`` wrote → ``QuantizedNetwork`` and provenance."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from converters.activation_tables import MOST_CELL_INTEGER_BITS
from converters.errors import InputError
from converters.network import (
    ActivationOp,
    FullyConnectedOp,
    LastStepOp,
    LstmOp,
    Op,
    QuantizedNetwork,
    QuantizedTensor,
)
from converters.tflite_metadata import METADATA_NAME, Metadata, Provenance, decode

__all__ = ["TfliteModel", "read_tflite"]

_DTYPES: dict[int, np.dtype[Any]] = {
    tflite.TensorType.INT8: np.dtype(np.int8),
    tflite.TensorType.INT16: np.dtype("<i2"),
    tflite.TensorType.INT32: np.dtype("<i4"),
}

# What flatbuffers and the look-ups raise on bytes that are not what they claim to be.
_MALFORMED = (
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True)
class TfliteModel:
    """A file's network and where it came from."""

    network: QuantizedNetwork
    provenance: Provenance


def read_tflite(content: bytes, source: str) -> TfliteModel:
    """Read a file's bytes; ``source`` names it in errors.

    Raises InputError for anything that is not a whole ``.tflite`` of edge-lstm.
    """
    if content[4:8] != b"TFL3":
        raise InputError(
            f"'{source}' is not a .tflite model; give a file that 'edge-lstm convert' wrote"
        )
    try:
        return _read(content)
    except InputError as error:
        raise InputError(f"'{source}' cannot be used: {error}") from error
    except _MALFORMED as error:
        raise InputError(
            f"'{source}' is a damaged or truncated .tflite model ({error}); convert it again"
        ) from error


def _read(content: bytes) -> TfliteModel:
    model = tflite.Model.GetRootAs(content)
    metadata = _metadata(model)
    graph = _Graph(model, metadata)
    network = QuantizedNetwork(
        name=metadata.name,
        arithmetic=metadata.arithmetic,
        form=metadata.form,
        window=metadata.window,
        input=metadata.input,
        output=metadata.output,
        returns_sequence=metadata.returns_sequence,
        ops=tuple(graph.read_op(i) for i in range(graph.op_count)),
        tensors=graph.activations,
    )
    _check(network)
    return TfliteModel(network, metadata.provenance)


def _metadata(model: Any) -> Metadata:
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == METADATA_NAME.encode():
            return decode(_buffer(model, entry.Buffer()).tobytes())
    raise InputError(
        "it has no 'edge_lstm' metadata, so another converter wrote it; "
        "convert the Keras model with 'edge-lstm convert'"
    )


def _buffer(model: Any, index: int) -> npt.NDArray[np.uint8]:
    data = model.Buffers(index).DataAsNumpy()
    if not isinstance(data, np.ndarray):
        raise ValueError(f"buffer {index} is empty")  # the file's fault
    return data


def _check(network: QuantizedNetwork) -> None:
    """The graph hangs together: chained ops, matching shapes, an LSTM, ports on tensors."""
    made = {network.input.tensor}
    for op in network.ops:
        if op.input not in made:
            raise ValueError(f"tensor '{op.input}' is read before it is made")
        made.add(op.output)
        inputs = network.tensors[op.input].channels
        outputs = network.tensors[op.output].channels
        match op:
            case LstmOp():
                expected = (op.inputs, op.units)
                consistent = op.recurrent_kernel.shape == (4, op.units, op.units) and (
                    op.bias.shape == (4, op.units)
                )
            case FullyConnectedOp():
                expected = (op.weights.shape[1], op.weights.shape[0])
                consistent = op.bias.shape == op.weights.shape[:1]
            case _:
                expected, consistent = (inputs, inputs), True
        if not consistent or expected != (inputs, outputs):
            raise ValueError(f"the shapes around '{op.output}' do not match")
    if not network.lstms or network.output.tensor not in made:
        raise ValueError("no path through an LSTM from input to output")
    for port in (network.input, network.output):
        if len(port.labels) != network.tensors[port.tensor].channels:
            raise ValueError(f"port '{port.name}' does not match its tensor")
    if network.steps_per_call < 1:
        raise ValueError(f"a window of {network.window} steps")


class _Graph:
    """The one subgraph of a file. ``activations`` fills up as ops are read."""

    def __init__(self, model: Any, metadata: Metadata) -> None:
        self._model = model
        self._subgraph = model.Subgraphs(0)
        self.op_count: int = self._subgraph.OperatorsLength()
        self.activations: dict[str, QuantizedTensor] = {}
        self._most_cell_bits = MOST_CELL_INTEGER_BITS[metadata.arithmetic]
        first = self._activation(int(self._subgraph.Inputs(0)))
        if first != metadata.input.tensor:
            raise ValueError(f"the input is '{first}', not '{metadata.input.tensor}'")

    def read_op(self, index: int) -> Op:
        operator = self._subgraph.Operators(index)
        code = self._model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        inputs = [int(i) for i in operator.InputsAsNumpy()]
        source = self._activation(inputs[0])
        output = self._activation(int(operator.Outputs(0)))
        builtin = tflite.BuiltinOperator
        if code == builtin.UNIDIRECTIONAL_SEQUENCE_LSTM:
            return self._lstm(inputs, source, output)
        if code == builtin.FULLY_CONNECTED:
            return self._fully_connected(operator, inputs, source, output)
        if code == builtin.LOGISTIC:
            return ActivationOp(source, output, "sigmoid")
        if code == builtin.TANH:
            return ActivationOp(source, output, "tanh")
        if code == builtin.SOFTMAX:
            return ActivationOp(source, output, "softmax")
        if code == builtin.STRIDED_SLICE:
            return LastStepOp(source, output)
        raise InputError(f"builtin operator {code} is not one that edge-lstm writes")

    def _lstm(self, inputs: list[int], source: str, output: str) -> LstmOp:
        kernels = [self._constant(i) for i in inputs[1:5]]
        recurrent_kernels = [self._constant(i) for i in inputs[5:9]]
        cell_scale, _ = self._quantization(inputs[19])
        if not 2.0**-15 <= cell_scale <= 2.0 ** (self._most_cell_bits - 15):
            raise ValueError(f"cell scale {cell_scale:g} is outside what the arithmetic takes")
        return LstmOp(
            input=source,
            output=output,
            kernel=np.stack(kernels),
            recurrent_kernel=np.stack(recurrent_kernels),
            bias=np.stack([self._constant(i) for i in inputs[12:16]]),
            kernel_scales=self._four_scales(inputs[1:5]),
            recurrent_scales=self._four_scales(inputs[5:9]),
            cell_scale=cell_scale,
        )

    def _fully_connected(
        self, operator: Any, inputs: list[int], source: str, output: str
    ) -> FullyConnectedOp:
        table = operator.BuiltinOptions()
        options = tflite.FullyConnectedOptions()
        options.Init(table.Bytes, table.Pos)
        return FullyConnectedOp(
            input=source,
            output=output,
            weights=self._constant(inputs[1]),
            bias=self._constant(inputs[2]),
            weight_scale=self._quantization(inputs[1])[0],
            relu=options.FusedActivationFunction() == tflite.ActivationFunctionType.RELU,
        )

    def _activation(self, index: int) -> str:
        tensor = self._tensor(index)
        name = str(tensor.Name().decode())
        scale, zero_point = self._quantization(index)
        channels = int(tensor.ShapeAsNumpy()[-1])
        self.activations[name] = QuantizedTensor(name, channels, scale, zero_point)
        return name

    def _tensor(self, index: int) -> Any:
        if not 0 <= index < self._subgraph.TensorsLength():
            raise IndexError(f"there is no tensor {index}")
        return self._subgraph.Tensors(index)

    def _quantization(self, index: int) -> tuple[float, int]:
        quantization = self._tensor(index).Quantization()
        scale, zero_point = float(quantization.Scale(0)), int(quantization.ZeroPoint(0))
        if not (0 < scale < np.inf) or not -128 <= zero_point <= 127:
            raise ValueError(f"tensor {index} has scale {scale:g}, zero point {zero_point}")
        return scale, zero_point

    def _four_scales(self, indices: list[int]) -> tuple[float, float, float, float]:
        i, f, c, o = (self._quantization(index)[0] for index in indices)
        return i, f, c, o

    def _constant(self, index: int) -> npt.NDArray[Any]:
        tensor = self._tensor(index)
        dtype = _DTYPES[tensor.Type()]
        data = _buffer(self._model, tensor.Buffer())
        values = data.view(dtype).reshape(tensor.ShapeAsNumpy())
        return np.asarray(values, dtype.newbyteorder("="))
