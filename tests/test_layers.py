"""Every supported layer converts, and every engine gives the same bits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.float_execution import run_float
from converters.keras_reader import predict, read_keras_model
from edge_lstm.conversion import convert
from edge_lstm.conversion_report import ConversionReport
from edge_lstm.engines import load
from edge_lstm.golden import read_golden
from edge_lstm.harness.streaming import run_sequences
from tests.conftest import save_calibration
from tests.keras_models import MODEL_NAMES, STEPS, build_models, calibration_for_model
from tests.networks import EXACT_ENGINES


@pytest.fixture(scope="module")
def models(keras: Any) -> dict[str, Any]:
    keras.utils.set_random_seed(3)
    found = build_models(keras)
    assert tuple(found) == MODEL_NAMES
    return found


@pytest.mark.parametrize("arithmetic", ["litert", "tflm"])
@pytest.mark.parametrize("form", ["stream", "window"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_layer_converts_and_every_engine_agrees(
    models: dict[str, Any], name: str, form: Any, arithmetic: Any, tmp_path: Path
) -> None:
    models[name].save(tmp_path / "m.keras")
    x = calibration_for_model(name)
    calibration = save_calibration(tmp_path / "c.npz", x)
    report = convert(
        tmp_path / "m.keras", calibration, output=tmp_path / "out", form=form, arithmetic=arithmetic
    )
    golden = read_golden(report.files["golden"])
    assert golden.expected.shape == golden.expected_float.shape
    assert (
        golden.expected.shape
        == predict(models[name], golden.sequences.x, golden.sequences.lengths).shape
    )
    assert len(np.unique(golden.expected)) > 4
    for engine in EXACT_ENGINES[arithmetic]:
        run = run_sequences(load(report.files["tflite"], engine), golden.sequences)
        np.testing.assert_array_equal(run.raw, golden.expected, engine)
    for output in report.outputs:
        assert output.logit_error is not None
        assert output.logit_error < 0.06, output


def test_the_float_network_is_keras(models: dict[str, Any], tmp_path: Path) -> None:
    for name, model in models.items():
        network = read_keras_model(model, "m")
        x = calibration_for_model(name).astype(np.float32)
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
    for engine in EXACT_ENGINES["litert"]:
        step_by_step = run_sequences(load(seed_stream.files["tflite"], engine), stream.sequences)
        at_once = run_sequences(load(seed_window.files["tflite"], engine), stream.sequences)
        assert step_by_step.raw is not None
        np.testing.assert_array_equal(step_by_step.raw, at_once.raw)
        assert step_by_step.raw.std() > 1
