"""Takes the mean error of int8 out of the biases of the dense layers.

Rounded weights and the rounding inside the LSTM leave an error that is the same at every
step; over the calibration data it shows as a mean and can be subtracted. (Nagel et al.,
Data-Free Quantization through Weight Equalization and Bias Correction, 2019, section 4.2.)
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from converters.float_execution import run_float
from converters.integer_execution import IntegerExecution
from converters.network import FullyConnectedOp, LstmOp, Network, QuantizedNetwork

__all__ = ["correct_biases"]

FloatArray = npt.NDArray[np.float32]

# The mean settles long before all of a large calibration set has been run.
_SEQUENCES = 128

# As in the quantizer.
_LARGEST_BIAS = (1 << 29) - 1


def correct_biases(
    network: Network,
    quantized: QuantizedNetwork,
    x: FloatArray,
    lengths: npt.NDArray[np.int64],
) -> QuantizedNetwork:
    """Shift the bias of each fully connected layer by its mean error over sequences x, float32
    [N, T, features], of ``lengths`` [N] steps.

    The steps that count are those the layer answers at in the window form, so both forms get
    the same biases: the last one behind a LastStep, else all. Layers with a relu are left as
    they are: what the relu cuts off says nothing about them.
    """
    picked = np.unique(np.linspace(0, len(x) - 1, _SEQUENCES).astype(np.int64))
    x, lengths = x[picked], lengths[picked]
    expected = run_float(network, x, every_step=True).values
    last_lstm = max(i for i, op in enumerate(quantized.ops) if isinstance(op, LstmOp))
    for index, op in enumerate(quantized.ops):
        if isinstance(op, FullyConnectedOp) and not op.relu:
            steps = np.arange(x.shape[1])
            if index > last_lstm and not network.returns_sequence:
                counted = steps == lengths[:, None] - 1
            else:
                counted = steps < lengths[:, None]
            corrected = _correct(op, network, quantized, x, counted, expected)
            ops = (*quantized.ops[:index], corrected, *quantized.ops[index + 1 :])
            quantized = dataclasses.replace(quantized, ops=ops)
    return quantized


def _correct(
    op: FullyConnectedOp,
    network: Network,
    quantized: QuantizedNetwork,
    x: FloatArray,
    counted: npt.NDArray[np.bool_],
    expected: dict[str, FloatArray],
) -> FullyConnectedOp:
    source, output = quantized.tensors[op.input], quantized.tensors[op.output]
    execution = IntegerExecution(quantized, batch=len(x))
    found = execution.trace(quantized.input.quantize(x))[op.output]
    if op.output == quantized.output.tensor:
        port = quantized.output
        exact = expected[network.output] / port.scale + port.zero_point
    else:
        exact = expected[op.output] / np.float32(output.scale) + np.float32(output.zero_point)
    # Behind its LastStep a window model has one answer a sequence.
    error = (found if found.ndim == 2 else found[counted]) - exact[counted]
    shift = error.mean(axis=0, dtype=np.float64) * output.scale / (source.scale * op.weight_scale)
    bias = np.clip(op.bias - np.round(shift), -_LARGEST_BIAS, _LARGEST_BIAS)
    return dataclasses.replace(op, bias=bias.astype(np.int32))
