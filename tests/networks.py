"""Random float networks and their integer form, straight from the compiler's data classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converters.calibrate import calibrate
from converters.network import (
    Activation,
    Affine,
    Arithmetic,
    Dense,
    Form,
    Function,
    Input,
    LastStep,
    Lstm,
    Network,
    Node,
    QuantizedNetwork,
)
from converters.quantize import quantize
from converters.tflite_metadata import Provenance
from converters.tflite_writer import write_tflite

# Engines that must give the same bits, by the arithmetic of the model.
EXACT_ENGINES: dict[Arithmetic, tuple[str, ...]] = {
    "litert": ("litert", "native", "numpy"),
    "tflm": ("tflm", "native", "numpy"),
}

PROVENANCE = Provenance(writer="test", source_sha256="0" * 64, ranges={"x": (-1.0, 1.0)})


def random_network(
    rng: np.random.Generator,
    units: Sequence[int],
    features: int,
    dense: Sequence[tuple[int, Function | None]] = (),
    *,
    weight_scale: float = 1.0,
    returns_sequence: bool = False,
    scaled: bool = False,
) -> Network:
    """LSTMs of ``units``, then Dense layers (width, function). Weights are normal, of a standard
    deviation ``weight_scale`` / sqrt(inputs); ``scaled`` adds affine layers at both ends."""

    def weights(inputs: int, outputs: int) -> np.ndarray:
        return (rng.standard_normal((inputs, outputs)) * weight_scale / inputs**0.5).astype("f4")

    nodes: list[Node] = []
    end, width = "x", features
    if scaled:
        magnitude = (10 ** rng.uniform(-2, 2, features)).astype("f4")
        nodes.append(Affine("scale", end, 1 / magnitude, rng.standard_normal(features, "f4")))
        end = "scale"
    for index, count in enumerate(units):
        bias = (rng.standard_normal(4 * count) * 0.3 * weight_scale).astype("f4")
        name = f"lstm_{index}"
        nodes.append(Lstm(name, end, weights(width, 4 * count), weights(count, 4 * count), bias))
        end, width = name, count
    if not returns_sequence:
        nodes.append(LastStep("last", end))
        end = "last"
    for index, (count, function) in enumerate(dense):
        name = f"dense_{index}"
        bias = (rng.standard_normal(count) * 0.1).astype("f4")
        nodes.append(Dense(name, end, weights(width, count), bias))
        end, width = name, count
        if function:
            nodes.append(Activation(f"{name}/{function}", end, function))
            end = nodes[-1].name
    if scaled:
        spread = rng.uniform(1, 100, width).astype("f4")
        nodes.append(Affine("unscale", end, spread, np.full(width, 300, "f4")))
        end = "unscale"
    return Network("model", Input("x", features), tuple(nodes), end, None)


def calibration_for(
    rng: np.random.Generator, network: Network, count: int = 16, steps: int = 20
) -> np.ndarray:
    """Normal sequences that the network's first layer sees at unit scale."""
    x = rng.standard_normal((count, steps, network.input.features))
    first = network.nodes[0]
    if isinstance(first, Affine):
        x = (x - first.offset) / first.scale
    return x.astype(np.float32)


def quantized(
    rng: np.random.Generator,
    network: Network,
    form: Form = "stream",
    steps: int = 20,
    arithmetic: Arithmetic = "litert",
) -> QuantizedNetwork:
    x = calibration_for(rng, network, steps=steps)
    ranges = calibrate(network, x, np.full(len(x), steps))
    return quantize(network, ranges, form=form, arithmetic=arithmetic)


def tflite_bytes(network: QuantizedNetwork) -> bytes:
    return write_tflite(network, PROVENANCE)


def random_inputs(rng: np.random.Generator, network: QuantizedNetwork, steps: int) -> np.ndarray:
    """int8 [steps, features] over the full range, the ends included."""
    return rng.integers(-128, 128, (steps, network.features)).astype(np.int8)
