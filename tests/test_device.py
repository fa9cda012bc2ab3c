"""Firmware on emulated boards and as a process: the same bits as the oracle, over good lines and
bad ones, and one sentence where it cannot be."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from converters.errors import InputError, MissingToolError
from converters.integer_execution import IntegerExecution
from converters.network import QuantizedNetwork
from edge_lstm.cli.main import cli
from edge_lstm.conversion_report import ConversionReport
from edge_lstm.device.boards import board_ids, find_board, read_board
from edge_lstm.device.client import Client
from edge_lstm.device.emulator import emulate
from edge_lstm.device.framing import Frame, FrameReader, encode
from edge_lstm.device.line import open_line
from edge_lstm.device.project import Project, build_project, new_project, open_project
from edge_lstm.device.protocol import ANSWER, Name
from edge_lstm.engines import load
from edge_lstm.engines.device import DeviceEngine
from edge_lstm.files import write_files
from edge_lstm.golden import Golden, expected_answers
from edge_lstm.sequences import Sequences, pack_arrays
from tests.conftest import require_header, require_tool
from tests.faulty_line import Faults, FaultyLine
from tests.networks import quantized, random_network, tflite_bytes
from tests.test_bad_input import refused


def _write_model(
    folder: Path, network: QuantizedNetwork, sequences: int = 24, steps: int = 60
) -> Path:
    """NAME.tflite and its golden, from the oracle."""
    rng = np.random.default_rng(5)
    port = network.input
    x = rng.uniform(port.lower, port.upper, (sequences, steps, network.features)).astype("f4")
    content = Sequences(x, np.full(sequences, steps))
    expected = expected_answers(network, content)
    golden = Golden(content, expected, network.output.dequantize(expected))
    model = folder / f"{network.name}.tflite"
    write_files(
        {
            model: tflite_bytes(network),
            folder / f"{network.name}_golden.npz": pack_arrays(golden.arrays()),
        }
    )
    return model


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LSTM(32) on 6 inputs, 4 outputs, an answer at each of 1,440 steps."""
    rng = np.random.default_rng(1)
    network = random_network(rng, [32], 6, [(4, None)], returns_sequence=True, scaled=True)
    return _write_model(tmp_path_factory.mktemp("workload"), quantized(rng, network))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In tflite-micro's arithmetic, the others are in LiteRT's."""
    rng = np.random.default_rng(2)
    network = random_network(rng, [24], 3, [(5, "softmax")], returns_sequence=True)
    integer = quantized(rng, network, arithmetic="tflm")
    return _write_model(tmp_path_factory.mktemp("classifier"), integer)


@pytest.fixture(scope="module")
def long_window(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A call takes 200 values and gives 120: more than a frame holds."""
    rng = np.random.default_rng(3)
    network = random_network(rng, [12], 5, [(3, None)], returns_sequence=True)
    window = quantized(rng, network, "window", steps=40)
    return _write_model(tmp_path_factory.mktemp("window"), window, steps=40)


def _require_tools(board: str) -> None:
    found = find_board(board)
    require_tool("make")
    require_tool(found.compiler.program)
    assert found.emulator is not None
    if found.emulator.program:
        require_tool(found.emulator.program)
    if found.emulator.kind == "made":
        require_header("simavr/sim_avr.h")
        require_header("libelf.h")


def _boards(model: Path) -> list[dict[str, Any]]:
    done = CliRunner().invoke(cli, ["boards", str(model), "--json", "-"])
    assert done.exit_code == 0, done.output
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    return listed


def _deploy(model: Path, board: str, folder: Path, golden: Path | None = None) -> dict[str, Any]:
    _require_tools(board)
    options = [] if golden is None else ["--golden", str(golden)]
    arguments = ["deploy", str(model), "--board", board, "-o", str(folder), "--json", "-", *options]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def process(workload: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The firmware as a process, under the sanitizers."""
    _require_tools("posix")
    project = new_project(find_board("posix"), workload, tmp_path_factory.mktemp("posix"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CFLAGS", "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all")
        build_project(project)
    return project


# --- The same bits on every board -----------------------------------------------------------


@pytest.mark.parametrize("board", board_ids())
@pytest.mark.parametrize("model", ["workload", "classifier", "long_window", "seed"])
def test_every_board_has_the_bits_of_the_golden(
    board: str, model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    golden = None
    if model == "seed":
        report: ConversionReport = request.getfixturevalue("seed_stream")
        path, golden = report.files["tflite"], report.files["golden"]
    else:
        path = request.getfixturevalue(model)
    listed = next(entry for entry in _boards(path) if entry["id"] == board)
    if not listed["fits"]:
        assert (board, model) == ("atmega2560", "seed")
        assert "bytes of RAM" in refused("deploy", path, "--board", board, "--golden", golden)
        return
    result = _deploy(path, board, tmp_path / "project", golden)
    assert result["passed"] is True
    assert result["agreement"]["mismatches"] == 0
    assert result["agreement"]["values"] >= 1000 or model == "seed"
    device = result["device"]
    if board == "posix":
        assert device["ticks"][0] > 0
        return
    assert 100 < device["stack_used"] < 1024 < device["stack_room"]
    room = find_board(board)
    assert room.flash is not None
    assert room.ram is not None
    assert device["static_ram"] + device["stack_room"] <= room.ram
    # What `boards` promises is there.
    assert listed["spare"]["flash"] <= room.flash - device["flash_used"]
    assert listed["spare"]["RAM"] <= device["stack_room"] - device["stack_used"]


@pytest.mark.long
@pytest.mark.parametrize("board", board_ids())
def test_ten_thousand_steps_on_every_board(board: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    network = random_network(rng, [32], 6, [(4, None)], returns_sequence=True, scaled=True)
    model = _write_model(tmp_path, quantized(rng, network), sequences=170)
    result = _deploy(model, board, tmp_path / "project")
    assert result["agreement"]["mismatches"] == 0
    assert result["agreement"]["values"] == 170 * 60 * 4


@pytest.mark.parametrize("board", ["posix", "microbit", "riscv32_virt", "atmega2560"])
def test_a_model_may_be_called_as_a_header_or_a_part_is(board: str, tmp_path: Path) -> None:
    _require_tools(board)
    rng = np.random.default_rng(1)
    for name in ("string", "main", "port"):
        network = replace(quantized(rng, random_network(rng, [3], 2)), name=name)
        folder = tmp_path / name
        model = _write_model(folder, network, sequences=1, steps=2)
        build_project(new_project(find_board(board), model, folder / "p"))


def test_every_single_step_of_the_seeds_model_is_right(
    seed_stream: ConversionReport, tmp_path: Path
) -> None:
    """Its golden has the last step of each sequence; here each of 1,200 in between."""
    _require_tools("microbit")
    path = seed_stream.files["tflite"]
    project = new_project(find_board("microbit"), path, tmp_path)
    build_project(project)
    with emulate(project) as emulation:
        engine = load(path, "device", port=emulation.port)
        assert isinstance(engine, DeviceEngine)
        network = engine.network
        rng = np.random.default_rng(0)
        inputs = rng.integers(-128, 128, (1200, network.features)).astype(np.int8)
        engine.reset()
        found = np.stack([engine.invoke(step) for step in inputs])
        engine.close()
    np.testing.assert_array_equal(found, IntegerExecution(network).run(inputs[None])[0])


def test_run_gives_what_the_oracle_gives(process: Project, workload: Path, tmp_path: Path) -> None:
    golden = workload.with_name("model_golden.npz")
    with emulate(process) as emulation:
        done = CliRunner().invoke(
            cli,
            ["run", str(workload), "--input", str(golden), "--engine", "device", "--port",
             emulation.port, "--output", str(tmp_path / "p.npz")],
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "model on device" in done.stdout
    np.testing.assert_array_equal(np.load(tmp_path / "p.npz")["raw"], np.load(golden)["expected"])


def test_the_firmware_says_what_it_is(process: Project, workload: Path) -> None:
    network = load(workload, "numpy").network
    with emulate(process) as emulation, Client.connect(emulation.port) as client:
        assert client.name(Name.MODEL) == "model"
        assert client.name(Name.BOARD) == "posix"
        assert client.hello.inputs == 6
        assert client.hello.outputs == 4
        tensor = network.tensors[network.output.tensor]
        assert client.hello.output_scale == np.float32(tensor.scale)
        assert client.hello.output_zero_point == tensor.zero_point
        test = client.self_test()
        assert test.passed
        assert test.calls == 32
        client.reset()
        client.invoke(bytes(6))
        timings = client.timings()
        assert timings.calls == 1
        assert 0 < timings.least == timings.most == timings.total
        assert client.last_ticks == timings.least


def test_a_self_test_that_fails_is_seen(workload: Path, tmp_path: Path) -> None:
    _require_tools("posix")
    project = new_project(find_board("posix"), workload, tmp_path)
    source = tmp_path / "model" / "model.c"
    text = source.read_text("utf-8")
    source.write_text(text.replace(".cell_shift = ", ".cell_shift = 1 + "), "utf-8")
    build_project(project)
    with emulate(project) as emulation, Client.connect(emulation.port) as client:
        assert not client.self_test().passed


def test_a_wiped_state_is_named(workload: Path, tmp_path: Path) -> None:
    _require_tools("posix")
    project = new_project(find_board("posix"), workload, tmp_path)
    source = tmp_path / "model" / "model.c"
    call = "edge_lstm_lstm_s8_step("
    text = source.read_text("utf-8")
    assert text.count(call) == 1
    source.write_text(text.replace(call, f"model_reset(state);\n    {call}"), "utf-8")
    build_project(project)
    with emulate(project) as emulation:
        done = CliRunner().invoke(
            cli,
            ["verify", str(workload), "--golden", str(workload.with_name("model_golden.npz")),
             "--engine", "device", "--port", emulation.port],
        )  # fmt: skip
    assert done.exit_code == 1
    assert "the state is lost between steps" in done.stdout


# --- Bad lines --------------------------------------------------------------------------------


def _stream(engine: DeviceEngine, steps: int, seed: int) -> None:
    """``steps`` steps, each held against the oracle."""
    rng = np.random.default_rng(seed)
    oracle = IntegerExecution(engine.network)
    inputs = rng.integers(-128, 128, (steps, engine.network.features)).astype(np.int8)
    expected = oracle.run(inputs[None])[0]
    engine.reset()
    for step, right in zip(inputs, expected, strict=True):
        np.testing.assert_array_equal(engine.invoke(step), right)


def _engine(model: Path, port: str) -> DeviceEngine:
    engine = load(model, "device", port=port)
    assert isinstance(engine, DeviceEngine)
    return engine


@pytest.mark.parametrize(
    "faults",
    [Faults(drop=0.01), Faults(flip=0.01), Faults(double=0.01), Faults(late=0.01),
     Faults(0.0025, 0.0025, 0.0025, 0.0025)],
    ids=["drop", "flip", "double", "late", "all"],
)  # fmt: skip
def test_no_wrong_result_on_a_line_that_damages_one_byte_in_a_hundred(
    faults: Faults, process: Project, workload: Path
) -> None:
    with emulate(process) as emulation, FaultyLine(emulation.port, faults, 1) as line:
        engine = _engine(workload, line.port)
        _stream(engine, 300, seed=1)
        figures = engine.figures()
        engine.close()
    if faults.late:
        assert line.bytes_passed > 300 * 20
    else:
        assert line.damaged > 50
        assert figures.sent_again > 50


@pytest.mark.long
def test_no_wrong_result_in_20_000_steps(process: Project, workload: Path) -> None:
    faults = Faults(0.0025, 0.0025, 0.0025, 0.0025)
    with emulate(process) as emulation, FaultyLine(emulation.port, faults, 2) as line:
        engine = _engine(workload, line.port)
        for seed in range(20):
            _stream(engine, 1000, seed)
        engine.close()


def test_a_line_that_is_cut_for_two_seconds_goes_on(process: Project, workload: Path) -> None:
    with emulate(process) as emulation, FaultyLine(emulation.port, Faults(), 3) as line:
        engine = _engine(workload, line.port)
        _stream(engine, 50, seed=1)
        line.cut.set()
        threading.Timer(2.0, line.cut.clear).start()
        _stream(engine, 50, seed=2)
        assert engine.client.sent_again >= 1
        engine.close()


def test_a_device_that_restarts_is_noticed(process: Project, workload: Path) -> None:
    """The state is gone; going on would give wrong answers."""
    with emulate(process) as first, FaultyLine(first.port, Faults(), 4) as line:
        engine = _engine(workload, line.port)
        _stream(engine, 20, seed=1)
        with emulate(process) as second:
            line.retarget(second.port)
            first.process.kill()
            with pytest.raises(MissingToolError, match="has restarted"):
                _stream(engine, 20, seed=2)
            engine.close()


def test_garbage_before_the_first_frame_does_no_harm(process: Project, workload: Path) -> None:
    with emulate(process) as emulation:
        line = open_line(emulation.port)
        line.write(bytes(range(256)) * 3 + b"\x05half a frame")
        line.close()
        engine = _engine(workload, emulation.port)
        _stream(engine, 20, seed=1)
        engine.close()


# --- A port of this machine -------------------------------------------------------------------


@contextmanager
def _pty_of(port: str) -> Iterator[str]:
    """A pseudo-terminal that leads to a TCP port."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    host, number = port.removeprefix("socket://").split(":")
    device = socket.create_connection((host, int(number)))

    def to_device() -> None:
        try:
            while data := os.read(master, 4096):
                device.sendall(data)
        except OSError:
            pass  # closed at the end

    def to_host() -> None:
        try:
            while data := device.recv(4096):
                os.write(master, data)
        except OSError:
            pass

    threads = [threading.Thread(target=pump, daemon=True) for pump in (to_device, to_host)]
    for thread in threads:
        thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        device.shutdown(socket.SHUT_RDWR)
        os.close(slave)
        os.close(master)
        device.close()


def test_a_port_of_this_machine_works_and_is_ours_alone(process: Project, workload: Path) -> None:
    with emulate(process) as emulation, _pty_of(emulation.port) as port:
        engine = _engine(workload, port)
        _stream(engine, 100, seed=1)
        golden = workload.with_name("model_golden.npz")
        text = refused("verify", workload, "--golden", golden, "--engine", "device", "--port", port,
                       code=3)  # fmt: skip
        assert "is in use by another program" in text
        engine.close()


# --- Bad input --------------------------------------------------------------------------------


def _verify(model: Path, *options: object, code: int) -> str:
    golden = model.with_name("model_golden.npz")
    return refused("verify", model, "--golden", golden, *options, code=code)


def test_ports_that_are_none(workload: Path) -> None:
    device = ("--engine", "device")
    text = _verify(workload, *device, "--port", "/dev/ttyNONE", code=3)
    assert "there is no port '/dev/ttyNONE'" in text
    text = _verify(workload, *device, "--port", "socket://127.0.0.1:1", code=3)
    assert "nothing answers at" in text
    assert "no-such" in _verify(workload, *device, "--port", "no-such://x", code=2)
    assert "--port" in _verify(workload, *device, code=2)
    assert "goes with the engine device" in _verify(workload, "--port", "/dev/tty1", code=2)


def test_another_model_on_the_port(process: Project, classifier: Path) -> None:
    with emulate(process) as emulation:
        text = _verify(classifier, "--engine", "device", "--port", emulation.port, code=2)
    assert "runs another model" in text


@contextmanager
def _imposter(answer: bytes | None) -> Iterator[str]:
    """Something on a TCP port that is no firmware of ours."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        line, _ = server.accept()
        with line:
            reader = FrameReader()
            while data := line.recv(4096):
                for frame in reader.feed(data):
                    other = Frame(frame.type | ANSWER, frame.sequence, b"", 9)
                    line.sendall(encode(other) if answer is None else answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.close()


def test_a_firmware_of_another_protocol(workload: Path) -> None:
    with _imposter(None) as port:
        text = _verify(workload, "--engine", "device", "--port", port, code=2)
    assert "speaks version 9 of the protocol" in text


@pytest.mark.parametrize("answer", [b"", b"login: \r\n"])
def test_a_silent_device_and_one_that_babbles(answer: bytes) -> None:
    with (
        _imposter(answer) as port,
        pytest.raises(MissingToolError, match="no answer on"),
    ):
        Client.connect(port, patience=0.5)


# pyserial does not close the socket of a connection that the other side has closed already.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_line_that_breaks_off(process: Project, workload: Path) -> None:
    with emulate(process) as emulation:
        engine = _engine(workload, emulation.port)
        emulation.process.kill()
        emulation.process.wait()
        with pytest.raises(MissingToolError, match=r"broke off|no answer"):
            _stream(engine, 10, seed=1)
        engine.close()


def test_a_model_that_does_not_fit(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    network = quantized(rng, random_network(rng, [240], 40))
    model = _write_model(tmp_path, network, sequences=1, steps=2)
    text = refused("firmware", "new", "microbit", model, "-o", tmp_path / "p")
    assert "does not fit the board 'microbit' by about" in text
    assert "bytes of constants would" in text
    assert not (tmp_path / "p").exists()
    done = CliRunner().invoke(cli, ["boards", str(model)])
    assert "does NOT fit, by about" in done.stdout


def test_a_call_of_more_values_than_the_link_counts(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    network = replace(quantized(rng, random_network(rng, [2], 4), "window"), window=20_000)
    model = tmp_path / "model.tflite"
    model.write_bytes(tflite_bytes(network))
    text = refused("firmware", "new", "posix", model, "-o", tmp_path / "p")
    assert "has 80,000 values" in text


def test_what_only_the_linker_knows_is_told(workload: Path, tmp_path: Path) -> None:
    _require_tools("microbit")
    project = new_project(find_board("microbit"), workload, tmp_path)
    script = tmp_path / "board.ld"
    text = script.read_text("utf-8")
    script.write_text(text.replace("LENGTH = 256K", "LENGTH = 8K"), "utf-8")
    with pytest.raises(InputError, match=r"does not fit the board 'microbit' by [\d,]+ bytes"):
        build_project(project)
    script.write_text(text.replace("LENGTH = 16K", "LENGTH = 1K"), "utf-8")
    with pytest.raises(InputError, match="too little RAM for a stack"):
        build_project(project)


def test_a_missing_tool_is_named(
    workload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_project(find_board("mps2_an386"), workload, tmp_path / "p")
    monkeypatch.setenv("PATH", str(tmp_path))
    text = refused("firmware", "build", tmp_path / "p", code=3)
    assert "'make' is not installed" in text
    (tmp_path / "p" / "firmware.elf").write_bytes(b"")
    text = refused("emulate", tmp_path / "p", code=3)
    assert "'qemu-system-arm' is not installed: apt-get install qemu-system-arm" in text


def test_an_emulator_that_cannot_be_made(
    workload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool("make")
    project = new_project(find_board("atmega2560"), workload, tmp_path)
    project.firmware.write_bytes(b"")
    monkeypatch.setenv("HOST_CC", "false")
    text = refused("emulate", tmp_path, code=3)
    assert "cannot be built: apt-get install libsimavr-dev libelf-dev gcc" in text


def test_folders_that_are_no_projects(workload: Path, classifier: Path, tmp_path: Path) -> None:
    assert "is no firmware project" in refused("firmware", "build", tmp_path)
    folder = tmp_path / "p"
    project = new_project(find_board("posix"), workload, folder)
    assert open_project(folder).board.id == "posix"
    assert "is not built" in refused("emulate", folder)
    new_project(find_board("posix"), workload, folder)  # renews it
    text = refused("firmware", "new", "microbit", workload, "-o", folder)
    assert "no project of this board and model" in text
    assert "there is no board" in refused("firmware", "new", "nano", workload, "-o", folder)
    (folder / "main.c").unlink(missing_ok=True)
    (folder / "port.c").write_text("#error broken\n", "utf-8")
    _require_tools("posix")
    assert "does not compile" in refused("firmware", "build", project.folder)
    text = refused("deploy", classifier.with_name("none.tflite"), "--board", "posix")
    assert "there is no golden" in text


def test_an_emulator_that_does_not_start(workload: Path, tmp_path: Path) -> None:
    _require_tools("mps2_an386")
    project = new_project(find_board("mps2_an386"), workload, tmp_path)
    (tmp_path / "board.toml").write_text(
        (tmp_path / "board.toml").read_text("utf-8").replace("mps2-an386", "no-such-machine")
    )
    project.firmware.write_bytes(b"no ELF file")
    text = refused("emulate", tmp_path, code=3)
    assert "does not start" in text
    assert "unsupported machine type" in text


def test_a_board_file_of_ones_own(workload: Path, tmp_path: Path) -> None:
    source = find_board("posix").path.read_text("utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text(source.replace('["posix"]', '["posix", "extra"]'), "utf-8")
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "note.txt").write_text("hello", "utf-8")
    project = new_project(read_board(mine), workload, tmp_path / "p")
    assert (project.folder / "note.txt").read_text("utf-8") == "hello"
    assert open_project(project.folder).board.id == "mine"
    mine.write_text(source[: source.index("[emulator]")], "utf-8")
    alone = new_project(read_board(mine), workload, tmp_path / "alone")
    alone.firmware.write_bytes(b"")
    assert "'mine' has no emulator: write" in refused("emulate", alone.folder)
    for bad, problem in (
        ("colour = 3\n" + source, "the key 'colour' is unknown"),
        (source.replace("core", "kernel", 1), "the key 'kernel' is unknown"),
        ("ram = -1\n" + source, "ram = -1 is no number of bytes"),
        (source.replace("process", "magic"), "emulator.kind 'magic'"),
        ("core = ", "is no TOML file"),
        ('name = "x"\n', "the key 'parts' is missing"),
        (source.replace('["posix"]', '["nowhere"]'), "there is no part 'nowhere'"),
    ):
        mine.write_text(bad, "utf-8")
        assert problem in refused("firmware", "new", mine, workload, "-o", tmp_path / "q")


def test_emulate_prints_the_port(process: Project, workload: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from edge_lstm.cli.main import cli; cli()", "emulate",
         str(process.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        port = running.stdout.readline().strip()
        engine = _engine(workload, port)
        _stream(engine, 20, seed=1)
        engine.close()
        running.terminate()
        assert running.wait(10) == 0
    with pytest.raises(MissingToolError, match="nothing answers"):
        open_line(port)
