"""When the host sends again, on a line with a clock of its own."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from converters.errors import MissingToolError
from edge_lstm.device import client
from edge_lstm.device.client import Client
from edge_lstm.device.framing import Frame, FrameReader, encode
from edge_lstm.device.protocol import ANSWER, Command

HELLO = struct.pack("<BBBB8sHHfifiI", 0, 1, 0, 0, bytes(8), 1, 1, 1.0, 0, 1.0, 0, 0)


class ClockedLine:
    """Answers each command after ``delay(command)`` seconds; reading moves the clock on."""

    def __init__(self, delay: Callable[[Frame], float], garbage: bytes = b"") -> None:
        self.timeout: float | None = None
        self.now = 0.0
        self.commands: list[Frame] = []
        self._delay, self._garbage = delay, garbage
        self._reader = FrameReader()
        self._due: list[tuple[float, bytes]] = []

    def monotonic(self) -> float:
        return self.now

    def write(self, data: bytes) -> int:
        for frame in self._reader.feed(data):
            self.commands.append(frame)
            payload = HELLO if frame.type == Command.HELLO else bytes(5)
            answer = self._garbage or encode(Frame(frame.type | ANSWER, frame.sequence, payload))
            due = self.now + self._delay(frame)
            self._due += [(due, answer[k : k + 1]) for k in range(len(answer))]
        return len(data)

    def read(self, size: int = 1) -> bytes:
        assert size == 1
        assert self.timeout is not None
        self._due.sort(key=lambda entry: entry[0])
        if self._due and self._due[0][0] <= self.now + self.timeout:
            due, byte = self._due.pop(0)
            self.now = max(self.now, due)
            return byte
        self.now += self.timeout
        return b""

    def close(self) -> None:
        pass


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Client, ClockedLine]]:
    def connected(delay: Callable[[Frame], float], **options: Any) -> tuple[Client, ClockedLine]:
        line = ClockedLine(delay, **options)
        monkeypatch.setattr(client, "time", line)
        return Client(line, "a line"), line

    return connected


def test_a_prompt_device_gets_each_command_once(connect: Any) -> None:
    host, line = connect(lambda _: 0.003)
    for _ in range(100):
        host.invoke(b"\0")
    assert len(line.commands) == 101
    assert host.sent_again == 0


@pytest.mark.parametrize("seconds", [0.5, 1.5, 4.0])
def test_a_slow_model_is_waited_for(seconds: float, connect: Any) -> None:
    """Also where the other commands are answered at once."""
    host, line = connect(lambda frame: seconds if frame.type == Command.INVOKE else 0.001)
    for _ in range(30):
        host.reset()
        host.invoke(b"\0")
    assert host.sent_again <= 3
    assert len(line.commands) == 61 + host.sent_again


def test_what_is_lost_is_sent_again_soon_and_with_the_same_number(connect: Any) -> None:
    sent = iter(range(1, 1000))
    host, line = connect(lambda _: 1e9 if next(sent) in (20, 21, 40) else 0.001)
    start = line.now
    for _ in range(50):
        host.invoke(b"\0")
    numbers = [command.sequence for command in line.commands]
    assert host.sent_again == 3
    assert numbers[19] == numbers[20] == numbers[21]
    assert len(set(numbers)) == 51
    assert line.now - start < 1


def test_a_silent_line_is_given_up(connect: Any) -> None:
    with pytest.raises(MissingToolError, match="no answer on a line for 10 s"):
        connect(lambda _: 1e9)


def test_a_line_of_broken_frames_is_not_flooded(connect: Any, monkeypatch: Any) -> None:
    lines: list[ClockedLine] = []
    original = ClockedLine.__init__

    def remember(self: ClockedLine, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        lines.append(self)

    monkeypatch.setattr(ClockedLine, "__init__", remember)
    with pytest.raises(MissingToolError, match="no answer"):
        connect(lambda _: 0.001, garbage=b"\0noise\0")
    assert len(lines[0].commands) < 20
