"""Bad input: one sentence that says what is wrong and where, the right exit code, no traceback,
and nothing half-written."""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converters.errors import InputError
from converters.tflite_reader import read_tflite
from edge_lstm import convert, load
from edge_lstm.cli.main import cli
from edge_lstm.conversion_report import ConversionReport
from tests.conftest import save_calibration


def refused(*arguments: object, code: int = 2) -> str:
    """Run a command that must fail with ``code``; its one line on stderr."""
    result: Result = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def _save(keras: Any, path: Path, *layers: Any, steps: int | None = None) -> Path:
    keras.Sequential([keras.Input((steps, 2)), *layers]).save(path)
    return path


@pytest.fixture
def model(keras: Any, tmp_path: Path) -> Path:
    return _save(keras, tmp_path / "m.keras", keras.layers.LSTM(3), keras.layers.Dense(1))


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    x = np.random.default_rng(0).standard_normal((6, 5, 2))
    return save_calibration(tmp_path / "c.npz", x)


def _convert(model: Path, calibration: Path, output: Path, *options: object) -> str:
    text = refused("convert", model, "--calibration", calibration, "-o", output, *options)
    assert not output.exists() or not list(output.iterdir())
    return text


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x89HDF\r\n\x1a\n", None])
def test_what_is_not_a_keras_file(content: bytes | None, calibration: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.keras"
    if content is not None:
        path.write_bytes(content)
    assert "bad.keras" in _convert(path, calibration, tmp_path / "out")


def test_a_zip_that_is_no_model(calibration: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "Keras cannot load" in _convert(path, calibration, tmp_path / "out")


def test_layers_that_are_not_supported_are_named(
    keras: Any, calibration: Path, tmp_path: Path
) -> None:
    layers = keras.layers
    other_axis = layers.Normalization(axis=1, mean=[0] * 2, variance=[1] * 2, name="odd")
    cases = {
        "GRU": [layers.GRU(3, name="odd")],
        "Bidirectional": [layers.Bidirectional(layers.LSTM(3), name="odd")],
        "Masking": [layers.Masking(name="odd"), layers.LSTM(3)],
        "'gelu'": [layers.LSTM(3), layers.Dense(2, activation="gelu", name="odd")],
        "activation='relu'": [layers.LSTM(3, activation="relu", name="odd")],
        "go_backwards": [layers.LSTM(3, go_backwards=True, name="odd")],
        "middle": [layers.LSTM(3), layers.Rescaling(2.0, name="odd"), layers.Dense(2)],
        "scale other than zero": [layers.Rescaling(0.0, name="odd"), layers.LSTM(3)],
        "another axis": [other_axis, layers.LSTM(2)],
        "LeakyReLU": [layers.LSTM(3), layers.Dense(2, activation=layers.LeakyReLU(), name="odd")],
        "softmax over 600": [layers.LSTM(3), layers.Dense(600, "softmax", name="odd")],
    }
    for problem, chain in cases.items():
        steps = 2 if problem == "another axis" else None
        path = _save(keras, tmp_path / "m.keras", *chain, steps=steps)
        text = _convert(path, calibration, tmp_path / "out")
        assert problem in text
        assert "'odd" in text


def test_models_of_another_form(keras: Any, calibration: Path, tmp_path: Path) -> None:
    layers = keras.layers
    source = keras.Input((5, 2))
    hidden = layers.LSTM(2, return_sequences=True)(source)
    two = keras.Model(source, [hidden, layers.LSTM(3)(hidden)])
    joined = keras.Model(source, layers.Add(name="joint")([hidden, source]))
    dense = keras.Sequential([keras.Input((5, 2)), layers.Dense(3)])
    shared = layers.LSTM(2, return_sequences=True, name="shared")
    twice = keras.Model(source, shared(shared(source)))
    for model, problem in (
        (twice, "'shared' is used twice"),
        (two, "2 outputs"),
        (joined, "'joint' joins 2 branches"),
        (dense, "no LSTM"),
    ):
        model.save(tmp_path / "m.keras")
        assert problem in _convert(tmp_path / "m.keras", calibration, tmp_path / "out")


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.zeros((4, 5)), "[sequences, steps, features]"),
        (np.zeros((4, 5, 3)), "3 features a step, the model takes 2"),
        (np.zeros((0, 5, 2)), "empty"),
        (np.full((4, 5, 2), np.nan), "nan at sequence 0, step 0"),
        (np.full((4, 5, 2), 1e300), "inf"),
        (np.full((4, 5, 2), "a"), "dtype"),
        (np.full((4, 5, 2), 1j), "dtype"),
    ],
)
def test_calibration_arrays(model: Path, tmp_path: Path, x: np.ndarray, problem: str) -> None:
    np.savez(tmp_path / "c.npz", x=x)
    text = _convert(model, tmp_path / "c.npz", tmp_path / "out")
    assert problem in text
    assert "c.npz" in text


def test_calibration_files(model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.npz"
    out = tmp_path / "out"
    assert "bad.npz" in _convert(model, bad, out)
    bad.write_bytes(b"PK\x03\x04 cut off")
    assert "not a readable .npz" in _convert(model, bad, out)
    np.savez(bad, inputs=np.zeros((3, 4, 2)))
    assert "no array 'x' (arrays in the file: 'inputs')" in _convert(model, bad, out)
    np.savez(bad, x=np.array([object()]))
    assert "not a readable .npz" in _convert(model, bad, out)
    with bad.open("wb") as file:
        np.save(file, np.zeros((3, 4, 2)))
    assert "single array" in _convert(model, bad, out)
    np.savez(bad, x=np.zeros((3, 4, 2)), lengths=[4, 4, 5])
    assert "'lengths' runs from 4 to 5; 1 to 4 is possible" in _convert(model, bad, out)
    np.savez(bad, x=np.zeros((3, 4, 2)), lengths=[4.0, 4.0, 4.0])
    assert "integers [3] are needed" in _convert(model, bad, out)
    x = np.random.default_rng(0).standard_normal((3, 4, 2))
    for y in (np.zeros(2), np.array(["a", "b", "c"]), np.array([0, np.nan, 1]), np.zeros(3) * 1j):
        np.savez(bad, x=x, y=y)
        assert "'y'" in _convert(model, bad, out)
    np.savez(bad, x=x, target_names=["one", "two"])
    assert "2 names are given for the 1 channels" in _convert(model, bad, out)
    np.savez_compressed(bad, x=x)
    content = bytearray(bad.read_bytes())
    content[60:90] = bytes(30)
    bad.write_bytes(content)
    assert "not a readable .npz" in _convert(model, bad, out)
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("x", "no array")
    assert "'x' is no array" in _convert(model, bad, out)


def test_sequences_of_another_length_than_the_model_s(
    keras: Any, calibration: Path, tmp_path: Path
) -> None:
    path = _save(keras, tmp_path / "m.keras", keras.layers.LSTM(3), steps=7)
    text = _convert(path, calibration, tmp_path / "out")
    assert "built for sequences of 7 steps, array 'x' has 5 to 5" in text


@pytest.mark.parametrize(
    "name",
    ["for", "9lives", "a-b", "", "edge_lstm_kernels", "EDGE_LSTM_X", "class", "string", "_x"],
)
def test_names_that_c_does_not_take(
    model: Path, calibration: Path, tmp_path: Path, name: str
) -> None:
    assert f"'{name}'" in _convert(model, calibration, tmp_path / "out", "--name", name)


def test_an_output_folder_that_cannot_be_written(
    model: Path, calibration: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    text = refused("convert", model, "--calibration", calibration, "-o", tmp_path / "file" / "out")
    assert "cannot write" in text
    folder = tmp_path / "out"
    (folder / "m.tflite").mkdir(parents=True)  # a folder where a file has to go
    refused("convert", model, "--calibration", calibration, "-o", folder)
    assert [path.name for path in folder.iterdir()] == ["m.tflite"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(model: Path, calibration: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in _convert(model, calibration, tmp_path / "locked")


def test_files_that_are_not_our_tflite(seed_stream: ConversionReport, tmp_path: Path) -> None:
    whole = seed_stream.files["tflite"].read_bytes()
    golden = seed_stream.files["golden"]
    bad = tmp_path / "bad.tflite"
    bare = whole.replace(b"edge_lstm\0", b"something\0")
    newer = whole.replace(b'"schema_version": 1', b'"schema_version": 9')
    cases = {
        b"": "not a .tflite",
        b"hello world, this is text": "not a .tflite",
        whole[:200]: "damaged or truncated",
        whole[: len(whole) // 2]: "damaged or truncated",
        whole[:-500]: "damaged or truncated",
        bare: "another converter",
        newer: "schema version 9",
    }
    for content, problem in cases.items():
        bad.write_bytes(content)
        for arguments in (("run", bad, "--input", golden), ("verify", bad, "--golden", golden)):
            text = refused(*arguments)
            assert problem in text
            assert "bad.tflite" in text
    assert "no-such" in refused("run", tmp_path / "no-such.tflite", "--input", golden)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_models_are_refused_or_still_whole(
    seed_stream: ConversionReport, data: st.DataObject
) -> None:
    """Whatever is overwritten, reading ends in a network or an InputError."""
    content = bytearray(seed_stream.files["tflite"].read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        assert read_tflite(bytes(content), "damaged").network.lstms


def test_inputs_that_do_not_fit_the_model(
    seed_stream: ConversionReport, seed_window: ConversionReport, tmp_path: Path
) -> None:
    stream, window = seed_stream.files["tflite"], seed_window.files["tflite"]
    wide = save_calibration(tmp_path / "wide.npz", np.zeros((2, 60, 3)))
    short = save_calibration(tmp_path / "short.npz", np.zeros((2, 30, 1)))
    assert "3 features a step" in refused("run", stream, "--input", wide)
    assert "exactly 60 steps" in refused("run", window, "--input", short)
    assert "--every-step" in refused(
        "run", window, "--input", seed_window.files["golden"], "--every-step"
    )
    assert "no golden" in refused("verify", stream, "--golden", short)
    assert "--model" in refused("run", stream, "--input", short, "--engine", "keras")
    assert ".npz" in refused("run", stream, "--input", short, "--output", tmp_path / "o.csv")


def test_without_a_compiler_native_exits_3(
    seed_stream: ConversionReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ("verify", seed_stream.files["tflite"], "--golden", seed_stream.files["golden"])
    text = refused(*arguments, code=3)
    assert "C compiler" in text
    assert "apt-get install gcc" in text
    monkeypatch.setenv("CC", "gcc 'x")
    assert "no command" in refused(*arguments, code=3)
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no-such-compiler" in refused(*arguments, code=3)


def test_a_compiler_that_fails_is_reported(
    seed_stream: ConversionReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'internal failure' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    text = refused(
        "verify", seed_stream.files["tflite"], "--golden", seed_stream.files["golden"], code=3
    )
    assert "internal failure" in text


def test_python_callers_get_the_same_sentences(
    seed_files: tuple[Path, Path], seed_stream: ConversionReport, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="form is 'bogus'; choose one of auto, stream, window"):
        convert(*seed_files, output=tmp_path, form="bogus")  # type: ignore[arg-type]
    engine = load(seed_stream.files["tflite"], "native")
    with pytest.raises(InputError, match="takes 1 values of int8"):
        engine.invoke(np.zeros(2, np.int8))
    with pytest.raises(InputError, match="takes 1 values of int8"):
        engine.invoke(np.zeros(1))
    with pytest.raises(InputError, match="no array of numbers"):
        engine.step(["a"])
    with pytest.raises(InputError, match="no array of numbers"):
        engine.run([[1.0], [1.0, 2.0]])
    assert np.isfinite(engine.run([[1e300], [-1e300]])).all()


def test_usage_errors_exit_2() -> None:
    for arguments in (
        ["convert"],
        ["run", "m.tflite"],
        ["verify", "m.tflite", "--golden", "g.npz", "--engine", "gpu"],
        ["verify", "m.tflite", "--golden", "g.npz", "--max-lsb", "-1"],
        ["nonsense"],
    ):
        assert CliRunner().invoke(cli, arguments).exit_code == 2
