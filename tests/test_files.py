"""What a conversion writes: the flatbuffer, the arrays, the report, byte for byte."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite

from converters.tflite_reader import read_tflite
from edge_lstm.conversion import convert
from edge_lstm.conversion_report import ConversionReport
from edge_lstm.engines import load
from edge_lstm.golden import read_golden
from edge_lstm.harness.verdict import Budgets, verify
from tests.conftest import require_tool
from tests.networks import PROVENANCE, quantized, random_network, tflite_bytes


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


def test_tflite_micro_runs_a_file_of_the_other_arithmetic(seed_stream: ConversionReport) -> None:
    """Not the same bits, so the distance is reported and no budget is set by itself."""
    verdict = verify(seed_stream.files["tflite"], seed_stream.files["golden"], engine="tflm")
    assert verdict.agreement is not None
    print(f"\ntflite-micro on a litert model: {verdict.agreement}")
    assert verdict.agreement.max_lsb <= 4
    assert verdict.checks == ()
    strict = Budgets(max_lsb=0)
    again = verify(
        seed_stream.files["tflite"], seed_stream.files["golden"], engine="tflm", budgets=strict
    )
    assert again.passed is (verdict.agreement.mismatches == 0)


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


def test_the_c_array_of_the_report_is_what_gcc_puts_in_flash(seed_stream: ConversionReport) -> None:
    require_tool("gcc")
    kernels = 4 * 50 * (1 + 50) + 4 * 50 * (50 + 50) + 50
    biases = 4 * (2 * 4 * 50 + 2 * 4 * 50 + 1)
    assert seed_stream.constant_bytes == kernels + biases
