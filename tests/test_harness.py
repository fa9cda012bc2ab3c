"""Running and judging: latency, scores, alarms, budgets and what the commands write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from converters.errors import InputError
from edge_lstm import load, verify
from edge_lstm.cli.main import cli
from edge_lstm.conversion_report import ConversionReport
from edge_lstm.engines.protocol import Engine
from edge_lstm.golden import read_golden
from edge_lstm.harness.alarms import in_range, range_alarms
from edge_lstm.harness.metrics import agreement, latency, persistence, score
from edge_lstm.harness.streaming import Run, run_sequences
from edge_lstm.harness.verdict import Budgets
from edge_lstm.sequences import Sequences
from tests.networks import quantized, random_network


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def _sequences(x: np.ndarray, **fields: Any) -> Sequences:
    return Sequences(x.astype(np.float32), np.full(len(x), x.shape[1]), **fields)


def _run(**fields: Any) -> Run:
    given = {
        "engine": "numpy",
        "description": "",
        "output": np.zeros((2, 1), np.float32),
        "raw": np.zeros((2, 1), np.int8),
        "latencies": np.arange(1, 101) * 1000,
        "seconds": 0.5,
        "steps": 100,
    }
    return Run(**(given | fields))


def test_percentiles_are_values_that_occurred() -> None:
    found = latency(_run())
    assert found is not None
    assert (found.p50_us, found.p90_us, found.p99_us, found.max_us) == (50, 90, 99, 100)
    assert found.steps_per_second == 200


def test_the_clock_sees_a_slow_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 7th timed call takes 5 ms by a clock of our own; warm-up calls do not count."""
    rng = np.random.default_rng(0)
    network = quantized(rng, random_network(rng, [3], 2))

    class Clocked(Engine):
        name = "clocked"
        now = 0
        calls = 0

        def reset(self) -> None: ...

        def invoke(self, inputs: np.ndarray) -> np.ndarray:
            Clocked.calls += 1
            slow = Clocked.calls in {3, 50 + 7}
            Clocked.now += 5_000_000 if slow else 1_000
            return np.zeros(3, np.int8)

        @property
        def state(self) -> dict[str, Any]:
            return {}

        def describe(self) -> str:
            return ""

    monkeypatch.setattr("time.perf_counter_ns", lambda: Clocked.now)
    run = run_sequences(Clocked(network), _sequences(np.zeros((4, 5, 2))))
    assert run.latencies.tolist() == [1_000] * 6 + [5_000_000] + [1_000] * 13
    assert run.steps == 20


def test_scores_against_numbers_worked_out_by_hand() -> None:
    x = np.array([[[1.0, 9], [2, 9]], [[5, 9], [7, 9]]])
    data = _sequences(
        x,
        y=np.array([[4.0], [7.0]], np.float32),
        feature_names=("price", "other"),
        target_names=("price",),
    )
    assert persistence(data).tolist() == [[2.0], [7.0]]  # type: ignore[union-attr]
    found = score(np.array([[5.0], [7.0]], np.float32), data)
    assert found is not None
    assert found.rmse == pytest.approx(1 / 2**0.5)
    assert found.mae == 0.5
    assert found.persistence_rmse == pytest.approx(2 / 2**0.5)
    assert found.skill == pytest.approx(0.5)


def test_classes_are_scored_by_accuracy() -> None:
    three = np.array([[0.1, 0.8, 0.1], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6]], np.float32)
    data = _sequences(np.zeros((3, 1, 1)), y=np.array([1, 0, 1]))
    assert score(three, data).accuracy == pytest.approx(2 / 3)  # type: ignore[union-attr]
    one = np.array([[0.9], [0.4], [0.3]], np.float32)
    assert score(one, data).accuracy == pytest.approx(2 / 3)  # type: ignore[union-attr]


def test_labels_that_do_not_fit_are_left_out() -> None:
    data = _sequences(np.zeros((3, 1, 1)), y=np.zeros((3, 2), np.float32))
    assert score(np.zeros((3, 1), np.float32), data) is None


def test_padding_is_no_answer() -> None:
    lengths = np.array([1, 3])
    y = np.array([[[1.0], [9], [9]], [[1], [2], [3]]], np.float32)
    data = Sequences(np.zeros((2, 3, 1), np.float32), lengths, y)
    output = np.array([[[2.0], [0], [0]], [[1], [2], [3]]], np.float32)
    found = score(output, data)
    assert found is not None
    assert found.rmse == pytest.approx(0.5)
    expected = np.zeros((2, 3, 1), np.int8)
    run = _run(raw=np.array([[[0], [99], [99]], [[0], [0], [1]]], np.int8), output=output)
    compared = agreement(run, expected, data)
    assert (compared.values, compared.mismatches, compared.max_lsb) == (4, 1, 1)


def test_a_mismatch_is_counted_in_lsb() -> None:
    expected = np.array([[3], [-128]], np.int8)
    data = _sequences(np.zeros((2, 1, 1)))
    found = agreement(_run(raw=np.array([[3], [127]], np.int8)), expected, data)
    assert (found.values, found.mismatches, found.max_lsb) == (2, 1, 255)
    with pytest.raises(InputError, match="not of the same conversion"):
        agreement(_run(), np.zeros((3, 1), np.int8), data)


def test_alarms_name_the_feature_and_stay_silent_in_range() -> None:
    rng = np.random.default_rng(1)
    network = quantized(rng, random_network(rng, [4], 3, [(2, None)], scaled=True))
    port = network.input
    inside = _sequences(rng.uniform(port.lower, port.upper, (20, 6, 3)))
    raw = np.zeros((20, 2), np.int8)
    assert range_alarms(network, inside, raw) == ()
    assert in_range(network, inside).all()

    beyond = inside.x.copy()
    beyond[:2, :, 1] = port.upper[1] + (port.upper[1] - port.lower[1])
    (alarm,) = range_alarms(network, _sequences(beyond), raw)
    assert (alarm.kind, alarm.label) == ("input", "x[1]")
    assert alarm.share == pytest.approx(0.1)
    assert "outside the calibrated range" in str(alarm)
    assert in_range(network, _sequences(beyond)).tolist() == [False] * 2 + [True] * 18

    raw[:, 1] = 127
    (alarm,) = range_alarms(network, inside, raw)
    assert (alarm.kind, alarm.label, alarm.share) == ("output", "unscale[1]", 1.0)
    assert "saturated" in str(alarm)


@pytest.mark.parametrize(
    ("function", "value", "alarmed"),
    [
        ("softmax", -128, False),
        ("sigmoid", 127, False),
        ("tanh", 127, False),
        ("relu", -128, False),
        ("relu", 127, True),
        (None, -128, True),
    ],
)
def test_ends_that_a_function_cannot_pass_are_no_saturation(
    function: Any, value: int, alarmed: bool
) -> None:
    rng = np.random.default_rng(2)
    network = quantized(rng, random_network(rng, [4], 1, [(2, function)]))
    zeros = _sequences(np.zeros((5, 4, 1)))
    raw = np.full((5, 2), value, np.int8)
    assert bool(range_alarms(network, zeros, raw)) is alarmed


def test_run_writes_answers_in_the_shape_of_keras(
    seed_stream: ConversionReport, tmp_path: Path
) -> None:
    golden = read_golden(seed_stream.files["golden"])
    answers = tmp_path / "answers.npz"
    for engine in ("litert", "native", "numpy"):
        result = invoke(
            "run", seed_stream.files["tflite"], "--input", seed_stream.files["golden"],
            "--engine", engine, "--output", answers, "--json", tmp_path / "r.json",
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert "warning" not in result.stderr
        with np.load(answers) as written:
            np.testing.assert_array_equal(written["raw"], golden.expected)
            assert written["output"].dtype == np.float32
            assert written["output"].shape == golden.expected_float.shape
            np.testing.assert_allclose(written["output"], golden.expected_float, atol=30)
        report = json.loads((tmp_path / "r.json").read_text())
        assert report["steps"] == golden.sequences.x[..., 0].size
        assert report["latency"]["p50_us"] <= report["latency"]["max_us"]
        assert report["score"]["rmse"] > 0


def test_every_step_keeps_an_answer_a_step(seed_stream: ConversionReport, tmp_path: Path) -> None:
    golden = read_golden(seed_stream.files["golden"])
    answers = tmp_path / "answers.npz"
    result = invoke(
        "run", seed_stream.files["tflite"], "--input", seed_stream.files["golden"],
        "--every-step", "--output", answers,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with np.load(answers) as written:
        assert written["raw"].shape == (*golden.sequences.x.shape[:2], 1)
        np.testing.assert_array_equal(written["raw"][:, -1], golden.expected)


def test_json_on_stdout_is_nothing_but_json(seed_stream: ConversionReport) -> None:
    for command, option in (("run", "--input"), ("verify", "--golden")):
        result = invoke(
            command, seed_stream.files["tflite"], option, seed_stream.files["golden"],
            "--engine", "numpy", "--json", "-",
        )  # fmt: skip
        assert json.loads(result.stdout)["engine"] == "numpy"


def test_keras_is_an_engine_to_compare_with(
    seed_stream: ConversionReport, seed_files: tuple[Path, Path]
) -> None:
    verdict = verify(
        seed_stream.files["tflite"],
        seed_stream.files["golden"],
        engine="keras",
        keras_model=seed_files[0],
    )
    assert verdict.agreement is None
    assert verdict.float_rmse < 1e-3
    assert verdict.passed


def test_one_changed_bit_fails_and_a_wider_budget_lets_it_pass(
    seed_stream: ConversionReport, tmp_path: Path
) -> None:
    arrays = dict(np.load(seed_stream.files["golden"]))
    arrays["expected"][5] += 1
    changed = tmp_path / "changed.npz"
    np.savez(changed, **arrays)
    model = seed_stream.files["tflite"]
    result = invoke("verify", model, "--golden", changed)
    assert result.exit_code == 1
    assert "largest distance 1 LSB" in result.output
    assert "FAILED" in result.output
    assert invoke("verify", model, "--golden", changed, "--max-lsb", "1").exit_code == 0


def test_budgets_that_are_missed_exit_1_and_are_named(seed_stream: ConversionReport) -> None:
    model, golden = seed_stream.files["tflite"], seed_stream.files["golden"]
    for option, value, name in (
        ("--max-p99-us", "0.001", "p99 latency"),
        ("--max-rmse", "0.001", "RMSE"),
    ):
        result = invoke("verify", model, "--golden", golden, option, value)
        assert result.exit_code == 1, result.output
        assert any(name in line and "MISSED" in line for line in result.output.splitlines())
    result = invoke("verify", model, "--golden", golden, "--max-p99-us", "1e6", "--max-rmse", "1e6")
    assert result.exit_code == 0, result.output
    result = invoke("verify", model, "--golden", golden, "--min-accuracy", "0.5")
    assert result.exit_code == 2
    assert "--min-accuracy" in result.stderr


def test_verdict_counts_budgets_exactly_at_the_limit(seed_stream: ConversionReport) -> None:
    first = verify(seed_stream.files["tflite"], seed_stream.files["golden"])
    assert first.score is not None
    again = verify(
        seed_stream.files["tflite"],
        seed_stream.files["golden"],
        budgets=Budgets(max_rmse=first.score.rmse),
    )
    assert again.passed


def test_engines_step_run_and_reset_alike(seed_stream: ConversionReport) -> None:
    golden = read_golden(seed_stream.files["golden"])
    x = golden.sequences.x[3]
    answers = {}
    for name in ("litert", "native", "numpy"):
        engine = load(seed_stream.files["tflite"], name)
        engine.step(x[0])  # leaves a state that run must not see
        first = engine.run(x)
        engine.reset()
        stepped = [engine.step(step) for step in x]
        np.testing.assert_array_equal(stepped[-1], first)
        answers[name] = first
        assert list(engine.state) == ["lstm", "lstm_1"]
        with pytest.raises(InputError, match="takes"):
            engine.step([1.0, 2.0])
        with pytest.raises(InputError, match="a sequence has shape"):
            engine.run(x[:, 0])
    np.testing.assert_array_equal(answers["litert"], answers["native"])
    np.testing.assert_array_equal(answers["litert"], answers["numpy"])


def test_a_window_model_takes_windows(seed_window: ConversionReport) -> None:
    golden = read_golden(seed_window.files["golden"])
    engine = load(seed_window.files["tflite"], "native")
    with pytest.raises(InputError, match="60 steps a call"):
        engine.step([1.0])
    with pytest.raises(InputError, match="takes 60 steps, not 59"):
        engine.run(golden.sequences.x[0, 1:])
