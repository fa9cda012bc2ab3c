"""Takes the scaling layers out of the graph and into the quantization of its ports.

A leading Normalization or Rescaling becomes one scale and zero point a feature, so that a
small feature beside a large one keeps its eight bits; a trailing one becomes the same for
the outputs. The layers next to them absorb the change of units, so the graph holds no op
for it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from converters.calibrate import Range, Ranges
from converters.errors import UnsupportedError
from converters.network import Affine, Dense, Lstm, Network, QuantizedTensor

__all__ = ["LiftedNetwork", "Units", "lift_scaling", "quantized_tensor"]

Float64Array = npt.NDArray[np.float64]

# Zero is taken into a range that stops short of it by at most this share of the width. Then
# the zero point is an int8, and the tensor's own quantization gives physical units to any
# TensorFlow Lite program.
_GAP_TO_ZERO = 0.25

# A range is laid over -127…126: the two end values of int8 are left to what lies beyond it, and
# mean saturation where they occur.
_LOWEST, _STEPS = -127, 253

# Ranges narrower than this are taken for rounding: their scale would not be a normal float32.
_SMALLEST_SCALE = 2.0**-100

# Where channels differ in scale the tensor itself can have only one: it spans -1…1.
_NOMINAL_SCALE = 2.0**-7


@dataclass(frozen=True)
class Units:
    """``physical = scale * graph + offset`` per channel, float64 [C]."""

    scale: Float64Array
    offset: Float64Array


@dataclass(frozen=True)
class LiftedNetwork:
    """A network without Affine nodes, and the units in which its ports count.

    ``output_tensor`` is None where the last node decides about its format alone.
    """

    network: Network
    input_tensor: QuantizedTensor
    input_units: Units
    output_tensor: QuantizedTensor | None
    output_units: Units


def lift_scaling(network: Network, ranges: Ranges) -> LiftedNetwork:
    """Fold the Affine nodes at both ends of ``network`` into their neighbours.

    Raises UnsupportedError for one that stands elsewhere.
    """
    network, leading = _take_leading(network)
    network, trailing = _take_trailing(network)
    for node in network.nodes:
        if isinstance(node, Affine):
            raise UnsupportedError(
                f"layer '{node.name}' scales values in the middle of the model; "
                "Normalization and Rescaling are supported before the first and after the last "
                "other layer"
            )
    input_range = ranges.values[network.input.name]
    network, input_tensor, input_units = _lift_input(network, leading, input_range)
    network, output_tensor, output_units = _lift_output(network, trailing, ranges)
    return LiftedNetwork(network, input_tensor, input_units, output_tensor, output_units)


def quantized_tensor(name: str, seen: Range) -> QuantizedTensor:
    """One int8 format for all channels of a range. Zero is always representable."""
    lower = min(float(seen.lower.min()), 0.0)
    upper = max(float(seen.upper.max()), 0.0)
    scale = float(np.float32((upper - lower) / _STEPS if upper > lower else 1.0))
    scale = max(scale, _SMALLEST_SCALE)
    zero_point = int(np.clip(round(_LOWEST - lower / scale), -128, 127))
    return QuantizedTensor(name, len(seen.lower), scale, zero_point)


def _compose(affines: list[Affine], channels: int) -> Units:
    scale, offset = np.ones(channels), np.zeros(channels)
    for affine in affines:
        scale = scale * affine.scale
        offset = offset * affine.scale + affine.offset
        if not (scale.all() and np.isfinite(scale).all() and np.isfinite(offset).all()):
            raise UnsupportedError(
                f"layer '{affine.name}' multiplies a channel by {affine.scale.min():g}; "
                "give it a finite scale other than zero"
            )
    return Units(scale, offset)


def _take_leading(network: Network) -> tuple[Network, list[Affine]]:
    affines: list[Affine] = []
    end = network.input.name
    for node in network.nodes:
        if not (isinstance(node, Affine) and node.input == end):
            break
        affines.append(node)
        end = node.name
    rest = network.nodes[len(affines) :]
    renamed = tuple(
        dataclasses.replace(node, input=network.input.name) if node.input == end else node
        for node in rest
    )
    return dataclasses.replace(network, nodes=renamed), affines


def _take_trailing(network: Network) -> tuple[Network, list[Affine]]:
    affines: list[Affine] = []
    nodes = list(network.nodes)
    output = network.output
    while nodes and isinstance(nodes[-1], Affine) and nodes[-1].name == output:
        affines.insert(0, nodes[-1])
        output = nodes.pop().input
    return dataclasses.replace(network, nodes=tuple(nodes), output=output), affines


def _channel_format(seen: Range, name: str, change: Float64Array) -> tuple[QuantizedTensor, Units]:
    """A format for each channel of a range, and the tensor format that they share.

    ``change`` [C] is what the model multiplies each channel by. A constant channel sits on
    zero and takes the steps of the widest other one behind that change, so that its column of
    the kernel, which grows with the steps, does not take the bits of the others.
    """
    lower, upper = seen.lower.astype(np.float64), seen.upper.astype(np.float64)
    constant = lower == upper
    near = np.maximum(lower, -upper) <= _GAP_TO_ZERO * (upper - lower)
    low = np.where(near & ~constant, np.minimum(lower, 0), lower)
    high = np.where(near & ~constant, np.maximum(upper, 0), upper)
    widest = float((np.abs(change) * (high - low)).max()) or 1.0
    width = np.where(constant, widest / np.abs(change), high - low)
    # The values of a float32, which is what metadata and C hold.
    scale: Float64Array = np.asarray(
        np.maximum((width / _STEPS).astype(np.float32), np.float32(_SMALLEST_SCALE)), np.float64
    )
    at_zero = -(lower.astype(np.float32) / scale.astype(np.float32)).astype(np.float64)
    zero_point = np.where(constant, at_zero, np.round(_LOWEST - low / scale))
    shared = np.ptp(scale) == 0 and np.ptp(zero_point) == 0
    if shared and abs(zero_point[0] + 0.5) < 128 and zero_point[0].is_integer():
        tensor = QuantizedTensor(name, len(lower), float(scale[0]), int(zero_point[0]))
    else:
        tensor = QuantizedTensor(name, len(lower), _NOMINAL_SCALE, 0)
    return tensor, Units(scale / tensor.scale, scale * (tensor.zero_point - zero_point))


def _lift_input(
    network: Network, affines: list[Affine], seen: Range
) -> tuple[Network, QuantizedTensor, Units]:
    channels = network.input.features
    if not affines:
        tensor = quantized_tensor(network.input.name, seen)
        return network, tensor, Units(np.ones(channels), np.zeros(channels))
    first = network.nodes[0] if network.nodes else affines[-1]
    if not isinstance(first, Dense | Lstm):
        raise UnsupportedError(
            f"layer '{first.name}' follows the scaling of the input; "
            "an LSTM or Dense layer has to come first"
        )
    change = _compose(affines, channels)
    tensor, units = _channel_format(seen, network.input.name, change.scale)
    # The layer reads change(units(graph)): both fold into its kernel and bias.
    scale = change.scale * units.scale
    offset = change.scale * units.offset + change.offset
    kernel = first.kernel.astype(np.float64)
    folded = dataclasses.replace(
        first,
        kernel=(kernel * scale[:, None]).astype(np.float32),
        bias=(first.bias + offset @ kernel).astype(np.float32),
    )
    return dataclasses.replace(network, nodes=(folded, *network.nodes[1:])), tensor, units


def _lift_output(
    network: Network, affines: list[Affine], ranges: Ranges
) -> tuple[Network, QuantizedTensor | None, Units]:
    last = network.nodes[-1]
    channels = len(ranges.values[last.name].lower)
    change = _compose(affines, channels)
    if not (affines and isinstance(last, Dense)):
        return network, None, change
    tensor, units = _channel_format(ranges.values[affines[-1].name], last.name, np.ones(channels))
    # The layer has to answer in graph units: physical = units.scale * graph + units.offset.
    scale = change.scale / units.scale
    offset = (change.offset - units.offset) / units.scale
    folded = dataclasses.replace(
        last,
        kernel=(last.kernel * scale).astype(np.float32),
        bias=(last.bias * scale + offset).astype(np.float32),
    )
    return dataclasses.replace(network, nodes=(*network.nodes[:-1], folded)), tensor, units
