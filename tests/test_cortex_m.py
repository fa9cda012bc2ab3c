"""The C on virtual Cortex-M cores: the oracle's bits, and what a step costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.integer_execution import IntegerExecution
from converters.network import Arithmetic, QuantizedNetwork
from tests.cortex_m import CORES, CortexM
from tests.networks import quantized, random_inputs, random_network

# (units, inputs, outputs) of the workloads that DESIGN.md compares with the peers.
WORKLOADS = {"W1": ([32], 6, 4), "W2": ([50, 50], 1, 1), "W3": ([128], 16, 10)}

# Instructions a step and bytes of flash on Cortex-M4, arm-none-eabi-gcc 12.2 -O2. A figure
# that grows by more than 2 % is a regression; one that shrinks is to be recorded.
RECORDED = {
    ("W1", "litert"): (31_748, 8_308),
    ("W1", "tflm"): (15_335, 8_848),
    ("W2", "litert"): (122_788, 38_016),
    ("W2", "tflm"): (70_077, 39_084),
    ("W3", "litert"): (204_931, 81_444),
    ("W3", "tflm"): (139_627, 82_004),
}


def _workload(name: str, arithmetic: Arithmetic) -> QuantizedNetwork:
    units, inputs, outputs = WORKLOADS[name]
    rng = np.random.default_rng(1)
    network = random_network(rng, units, inputs, [(outputs, None)])
    return quantized(rng, network, arithmetic=arithmetic)


@pytest.mark.parametrize("arithmetic", ["litert", "tflm"])
@pytest.mark.parametrize("core", CORES)
def test_every_core_has_the_oracle_s_bits(
    core: str, arithmetic: Arithmetic, tmp_path: Path
) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        units = [int(count) for count in rng.integers(1, 40, 2)]
        network = quantized(
            rng,
            random_network(
                rng,
                units,
                int(rng.integers(1, 12)),
                [(6, "relu"), (3, ("softmax", "sigmoid", "tanh")[seed])],
                weight_scale=(0.3, 1.0, 4.0)[seed],
            ),
            arithmetic=arithmetic,
        )
        inputs = random_inputs(rng, network, 60)
        expected = IntegerExecution(network).run(inputs[None])[0]
        machine = CortexM(network, core, tmp_path)
        found = np.stack([machine.step(step) for step in inputs])
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("arithmetic", ["litert", "tflm"])
@pytest.mark.parametrize("name", WORKLOADS)
def test_what_a_step_costs_on_cortex_m4(name: str, arithmetic: Arithmetic, tmp_path: Path) -> None:
    network = _workload(name, arithmetic)
    machine = CortexM(network, "cortex-m4", tmp_path)
    inputs = random_inputs(np.random.default_rng(3), network, 20)
    expected = IntegerExecution(network).run(inputs[None])[0]
    counts = []
    for step, answer in zip(inputs, expected, strict=True):
        np.testing.assert_array_equal(machine.step(step), answer)
        counts.append(machine.instructions)
    instructions = round(np.mean(counts))
    print(
        f"\n{name} {arithmetic}: {instructions:,} instructions a step, {machine.flash:,} bytes "
        f"of flash, {network.multiply_accumulates:,} multiply-accumulates"
    )
    most_instructions, most_flash = RECORDED[name, arithmetic]
    assert instructions <= 1.02 * most_instructions
    assert machine.flash <= 1.02 * most_flash
