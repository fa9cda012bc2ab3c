"""The product as a user meets it: what it imports, what it says of itself, the demo whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edge_lstm
import firmware_templates
from edge_lstm.demo import run_demo
from edge_lstm.engines import load
from edge_lstm.sequences import read_sequences
from tests.networks import EXACT_ENGINES

ROOT = Path(__file__).resolve().parent.parent


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_neither_tensorflow_nor_an_interpreter() -> None:
    loaded = _python("import edge_lstm, sys; print(*sys.modules)").split()
    for heavy in ("tensorflow", "keras", "ai_edge_litert", "tflite", "numpy"):
        assert heavy not in loaded


def test_help_imports_nothing_heavy() -> None:
    loaded = _python(
        "import sys\n"
        "from edge_lstm.cli.main import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: print(*sys.modules)\n"
    ).split()
    for heavy in ("tensorflow", "keras", "numpy", "rich", "matplotlib"):
        assert heavy not in loaded


def test_running_a_model_does_not_import_tensorflow(
    seed_stream: edge_lstm.ConversionReport,
) -> None:
    loaded = _python(
        "import sys, numpy, edge_lstm\n"
        f"for name in {EXACT_ENGINES['litert']!r}:\n"
        f"    engine = edge_lstm.load({str(seed_stream.files['tflite'])!r}, name)\n"
        "    engine.run(numpy.zeros((3, 1)))\n"
        "print(*sys.modules)\n"
    ).split()
    assert "tensorflow" not in loaded
    assert "keras" not in loaded


def test_public_names_are_there() -> None:
    for name in edge_lstm.__all__:
        assert getattr(edge_lstm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = edge_lstm.nonsense


def test_one_version() -> None:
    header = (ROOT / "firmware_templates/runtime/edge_lstm_version.h").read_text()
    numbers = re.findall(r"#define EDGE_LSTM_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
    assert ".".join(numbers) == firmware_templates.__version__ == edge_lstm.__version__
    done = subprocess.run(
        [sys.executable, "-c", "from edge_lstm.cli.main import cli; cli(['--version'])"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert edge_lstm.__version__ in done.stdout


def test_the_demo_keeps_its_bars(tmp_path: Path) -> None:
    """The whole line as ``make demo`` runs it, with the figures that the README promises."""
    stages: list[str] = []
    demo = run_demo(tmp_path, announce=stages.append)
    print("\n" + "\n".join(f"{label}: {text}" for label, text in demo.rows()))
    assert demo.passed
    assert demo.engines_agree
    assert demo.in_range.windows > 300
    assert demo.in_range.logit_error <= 0.012
    assert demo.in_range.rmse_ratio <= 1.05
    assert demo.in_range.sd_in_steps > 20
    alarm = demo.alarms[0]
    assert (alarm.kind, alarm.label) == ("input", "adj_close")
    assert alarm.share > 0.01
    assert stages
    names = {path.name for path in tmp_path.iterdir()}
    assert {"stock.keras", "stock.tflite", "stock.c", "stock_report.json", "stock.png"} <= names
    assert (tmp_path / "stock.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "stock_golden.npz") as golden:
        assert golden["expected"].std() > 10
    _every_bit_agrees(tmp_path / "stock.tflite", tmp_path / "stock_test.npz")


def _every_bit_agrees(model: Path, test: Path) -> None:
    """Outputs and states of every step, over windows from all of the test part."""
    engines = [load(model, name) for name in EXACT_ENGINES["litert"]]
    values = 0
    for x in read_sequences(test).x[::60]:
        for engine in engines:
            engine.reset()
        for step in engines[0].network.input.quantize(x):
            traces = [
                [engine.invoke(step)]
                + [part for state in engine.state.values() for part in (state.hidden, state.cell)]
                for engine in engines
            ]
            for other in traces[1:]:
                for found, expected in zip(other, traces[0], strict=True):
                    np.testing.assert_array_equal(found, expected)
            values += sum(part.size for part in traces[0])
    assert values > 200_000
    print(f"{values:,} outputs and states of the demo model equal in three engines")
