"""The same bits in the named runtime (LiteRT's reference kernels, or tflite-micro), in the NumPy
oracle and in the C."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import pytest

from converters.errors import UnsupportedError
from converters.integer_execution import IntegerExecution
from converters.network import Arithmetic, Function, QuantizedNetwork
from edge_lstm.engines.litert import LitertEngine
from edge_lstm.engines.native import NativeEngine
from edge_lstm.engines.tflm import TflmEngine
from tests.networks import quantized, random_inputs, random_network, tflite_bytes

STEPS = 220
# Models whose values are compared; LiteRT's promise is a million.
MODELS: dict[Arithmetic, int] = {"litert": 36, "tflm": 24}
VALUES: dict[Arithmetic, int] = {"litert": 1_000_000, "tflm": 600_000}
_FUNCTIONS: tuple[Function | None, ...] = (None, "relu", "sigmoid", "tanh", "softmax")


def _model(seed: int, arithmetic: Arithmetic = "litert") -> QuantizedNetwork:
    """Units 1…130, inputs 1…40, one to three layers, weights from faint to saturating."""
    rng = np.random.default_rng(seed)
    while True:
        units = [int(u) for u in rng.integers(1, 131, rng.integers(1, 4))]
        dense = [
            (int(rng.integers(1, 20)), _FUNCTIONS[rng.integers(5)]) for _ in range(rng.integers(3))
        ]
        network = random_network(
            rng,
            units,
            int(rng.integers(1, 41)),
            dense,
            weight_scale=float(10 ** rng.uniform(-1.5, 1)),
            returns_sequence=bool(rng.integers(2)),
            scaled=bool(rng.integers(2)),
        )
        try:
            return quantized(rng, network, arithmetic=arithmetic)
        except UnsupportedError:  # a cell beyond the limit: refused, as test_faithfulness shows
            continue


@dataclass
class Trace:
    outputs: np.ndarray
    states: np.ndarray


def _runtime(network: QuantizedNetwork, inputs: np.ndarray) -> Trace:
    kind = {"litert": LitertEngine, "tflm": TflmEngine}[network.arithmetic]
    engine = kind(network, tflite_bytes(network))
    engine.reset()
    outputs, states = [], []
    for step in inputs:
        outputs.append(engine.invoke(step))
        layers = engine.state.values()
        states.append(np.concatenate([part for s in layers for part in (s.hidden, s.cell)]))
    return Trace(np.stack(outputs), np.stack(states))


def _oracle(network: QuantizedNetwork, inputs: np.ndarray) -> Trace:
    oracle = IntegerExecution(network)
    outputs, states = [], []
    for step in inputs:
        outputs.append(oracle.run(step[None, None])[0, 0])
        layers = oracle.state.values()
        states.append(np.concatenate([part for s in layers for part in (s.hidden[0], s.cell[0])]))
    return Trace(np.stack(outputs), np.stack(states))


def _native(network: QuantizedNetwork, inputs: np.ndarray) -> Trace:
    engine = NativeEngine(network)
    saved_bytes = 3 * sum(op.units for op in network.lstms)
    outputs = np.empty((len(inputs), network.outputs), np.int8)
    saved = np.empty((len(inputs), saved_bytes), np.uint8)
    engine.stream(inputs, outputs, saved)
    states, offset = [], 0
    for op in network.lstms:
        middle, end = offset + op.units, offset + 3 * op.units
        states.append(saved[:, offset:middle].view(np.int8))
        states.append(np.ascontiguousarray(saved[:, middle:end]).view("<i2"))
        offset = end
    return Trace(outputs, np.concatenate([s.astype(np.int16) for s in states], axis=1))


@pytest.mark.parametrize("form", ["", " -DEDGE_LSTM_PORTABLE"])
def test_every_form_of_the_kernels_agrees(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form for this machine, and the reference form in plain C."""
    monkeypatch.setenv("CC", f"gcc{form}")
    for seed in range(60, 66):
        network = _model(seed, "tflm" if seed % 2 else "litert")
        inputs = random_inputs(np.random.default_rng(seed), network, 60)
        expected, found = _oracle(network, inputs), _native(network, inputs)
        np.testing.assert_array_equal(found.outputs, expected.outputs)
        np.testing.assert_array_equal(found.states, expected.states)


@pytest.mark.parametrize("arithmetic", ["litert", "tflm"])
def test_runtime_oracle_and_c_agree(arithmetic: Arithmetic) -> None:
    values = 0
    for seed in range(MODELS[arithmetic]):
        network = _model(seed, arithmetic)
        inputs = random_inputs(np.random.default_rng(1000 + seed), network, STEPS)
        traces = [run(network, inputs) for run in (_runtime, _oracle, _native)]
        for other in traces[1:]:
            np.testing.assert_array_equal(other.outputs, traces[0].outputs, f"seed {seed}")
            np.testing.assert_array_equal(other.states, traces[0].states, f"seed {seed}")
        values += traces[0].outputs.size + traces[0].states.size
    assert values >= VALUES[arithmetic]
    print(f"\n{values:,} outputs and states equal in {arithmetic}, NumPy and C")


def _sweep(gate: int, arithmetic: Arithmetic) -> QuantizedNetwork:
    """An LSTM whose ``gate`` (0 input, 2 candidate) takes every Q3.12 value, 256 a step.

    Four inputs of weight 64 give 256 x, the bias of unit u adds u; the other factor of the
    new cell state is saturated, so the cell shows the gate.
    """
    from dataclasses import replace

    rng = np.random.default_rng(0)
    base = quantized(rng, random_network(rng, [256], 4), arithmetic=arithmetic)
    op = base.lstms[0]
    kernel = np.zeros((4, 256, 4), np.int8)
    kernel[gate] = 64
    bias = np.zeros((4, 256), np.int32)
    bias[[0, 2]] = 32767
    bias[gate] = np.arange(256)
    swept = replace(
        op,
        kernel=kernel,
        recurrent_kernel=np.zeros((4, 256, 256), np.int8),
        bias=bias,
        kernel_scales=(2.0**-7,) * 4,
        cell_scale=2.0**-15,
    )
    source = replace(base.tensors["x"], scale=2.0**-5, zero_point=0)
    return replace(base, ops=(swept, *base.ops[1:]), tensors=base.tensors | {"x": source})


@pytest.mark.parametrize("arithmetic", ["litert", "tflm"])
@pytest.mark.parametrize("gate", [0, 2])
def test_sigmoid_and_tanh_are_the_runtime_s_for_all_65536_inputs(
    gate: int, arithmetic: Arithmetic
) -> None:
    network = _sweep(gate, arithmetic)
    kind = {"litert": LitertEngine, "tflm": TflmEngine}[arithmetic]
    runtime = kind(network, tflite_bytes(network))
    oracle = IntegerExecution(network)
    cells = set()
    for value in range(-128, 128):
        step = np.full(4, value, np.int8)
        runtime.reset()
        oracle.reset()
        runtime.invoke(step)
        oracle.run(step[None, None])
        found = runtime.state["lstm_0"].cell
        np.testing.assert_array_equal(oracle.state["lstm_0"].cell[0], found)
        cells.update(found.tolist())
    assert len(cells) > 9_000  # the sweep reached the whole curve


@pytest.mark.parametrize("arithmetic", ["litert", "tflm"])
@pytest.mark.parametrize("function", ["sigmoid", "tanh", "softmax"])
def test_output_functions_are_the_runtime_s(function: Function, arithmetic: Arithmetic) -> None:
    mismatches = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        network = quantized(
            rng,
            random_network(
                rng,
                [8],
                3,
                [(int(rng.integers(1, 60)), function)],
                weight_scale=float(10 ** rng.uniform(-1, 1)),
            ),
            arithmetic=arithmetic,
        )
        inputs = random_inputs(rng, network, 150)
        traces = [run(network, inputs) for run in (_runtime, _oracle, _native)]
        mismatches += sum(int((t.outputs != traces[0].outputs).sum()) for t in traces[1:])
    assert mismatches == 0


def test_stepping_is_the_same_as_one_call() -> None:
    rng = np.random.default_rng(5)
    network = quantized(rng, random_network(rng, [20, 7], 3, [(2, None)]))
    inputs = random_inputs(rng, network, 60)
    at_once = IntegerExecution(network).run(inputs[None])[0]
    np.testing.assert_array_equal(at_once, _oracle(network, inputs).outputs)


def test_state_can_be_saved_and_handed_over() -> None:
    rng = np.random.default_rng(6)
    network = quantized(rng, random_network(rng, [9, 5], 2, [(2, None)]))
    inputs = random_inputs(rng, network, 40)
    whole = _native(network, inputs).outputs
    first, second = NativeEngine(network), NativeEngine(network)
    for step in inputs[:25]:
        first.invoke(step)
    second.load_state(first.save_state())
    resumed = np.stack([second.invoke(step) for step in inputs[25:]])
    np.testing.assert_array_equal(resumed, whole[25:])


def test_streams_do_not_share_state() -> None:
    rng = np.random.default_rng(7)
    network = quantized(rng, random_network(rng, [6], 2))
    inputs = random_inputs(rng, network, 30)
    alone = _native(network, inputs).outputs
    one, other = NativeEngine(network), NativeEngine(network)
    interleaved = []
    for step in inputs:
        interleaved.append(one.invoke(step))
        other.invoke(rng.integers(-128, 128, 2).astype(np.int8))
    np.testing.assert_array_equal(np.stack(interleaved), alone)


def test_the_c_state_is_as_large_as_reported() -> None:
    from converters.c_source import state_bytes

    for seed in range(4):
        network = _model(seed)
        engine = NativeEngine(network)
        assert ctypes.sizeof(engine._state) == state_bytes(network)
