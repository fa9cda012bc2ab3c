"""The integers say what the float model says: cells, scales, biases, lengths."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters.errors import InputError, UnsupportedError
from converters.float_execution import run_float
from converters.keras_reader import load_keras_model, read_keras_model
from edge_lstm.conversion import convert
from edge_lstm.conversion_report import ConversionReport
from edge_lstm.engines import load
from edge_lstm.golden import read_golden
from edge_lstm.harness.streaming import run_sequences
from edge_lstm.sequences import read_sequences
from tests.conftest import save_calibration
from tests.keras_models import FEATURES, build_models, calibration_for_model
from tests.networks import EXACT_ENGINES, random_network


@pytest.fixture(scope="module")
def models(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(3)
    return build_models(keras)


def _counter(keras: Any, push: float) -> Any:
    """One unit that adds nearly i * g each step and forgets nothing: c grows with ``push``."""
    layer = keras.layers.LSTM(1, return_sequences=True)
    model = keras.Sequential([keras.Input((None, 1)), layer])
    kernel = np.array([[0.0, 0.0, 2.0, 0.0]])  # only the candidate sees the input
    bias = np.array([push, 12.0, 0.0, 8.0])
    layer.set_weights([kernel, np.zeros((1, 4)), bias])
    return model


def _wandering(steps: int) -> np.ndarray:
    """Up for a half, then down again: the cell follows to about 0.76 * half and back."""
    x = np.concatenate([np.full(steps // 2, 0.5), np.full(steps - steps // 2, -0.5)])
    return np.stack([x, -x, x * 0.3, x * 0.05])[..., None].astype(np.float32)


def test_a_cell_that_wanders_to_fifty_is_not_clipped(keras: Any, tmp_path: Path) -> None:
    model = _counter(keras, push=8.0)
    model.save(tmp_path / "wander.keras")
    x = _wandering(131)
    report = convert(
        tmp_path / "wander.keras", save_calibration(tmp_path / "c.npz", x), output=tmp_path / "out"
    )
    low, high = next(ends for name, ends in report.ranges.items() if name.endswith("/cell"))
    assert 48 < high < 52
    assert low == -high
    network = read_keras_model(load_keras_model(tmp_path / "wander.keras"), "wander")
    cells = run_float(network, x).cells[network.output]
    for engine_name in EXACT_ENGINES["litert"]:
        engine = load(report.files["tflite"], engine_name)
        for sequence, expected in zip(x, cells, strict=True):
            engine.reset()
            for step, cell in zip(sequence, expected, strict=True):
                engine.step(step)
                (state,) = engine.state.values()
                # In Q3.12 no forget gate is above sigmoid(8) = 0.99966, which is 2 % of the peak
                # after 60 steps of keeping it; a clip at 10 would be 40 off.
                assert abs(state.cell[0] * 2.0**-9 - cell[0]) < 0.03 * 50
    golden = read_golden(report.files["golden"])
    quantum = report.tensors[network.output][0]
    answers = load(report.files["tflite"], "numpy").network.output.dequantize(golden.expected)
    rising = np.abs(answers - golden.expected_float)[:, :65]
    assert rising.max() < 6 * quantum


def test_a_cell_beyond_sixty_four_is_refused(keras: Any, tmp_path: Path) -> None:
    _counter(keras, push=8.0).save(tmp_path / "wander.keras")
    calibration = save_calibration(tmp_path / "c.npz", _wandering(180))
    model, out = tmp_path / "wander.keras", tmp_path / "out"
    with pytest.raises(UnsupportedError, match=r"reaches 68.*beyond the 64.*tflm.*16x8"):
        convert(model, calibration, output=out)
    assert not out.exists()
    # tflite-micro's tanh reaches further, and its wheel confirms it.
    report = convert(model, calibration, output=out, arithmetic="tflm")
    golden = read_golden(report.files["golden"])
    for engine in EXACT_ENGINES["tflm"]:
        run = run_sequences(load(report.files["tflite"], engine), golden.sequences)
        np.testing.assert_array_equal(run.raw, golden.expected)
    rising = np.abs(run.output - golden.expected_float)[:, :85]
    assert rising.max() < 6 / 128  # steps of the hidden state
    longer = save_calibration(tmp_path / "long.npz", _wandering(800))
    with pytest.raises(UnsupportedError, match=r"beyond the 256 that tflite-micro"):
        convert(model, longer, output=out, arithmetic="tflm")


def test_a_small_feature_beside_a_large_one_keeps_its_bits(
    models: dict[str, Any], tmp_path: Path
) -> None:
    models["scaled_ends"].save(tmp_path / "m.keras")
    calibration = save_calibration(tmp_path / "c.npz", calibration_for_model("scaled_ends"))
    report = convert(tmp_path / "m.keras", calibration, output=tmp_path / "out")
    port = load(report.files["tflite"], "numpy").network.input
    quantized_inputs = port.quantize(read_sequences(calibration).x)
    for feature in range(FEATURES):
        assert len(np.unique(quantized_inputs[..., feature])) > 120
    restored = port.dequantize(quantized_inputs)
    span = port.upper - port.lower
    assert (np.abs(restored - read_sequences(calibration).x) <= 0.51 * span / 255).all()


def test_one_feature_near_zero_has_its_units_in_the_tensor(seed_stream: ConversionReport) -> None:
    """Then any TensorFlow Lite program that knows nothing of edge-lstm feeds it correctly."""
    network = load(seed_stream.files["tflite"], "numpy").network
    tensor = network.tensors[network.input.tensor]
    assert network.input.scale[0] == np.float32(tensor.scale)
    assert network.input.zero_point[0] == tensor.zero_point


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    mean=st.floats(-1e6, 1e6),
    deviation=st.floats(1e-6, 1e6),
    offset=st.floats(-3, 3),
    seed=st.integers(0, 1000),
)
def test_lifting_a_normalization_changes_no_answer(
    mean: float, deviation: float, offset: float, seed: int
) -> None:
    """A scaling layer in front, and data in its units, answer as the bare model does. Not with
    the same bits: the range need not reach zero, and weights round elsewhere."""
    from converters.calibrate import calibrate
    from converters.integer_execution import IntegerExecution
    from converters.network import Affine
    from converters.quantize import quantize

    rng = np.random.default_rng(seed)
    bare = random_network(rng, [6], 1, [(2, None)])
    scale = np.array([1 / deviation], np.float32)
    shift = np.array([-mean / deviation], np.float32)
    nodes = (
        Affine("scale", "x", scale, shift),
        dataclasses.replace(bare.nodes[0], input="scale"),
        *bare.nodes[1:],
    )
    scaled = dataclasses.replace(bare, nodes=nodes)
    # Data on a grid that float32 holds exactly in both units is not to be had for all means,
    # so the comparison is made where float32 can tell the values apart.
    inner = (np.cumsum(rng.standard_normal((8, 15, 1)), axis=1) + offset).astype(np.float32)
    physical = ((inner.astype(np.float64) - shift) / scale).astype(np.float32)
    if np.abs(physical * scale + shift - inner).max() > 1e-3:
        return
    lengths = np.full(8, 15)
    answers = []
    for network, x in ((bare, inner), (scaled, physical)):
        integer = quantize(network, calibrate(network, x, lengths), form="stream")
        execution = IntegerExecution(integer, batch=8)
        raw = execution.run(integer.input.quantize(x))
        answers.append(integer.output.dequantize(raw))
    spread = answers[0].std() or 1.0
    assert np.sqrt(np.mean((answers[0] - answers[1]) ** 2)) < 0.2 * spread


def test_ragged_sequences_count_up_to_their_length(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(4), keras.layers.Dense(1)])
    model.save(tmp_path / "m.keras")
    rng = np.random.default_rng(2)
    x = rng.standard_normal((30, 9, 2))
    lengths = rng.integers(2, 10, 30)
    beyond = np.arange(9) >= lengths[:, None]
    x[beyond] = 1e6  # padding that must not set a range
    calibration = save_calibration(tmp_path / "c.npz", x, lengths=lengths)
    report = convert(tmp_path / "m.keras", calibration, output=tmp_path / "out")
    low, high = next(iter(report.ranges.values()))
    assert -6 < low < high < 6
    golden = read_golden(report.files["golden"])
    for engine in EXACT_ENGINES["litert"]:
        run = run_sequences(load(report.files["tflite"], engine), golden.sequences)
        np.testing.assert_array_equal(run.raw, golden.expected)
    assert report.outputs[0].logit_error is not None
    assert report.outputs[0].logit_error < 0.06
    with pytest.raises(InputError, match="--form stream"):
        convert(tmp_path / "m.keras", calibration, output=tmp_path / "w", form="window")


def test_a_bias_beside_tiny_weights_fits_its_integer(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(4), keras.layers.Dense(1)])
    kernel, recurrent, bias = model.layers[0].get_weights()
    kernel[:, :4] *= 1e-9  # the input gate hardly sees the input, and has a large bias
    bias[:4] = 3.0
    model.layers[0].set_weights([kernel, recurrent, bias])
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).standard_normal((40, 20, 2))
    calibration = save_calibration(tmp_path / "c.npz", x)
    report = convert(tmp_path / "m.keras", calibration, output=tmp_path / "out")
    assert report.outputs[0].logit_error is not None
    assert report.outputs[0].logit_error < 0.08


def test_gates_that_would_overflow_are_refused(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, 1)), keras.layers.LSTM(4)])
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).uniform(0, 1e7, (8, 20, 1))
    with pytest.raises(UnsupportedError, match=r"layer 'lstm.*Normalization"):
        convert(tmp_path / "m.keras", save_calibration(tmp_path / "c.npz", x), output=tmp_path)


def test_constant_features_are_exact_and_warned_of(keras: Any, tmp_path: Path) -> None:
    for name, layers in (
        ("bare", []),
        ("scaled", [keras.layers.Normalization(mean=[0.0, 9.0, 0], variance=[1.0, 4.0, 1])]),
    ):
        model = keras.Sequential([keras.Input((None, 3)), *layers, keras.layers.LSTM(3)])
        model.save(tmp_path / f"{name}.keras")
        x = np.random.default_rng(0).standard_normal((9, 7, 3))
        x[..., 1], x[..., 2] = 9.25, 0.0
        report = convert(
            tmp_path / f"{name}.keras",
            save_calibration(tmp_path / "c.npz", x),
            output=tmp_path / name,
        )
        assert len(report.warnings) == 2
        assert "always 9.25" in report.warnings[0]
        port = load(report.files["tflite"], "numpy").network.input
        restored = port.dequantize(port.quantize(x[0]))
        np.testing.assert_allclose(restored[:, 1], 9.25, rtol=1e-6 if name == "scaled" else 0.01)
        np.testing.assert_array_equal(restored[:, 2], 0)
