"""The generated C and the runtime: compilers, symbols, sections, and the activations in full."""

from __future__ import annotations

import ctypes
import itertools
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from converters.activation_tables import (
    MOST_CELL_INTEGER_BITS,
    sigmoid_q15_table,
    tanh_q15_table,
)
from converters.c_literals import check_name, float_literal, identifiers, name_from
from converters.c_source import c_header, c_source
from converters.calibrate import calibrate
from converters.errors import InputError
from converters.network import Arithmetic
from converters.quantize import quantize
from edge_lstm.conversion_report import ConversionReport
from edge_lstm.engines.native import NativeEngine
from firmware_templates import runtime_headers
from tests.conftest import require_tool
from tests.networks import quantized, random_network

ARITHMETICS: tuple[Arithmetic, ...] = ("litert", "tflm")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb", "-O2"]
FORBIDDEN = ("malloc", "free", "printf", "__aeabi_f", "__aeabi_d", "exp", "tanh", "pow", "round")


def _compile(compiler: str, source: Path, output: Path, *flags: str) -> None:
    done = subprocess.run(
        [compiler, *flags, "-I", str(source.parent), "-c", str(source), "-o", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(params=["stream", "window"])
def converted(request: pytest.FixtureRequest) -> ConversionReport:
    report: ConversionReport = request.getfixturevalue(f"seed_{request.param}")
    return report


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_source_compiles_without_a_warning(
    compiler: str, converted: ConversionReport, tmp_path: Path
) -> None:
    tool = require_tool(compiler)
    for level in ("-O0", "-O2", "-O3"):
        _compile(tool, converted.files["c_source"], tmp_path / "model.o", *STRICT, level)


@pytest.mark.parametrize("floats", [True, False])
def test_on_cortex_m4_it_needs_no_heap_no_libm_and_no_float_routine(
    converted: ConversionReport, tmp_path: Path, *, floats: bool
) -> None:
    tool = require_tool("arm-none-eabi-gcc")
    name = converted.name
    flags = ["-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"] if floats else [f"-D{name.upper()}_NO_FLOAT"]
    built = tmp_path / "model.o"
    _compile(tool, converted.files["c_source"], built, *STRICT, *CORTEX_M4, *flags)
    symbols = _run("arm-none-eabi-nm", str(built))
    undefined = [line.split()[-1] for line in symbols.splitlines() if " U " in line]
    assert set(undefined) <= {"memcpy", "memset"}
    assert not [name for name in undefined if name.startswith(FORBIDDEN)]


def test_the_weights_lie_in_read_only_memory(seed_stream: ConversionReport, tmp_path: Path) -> None:
    tool = require_tool("arm-none-eabi-gcc")
    built = tmp_path / "model.o"
    _compile(tool, seed_stream.files["c_source"], built, *STRICT, *CORTEX_M4)
    sections = {
        fields[0]: int(fields[1])
        for line in _run("arm-none-eabi-size", "-A", str(built)).splitlines()
        if line.startswith(".") and (fields := line.split())
    }
    writable = sum(size for name, size in sections.items() if name.startswith((".data", ".bss")))
    read_only = sum(size for name, size in sections.items() if name.startswith(".rodata"))
    assert writable == 0
    assert read_only >= seed_stream.constant_bytes


def test_the_header_serves_c_plus_plus(seed_stream: ConversionReport, tmp_path: Path) -> None:
    source = tmp_path / "user.cc"
    source.write_text(
        '#include "seed.h"\n#include "seed_model_data.h"\n'
        "int main() { seed_state state; seed_reset(&state);\n"
        "  seed_value in[SEED_INPUT_SIZE] = {}, out[SEED_OUTPUT_SIZE];\n"
        "  seed_step(&state, in, out);\n"
        "  return g_seed_model_data_len > 8 && g_seed_model_data[4] == 'T' ? 0 : 1; }\n"
    )
    folder = seed_stream.folder
    model, array, program = tmp_path / "seed.o", tmp_path / "array.o", tmp_path / "user"
    _compile(require_tool("gcc"), folder / "seed.c", model, "-std=c99")
    _compile(require_tool("g++"), folder / "seed_model_data.cc", array, "-std=c++11", "-Werror")
    _run(require_tool("g++"), "-std=c++11", "-Wall", "-Werror", "-I", str(folder), str(source),
         str(model), str(array), "-o", str(program))  # fmt: skip
    assert subprocess.run([str(program)], check=False).returncode == 0


def test_a_runtime_of_another_version_does_not_compile(
    seed_stream: ConversionReport, tmp_path: Path
) -> None:
    for file in seed_stream.folder.glob("*.[ch]"):
        text = file.read_text("utf-8")
        changed = text.replace("EDGE_LSTM_VERSION_PATCH 0", "EDGE_LSTM_VERSION_PATCH 99")
        (tmp_path / file.name).write_text(changed, "utf-8")
    done = subprocess.run(
        [require_tool("gcc"), "-c", str(tmp_path / "seed.c"), "-o", str(tmp_path / "seed.o")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "take its runtime headers, or convert again" in done.stderr


def test_c_and_oracle_have_the_same_activations_for_all_65536_inputs(tmp_path: Path) -> None:
    source = tmp_path / "curves.c"
    source.write_text(
        '#include "edge_lstm_activations_litert.h"\n'
        '#include "edge_lstm_activations_tflm.h"\n'
        "static int32_t litert(int32_t x, int bits) {\n"
        "  return bits < 0 ? edge_lstm_sigmoid_litert_q15(x)\n"
        "                  : edge_lstm_tanh_litert_q15(x, bits); }\n"
        "static int32_t tflm(int32_t x, int bits) {\n"
        "  return bits < 0 ? edge_lstm_sigmoid_tflm_q15(x) : edge_lstm_tanh_tflm_q15(x, bits); }\n"
        "void curves(int arithmetic, int bits, int16_t *out) {\n"
        "  for (int32_t x = -32768; x < 32768; ++x)\n"
        "    out[x + 32768] = (int16_t)(arithmetic ? tflm(x, bits) : litert(x, bits)); }\n"
    )
    runtime = runtime_headers()[0].parent
    built = tmp_path / "curves.so"
    _run(require_tool("gcc"), "-std=c99", "-O2", "-fsanitize=undefined", "-fPIC", "-shared",
         "-fno-sanitize-recover", "-I", str(runtime), str(source), "-o", str(built))  # fmt: skip
    curves = ctypes.CDLL(str(built)).curves
    values = np.empty(65536, np.int16)
    into = ctypes.c_void_p(values.ctypes.data)
    for index, arithmetic in enumerate(ARITHMETICS):
        curves(index, -1, into)
        np.testing.assert_array_equal(values, sigmoid_q15_table(arithmetic))
        for integer_bits in range(MOST_CELL_INTEGER_BITS[arithmetic] + 1):
            curves(index, integer_bits, into)
            np.testing.assert_array_equal(values, tanh_q15_table(arithmetic, integer_bits))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_activations_are_close_to_the_real_functions(arithmetic: Arithmetic) -> None:
    inputs = np.arange(-32768, 32768)
    sigmoid = 32768 / (1 + np.exp(-inputs / 4096))
    assert np.abs(sigmoid_q15_table(arithmetic) - sigmoid).max() < 12
    for integer_bits in range(MOST_CELL_INTEGER_BITS[arithmetic] + 1):
        exact = 32768 * np.tanh(inputs * 2.0 ** (integer_bits - 15))
        assert np.abs(tanh_q15_table(arithmetic, integer_bits) - exact).max() < 24


def test_sanitizers_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "gcc -fsanitize=undefined -fno-sanitize-recover=all")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rng = np.random.default_rng(3)
    for function, arithmetic in itertools.product(("softmax", "sigmoid", "relu"), ARITHMETICS):
        network = quantized(
            rng,
            random_network(rng, [13, 6], 5, [(9, function)], weight_scale=3.0, scaled=True),
            arithmetic=arithmetic,
        )
        engine = NativeEngine(network)
        for step in rng.integers(-128, 128, (300, 5)).astype(np.int8):
            engine.invoke(step)


def test_helpers_speak_physical_units_as_python_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    network = quantized(rng, random_network(rng, [4], 6, [(3, None)], scaled=True))
    (tmp_path / "model.h").write_text(c_header(network))
    (tmp_path / "model.c").write_text(c_source(network))
    built = tmp_path / "model.so"
    include = ["-I", str(runtime_headers()[0].parent)]
    flags = ["-std=c99", "-O2", "-fPIC", "-shared", *include]
    _run(require_tool("gcc"), *flags, str(tmp_path / "model.c"), "-o", str(built))
    library = ctypes.CDLL(str(built))
    port = network.input
    span = port.upper - port.lower
    values = rng.uniform(port.lower - span, port.upper + span, (5000, 6)).astype(np.float32)
    values[0], values[1], values[2] = np.inf, -np.inf, np.nan
    values[3:259] = (np.arange(-128, 128)[:, None] + 0.5 - port.zero_point) * port.scale
    found = np.empty(6, np.int8)
    for row in values:
        library.model_quantize_input(
            ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(found.ctypes.data)
        )
        np.testing.assert_array_equal(found, port.quantize(row))
    answers = np.empty(3, np.float32)
    for row in rng.integers(-128, 128, (500, 3)).astype(np.int8):
        library.model_dequantize_output(
            ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(answers.ctypes.data)
        )
        np.testing.assert_array_equal(answers, network.output.dequantize(row))


def test_names_are_checked_and_made() -> None:
    assert check_name("stock_2") == "stock_2"
    for bad in ("2stock", "a-b", "", "for", "class", "edge_lstm_x", "ä", "a" * 60):
        with pytest.raises(InputError, match="model name"):
            check_name(bad)
    for stem in ("my model-v2", "3d", "for", "ünïcode", "---", "edge_lstm_kernels", "x" * 90):
        check_name(name_from(stem))
    suffixes = identifiers(["a/b", "a_b", "a b", "-"])
    assert len(set(suffixes.values())) == 4
    assert all(suffix.isidentifier() for suffix in suffixes.values())


def test_float_literals_read_back_the_same() -> None:
    rng = np.random.default_rng(0)
    for value in [1.0, 0.1, 1e-20, 3e8, *(10.0 ** rng.uniform(-30, 30, 200))]:
        text = float_literal(value)
        assert text.endswith("f")
        assert any(sign in text for sign in ".e")
        assert np.float32(float(text[:-1])) == np.float32(value)


def _run(tool: str, *arguments: str) -> str:
    done = subprocess.run(
        [require_tool(tool), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("lowest", [0.0, 10.0, 5000.0])
def test_one_feature_has_its_physical_units_in_the_macros(lowest: float) -> None:
    """Also where the zero point leaves int8, as it does for ranges far from zero."""
    rng = np.random.default_rng(8)
    network = random_network(rng, [4], 1, scaled=True)
    x = rng.uniform(lowest, lowest + 50, (8, 10, 1)).astype(np.float32)
    integer = quantize(network, calibrate(network, x, np.full(8, 10)), form="stream")
    header = c_header(integer)
    scale = float(re.search(r"MODEL_INPUT_SCALE (\S+)f", header)[1])  # type: ignore[index]
    zero_point = int(re.search(r"MODEL_INPUT_ZERO_POINT \(?(-?\d+)", header)[1])  # type: ignore[index]
    found = np.clip(np.floor(x / np.float32(scale) + zero_point + 0.5), -128, 127)
    assert np.abs(found - integer.input.quantize(x)).max() <= 1
    assert np.ptp(found) > 200
