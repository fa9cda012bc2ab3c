"""From Keras to files: what is converted, how faithfully, and what the files hold."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters.errors import InputError, UnsupportedError
from converters.float_execution import run_float
from converters.keras_reader import load_keras_model, predict, read_keras_model
from converters.tflite_reader import read_tflite
from edge_lstm.conversion import ConversionReport, convert
from edge_lstm.engines import ENGINES, load
from edge_lstm.golden import read_golden
from edge_lstm.harness.streaming import run_sequences
from edge_lstm.sequences import read_sequences
from tests.conftest import require_tool, save_calibration
from tests.networks import PROVENANCE, quantized, random_network, tflite_bytes

STEPS, FEATURES = 12, 3


def _models(keras: Any) -> dict[str, Any]:
    """One small model for each supported layer and option."""
    layers, sequential, inputs = keras.layers, keras.Sequential, keras.Input

    def functional() -> Any:
        source = inputs((STEPS, FEATURES))
        hidden = layers.LSTM(6, return_sequences=True)(source)
        return keras.Model(source, layers.TimeDistributed(layers.Dense(4, "relu"))(hidden))

    each = {
        f"dense_{function}": sequential(
            [inputs((None, FEATURES)), layers.LSTM(7), layers.Dense(3, activation=function)]
        )
        for function in ("linear", "relu", "sigmoid", "tanh", "softmax")
    }
    return each | {
        "lstm_alone": sequential([inputs((STEPS, FEATURES)), layers.LSTM(5)]),
        "sequence_alone": sequential([inputs((None, FEATURES)), layers.LSTM(5, return_sequences=True)]),
        "no_bias": sequential(
            [inputs((STEPS, FEATURES)), layers.LSTM(6, use_bias=False), layers.Dense(2, use_bias=False)]
        ),
        "stacked_dropout": sequential(
            [
                inputs((STEPS, FEATURES)),
                layers.LSTM(6, return_sequences=True, dropout=0.3, recurrent_dropout=0.2),
                layers.Dropout(0.4),
                layers.Dense(5, activation="tanh"),
                layers.LSTM(4),
                layers.Dense(2),
            ]
        ),
        "stateful": sequential(
            [inputs(batch_shape=(2, 4, FEATURES)), layers.LSTM(6, stateful=True), layers.Dense(2)]
        ),
        "functional": functional(),
        "scaled_ends": sequential(
            [
                inputs((None, FEATURES)),
                layers.Normalization(mean=[1.0, 300.0, -2e4], variance=[1e-4, 25.0, 1e8]),
                layers.Rescaling(0.5, offset=0.1),
                layers.LSTM(6),
                layers.Dense(2),
                layers.Normalization(mean=[273.0, 0.0], variance=[4.0, 1e6], invert=True),
            ]
        ),
        "scaled_softmax": sequential(
            [
                inputs((None, FEATURES)),
                layers.LSTM(6),
                layers.Dense(3, activation="softmax"),
                layers.Rescaling(100.0, offset=1.0),
            ]
        ),
    }  # fmt: skip


MODEL_NAMES = (
    "dense_linear", "dense_relu", "dense_sigmoid", "dense_tanh", "dense_softmax", "lstm_alone",
    "sequence_alone", "no_bias", "stacked_dropout", "stateful", "functional", "scaled_ends",
    "scaled_softmax",
)  # fmt: skip


@pytest.fixture(scope="module")
def models(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(3)
    found = _models(keras)
    assert tuple(found) == MODEL_NAMES
    return found


def _calibration(name: str) -> np.ndarray:
    rng = np.random.default_rng(11)
    x = np.cumsum(rng.standard_normal((40, STEPS, FEATURES)) * 0.4, axis=1)
    return x * [0.01, 5.0, 1e4] + [1.0, 300.0, -2e4] if name == "scaled_ends" else x


@pytest.mark.parametrize("form", ["stream", "window"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_layer_converts_and_every_engine_agrees(
    models: dict[str, Any], name: str, form: Any, tmp_path: Path
) -> None:
    models[name].save(tmp_path / "m.keras")
    x = _calibration(name)
    calibration = save_calibration(tmp_path / "c.npz", x)
    report = convert(tmp_path / "m.keras", calibration, output=tmp_path / "out", form=form)
    golden = read_golden(report.files["golden"])
    assert golden.expected.shape == golden.expected_float.shape
    assert (
        golden.expected.shape
        == predict(models[name], golden.sequences.x, golden.sequences.lengths).shape
    )  # noqa: E501
    assert len(np.unique(golden.expected)) > 4
    for engine in ENGINES:
        run = run_sequences(load(report.files["tflite"], engine), golden.sequences)
        np.testing.assert_array_equal(run.raw, golden.expected, engine)
    for output in report.outputs:
        assert output.logit_error is not None
        assert output.logit_error < 0.06, output


def test_the_float_network_is_keras(models: dict[str, Any], tmp_path: Path) -> None:
    for name, model in models.items():
        network = read_keras_model(model, "m")
        x = _calibration(name).astype(np.float32)
        expected = predict(model, x, np.full(len(x), STEPS))
        found = run_float(network, x).values[network.output]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=3e-6 * scale, err_msg=name)


def test_the_window_form_is_sixty_steps_after_a_reset(
    seed_stream: ConversionReport, seed_window: ConversionReport
) -> None:
    stream, window = (
        read_golden(seed_stream.files["golden"]),
        read_golden(seed_window.files["golden"]),
    )
    np.testing.assert_array_equal(stream.expected, window.expected)
    for engine in ENGINES:
        step_by_step = run_sequences(load(seed_stream.files["tflite"], engine), stream.sequences)
        at_once = run_sequences(load(seed_window.files["tflite"], engine), stream.sequences)
        assert step_by_step.raw is not None
        np.testing.assert_array_equal(step_by_step.raw, at_once.raw)
        assert step_by_step.raw.std() > 1


def _operators(content: bytes) -> list[str]:
    names = {
        code: name
        for name, code in vars(tflite.BuiltinOperator).items()
        if not name.startswith("_")
    }
    model = tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    return [
        names[model.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode()]
        for i in range(graph.OperatorsLength())
    ]


def test_the_seed_s_model_is_two_lstms_and_a_fully_connected(
    seed_stream: ConversionReport, seed_window: ConversionReport
) -> None:
    lstm, dense = "UNIDIRECTIONAL_SEQUENCE_LSTM", "FULLY_CONNECTED"
    assert _operators(seed_stream.files["tflite"].read_bytes()) == [lstm, lstm, dense]
    assert _operators(seed_window.files["tflite"].read_bytes()) == [
        lstm,
        lstm,
        "STRIDED_SLICE",
        dense,
    ]


def test_the_lstm_op_is_written_as_litert_wants_it(seed_stream: ConversionReport) -> None:
    content = seed_stream.files["tflite"].read_bytes()
    model = tflite.Model.GetRootAs(content)
    graph = model.Subgraphs(0)
    for index in range(2):
        op = graph.Operators(index)
        table = op.BuiltinOptions()
        options = tflite.UnidirectionalSequenceLSTMOptions()
        options.Init(table.Bytes, table.Pos)
        assert (options.CellClip(), options.ProjClip()) == (0, 0)
        assert options.FusedActivationFunction() == tflite.ActivationFunctionType.TANH
        assert (op.InputsLength(), op.IntermediatesLength()) == (24, 5)
        hidden, cell = graph.Tensors(op.Inputs(18)), graph.Tensors(op.Inputs(19))
        output = graph.Tensors(op.Outputs(0)).Quantization()
        product = graph.Tensors(op.Intermediates(4)).Quantization()
        assert hidden.IsVariable()
        assert cell.IsVariable()
        for other in (hidden.Quantization(), product):
            assert (other.Scale(0), other.ZeroPoint(0)) == (output.Scale(0), output.ZeroPoint(0))
        exponent = np.log2(cell.Quantization().Scale(0))
        assert exponent == round(exponent)
        assert -15 <= exponent <= -9
    assert graph.Tensors(graph.Inputs(0)).Type() == tflite.TensorType.INT8
    assert graph.Tensors(graph.Outputs(0)).Type() == tflite.TensorType.INT8


def test_tflite_micro_runs_it(seed_stream: ConversionReport) -> None:
    """Another arithmetic (see DESIGN.md), so close to the oracle but not the same bits."""
    from tflite_micro.python.tflite_micro import runtime

    golden = read_golden(seed_stream.files["golden"])
    network = read_tflite(seed_stream.files["tflite"].read_bytes(), "seed").network
    content = seed_stream.files["tflite"].read_bytes()
    interpreter = runtime.Interpreter.from_bytes(content)
    distances = []
    for x, expected in zip(golden.sequences.x[:10], golden.expected[:10], strict=True):
        interpreter.reset()
        for step in network.input.quantize(x):
            interpreter.set_input(step.reshape(1, 1, -1), 0)
            interpreter.invoke()
        found = np.asarray(interpreter.get_output(0)).ravel()
        distances.append(int(np.abs(found.astype(int) - expected).max()))
    print(f"\ntflite-micro: {max(distances)} LSB at most from the oracle after 60 steps")
    assert max(distances) <= 4


def test_a_second_conversion_gives_the_same_bytes(
    seed_files: tuple[Path, Path], seed_stream: ConversionReport, tmp_path: Path
) -> None:
    model, calibration = seed_files
    time.sleep(2.1)  # longer than the resolution of a zip archive's time stamps
    again = convert(model, calibration, output=tmp_path)
    written = sorted(path.name for path in seed_stream.folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == written
    for name in written:
        assert (tmp_path / name).read_bytes() == (seed_stream.folder / name).read_bytes(), name
    assert again.name == "seed"


def test_the_folder_holds_what_the_design_lists(seed_stream: ConversionReport) -> None:
    names = {path.name for path in seed_stream.folder.iterdir()}
    assert {
        "seed.tflite", "seed.c", "seed.h", "seed_model_data.h", "seed_model_data.cc",
        "seed_golden.npz", "seed_report.json", "edge_lstm_kernels.h",
    } <= names  # fmt: skip
    array = (seed_stream.folder / "seed_model_data.cc").read_text()
    assert "alignas(16) const unsigned char g_seed_model_data[] = {" in array
    data = array.split("{")[1].split("}")[0]
    assert (
        bytes(int(item, 16) for item in data.replace("\n", "").split(",") if item.strip())
        == (seed_stream.folder / "seed.tflite").read_bytes()
    )
    report = json.loads((seed_stream.folder / "seed_report.json").read_text())
    assert report["multiply_accumulates_per_step"] == 30_250
    golden = read_golden(seed_stream.folder / "seed_golden.npz")
    answers = load(seed_stream.folder / "seed.tflite", "numpy").network.output.dequantize(
        golden.expected
    )
    error = answers - golden.expected_float
    (output,) = report["int8_against_float"]
    assert output["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    assert output["largest_error"] == pytest.approx(np.abs(error).max(), rel=1e-4)
    assert set(report["ranges"]) >= {"lstm", "lstm_1", "lstm/cell", "lstm_1/cell", "dense"}


def test_the_file_is_read_back_as_it_was_written() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        network = quantized(
            rng,
            random_network(rng, [5, 3], 4, [(6, "relu"), (3, "softmax")], scaled=bool(seed % 2)),
            form="window" if seed % 3 else "stream",
        )
        model = read_tflite(tflite_bytes(network), "test")
        assert model.provenance == PROVENANCE
        _assert_same(model.network, network)


def _assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            _assert_same(getattr(found, field.name), getattr(expected, field.name))
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            _assert_same(found[key], value)
    elif isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _assert_same(one, other)
    else:
        assert found == expected


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
    for engine_name in ENGINES:
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
    with pytest.raises(UnsupportedError, match=r"reaches 68.*beyond the 64.*tflm.*16x8"):
        convert(tmp_path / "wander.keras", calibration, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_small_feature_beside_a_large_one_keeps_its_bits(
    models: dict[str, Any], tmp_path: Path
) -> None:
    models["scaled_ends"].save(tmp_path / "m.keras")
    calibration = save_calibration(tmp_path / "c.npz", _calibration("scaled_ends"))
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
    for engine in ENGINES:
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
    with pytest.raises(UnsupportedError, match="layer 'lstm.*Normalization"):
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


def test_the_c_array_of_the_report_is_what_gcc_puts_in_flash(seed_stream: ConversionReport) -> None:
    require_tool("gcc")
    kernels = 4 * 50 * (1 + 50) + 4 * 50 * (50 + 50) + 50
    biases = 4 * (2 * 4 * 50 + 2 * 4 * 50 + 1)
    assert seed_stream.constant_bytes == kernels + biases
