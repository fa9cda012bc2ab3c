"""The link's frames and the device's side of it, held against PyPI's cobs, zlib, a second
implementation under the sanitizers, and a compiler for the smallest core."""

from __future__ import annotations

import ctypes
import re
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_lstm.device import protocol
from edge_lstm.device.framing import Frame, FrameReader, encode
from firmware_templates import runtime_headers, template_directory
from tests.conftest import require_tool

LINK = template_directory("link")
RUNTIME = runtime_headers()[0].parent
FUZZ = Path(__file__).parent / "link"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
INCLUDE = [f"-I{folder}" for folder in (FUZZ, LINK, RUNTIME)]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

contents = st.binary(min_size=4, max_size=4 + protocol.PAYLOAD_BYTES) | st.lists(
    st.sampled_from([0, 1, 255]), min_size=4, max_size=68
).map(bytes)


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    built = tmp_path_factory.mktemp("codec") / "frame.so"
    done = _run(require_tool("gcc"), *STRICT, "-O2", "-fPIC", "-shared", LINK / "edge_lstm_frame.c",
                "-o", built)  # fmt: skip
    assert done.returncode == 0, done.stderr
    library = ctypes.CDLL(str(built))
    library.edge_lstm_frame_receive.restype = ctypes.c_uint8
    library.edge_lstm_crc32.restype = ctypes.c_uint32
    library.edge_lstm_crc32.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint16]
    return library


def _c_encode(codec: ctypes.CDLL, content: bytes) -> bytes:
    sent = bytearray()
    put = ctypes.CFUNCTYPE(None, ctypes.c_uint8)(sent.append)
    codec.edge_lstm_frame_send(content, ctypes.c_uint8(len(content)), put)
    return bytes(sent)


def _c_decode(codec: ctypes.CDLL, line: bytes) -> list[bytes]:
    decoder = ctypes.create_string_buffer(protocol.FRAME_BYTES + 4)
    found = []
    for byte in line:
        length = codec.edge_lstm_frame_receive(decoder, ctypes.c_uint8(byte))
        if length:
            found.append(decoder.raw[:length])
    return found


def _framed(content: bytes) -> bytes:
    return b"\0" + cobs.encode(content + zlib.crc32(content).to_bytes(4, "little")) + b"\0"


@given(contents)
def test_c_writes_the_frames_that_cobs_and_zlib_make(codec: ctypes.CDLL, content: bytes) -> None:
    assert _c_encode(codec, content) == _framed(content)


@given(contents)
def test_both_sides_read_them_back(codec: ctypes.CDLL, content: bytes) -> None:
    assert _c_decode(codec, _framed(content)) == [content]
    frame = Frame(content[1], content[2] + 256 * content[3], content[4:], content[0])
    assert encode(frame) == _framed(content)
    assert FrameReader().feed(_framed(content)) == [frame]


@given(st.binary(max_size=80), st.integers(0, 80))
def test_the_crc_is_zlibs_in_one_piece_or_two(codec: ctypes.CDLL, data: bytes, at: int) -> None:
    crc = codec.edge_lstm_crc32(0, data[:at], len(data[:at]))
    assert codec.edge_lstm_crc32(crc, data[at:], len(data[at:])) == zlib.crc32(data)


damage = st.tuples(st.sampled_from(["drop", "flip", "double", "insert"]), st.integers(0, 400),
                   st.integers(0, 255))  # fmt: skip


def _damaged(line: bytes, kind: str, at: int, value: int) -> bytes:
    at %= len(line)
    middle = {
        "drop": b"",
        "flip": bytes([line[at] ^ (value | 1)]),
        "double": line[at : at + 1] * 2,
        "insert": bytes([line[at], value]),
    }
    return line[:at] + middle[kind] + line[at + 1 :]


@settings(max_examples=300)
@given(st.lists(contents, min_size=1, max_size=4), st.lists(damage, max_size=3), st.data())
def test_c_and_python_accept_the_same_of_a_damaged_line(
    codec: ctypes.CDLL, sent: list[bytes], damages: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    line = b"".join(_framed(content) for content in sent)
    for kind, at, value in damages:
        line = _damaged(line, kind, at, value)
    line += _framed(b"last")
    cut = data.draw(st.integers(0, len(line)))
    reader = FrameReader()
    frames = reader.feed(line[:cut]) + reader.feed(line[cut:])
    found = [bytes([f.version, f.type]) + f.sequence.to_bytes(2, "little") + f.payload
             for f in frames]  # fmt: skip
    assert found == _c_decode(codec, line)
    assert found[-1] == b"last"  # whatever came before, a zero byte ends it
    assert [content for content in found[:-1] if content not in sent] == []


def test_garbage_without_end_takes_no_memory() -> None:
    reader = FrameReader()
    for _ in range(100):
        assert reader.feed(b"\1" * 10_000) == []
    assert len(reader._pending) < 100
    assert reader.feed(_framed(b"last"))


def test_c_and_python_have_the_same_numbers() -> None:
    text = (LINK / "edge_lstm_protocol.h").read_text("utf-8")
    found = {k: int(v, 0) for k, v in re.findall(r"#define EDGE_LSTM_(\w+) (\w+)", text)
             if v[0].isdigit()}  # fmt: skip
    expected = {
        "PROTOCOL_VERSION": protocol.PROTOCOL_VERSION,
        "HEADER_BYTES": 4,
        "CRC_BYTES": 4,
        "PAYLOAD_BYTES": protocol.PAYLOAD_BYTES,
        "ANSWER": protocol.ANSWER,
        "ANSWER_ERROR": protocol.ANSWER_ERROR,
    }
    for prefix, kind in (("COMMAND", protocol.Command), ("NAME", protocol.Name),
                         ("ERROR", protocol.DeviceError)):  # fmt: skip
        expected |= {f"{prefix}_{item.name}": item.value for item in kind}
    assert found == expected


def _build_fuzz(folder: Path, changed: Callable[[str], str] = lambda text: text) -> Path:
    for file in (*LINK.glob("edge_lstm_*.[ch]"), *FUZZ.glob("*.[ch]")):
        text = file.read_text("utf-8")
        (folder / file.name).write_text(changed(text) if file.parent == LINK else text, "utf-8")
    built = folder / "fuzz_link"
    sources = [folder / f"{name}.c" for name in ("fuzz_link", "edge_lstm_app", "edge_lstm_frame")]
    done = _run(require_tool("gcc"), "-std=c99", "-Wall", "-Werror", *SANITIZE, f"-I{RUNTIME}",
                *sources, "-o", built)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return built


def test_the_device_keeps_the_invariants_of_design_md_on_fuzzed_lines(tmp_path: Path) -> None:
    for seed in (1, 2):
        done = _run(_build_fuzz(tmp_path), 200_000, seed)
        assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_ten_million_fuzzed_inputs(tmp_path: Path) -> None:
    done = _run(_build_fuzz(tmp_path), 10_000_000, 3)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "mistake", "finding"),
    [
        ("decoder->length < EDGE_LSTM_FRAME_BYTES", "1", "out of bounds"),  # invariant 1
        ("&& decoder->block_left == 0", "", "invariant 2"),
        ("decoder->broken = 0;", "", "invariant 3"),
        ("sequence == last_sequence && crc == last_crc", "0", "invariant 5"),
        ("in_session == 0", "0", "invariant 6"),
        ("inputs_present != INPUTS", "0", "invariant 7"),
    ],
)
def test_the_fuzz_target_finds_mistakes(
    code: str, mistake: str, finding: str, tmp_path: Path
) -> None:
    def changed(text: str) -> str:
        return text.replace(code, mistake)

    done = _run(_build_fuzz(tmp_path, changed), 200_000, 1)
    assert done.returncode != 0
    assert finding in done.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_link_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    for source in sorted(LINK.glob("*.c")):
        done = _run(require_tool(compiler), *STRICT, "-O2", *INCLUDE, "-c", source, "-o",
                    tmp_path / "link.o")  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_on_a_cortex_m0_it_takes_3_kib_of_flash_and_400_bytes_of_ram(tmp_path: Path) -> None:
    tool = require_tool("arm-none-eabi-gcc")
    flash = ram = 0
    for name in ("edge_lstm_app", "edge_lstm_frame"):
        built = tmp_path / f"{name}.o"
        done = _run(tool, *STRICT, "-mcpu=cortex-m0", "-mthumb", "-O2", *INCLUDE, "-c",
                    LINK / f"{name}.c", "-o", built)  # fmt: skip
        assert done.returncode == 0, done.stderr
        size = _run(require_tool("arm-none-eabi-size"), built).stdout.splitlines()[1].split()
        flash += int(size[0]) + int(size[1])
        ram += int(size[1]) + int(size[2])
        undefined = _run(require_tool("arm-none-eabi-nm"), "-u", built).stdout.split()[1::2]
        assert all(u.startswith(("edge_lstm_", "fuzz_", "mem")) for u in undefined), undefined
    model = 4 + 70 + 90  # state and values of the fuzz target's model
    assert flash <= 3 * 1024
    assert ram - model <= 400
