"""The host's side of the link: one command at a time, sent again until it is answered."""

from __future__ import annotations

import secrets
import struct
import time
from types import TracebackType

from converters.errors import InputError, MissingToolError
from edge_lstm.device.framing import Frame, FrameReader, encode
from edge_lstm.device.line import DEFAULT_BAUD, Line, open_line
from edge_lstm.device.protocol import (
    ANSWER,
    ANSWER_ERROR,
    PAYLOAD_BYTES,
    PROTOCOL_VERSION,
    Command,
    DeviceError,
    Hello,
    Memory,
    Name,
    SelfTest,
    Timings,
)

__all__ = ["Client"]

# Seconds until a command is sent again: from what answers took so far, and doubled each time.
_FIRST_TIMEOUT = 1.0
_LEAST_TIMEOUT = 0.02
_MOST_TIMEOUT = 2.0
_OUTPUTS_BEHIND_TICKS = PAYLOAD_BYTES - 4
_INPUTS_A_FRAME = PAYLOAD_BYTES - 2


class Client:
    """A session with a firmware. ``patience``: seconds without an answer until it counts as
    silent, the longest call of the model included.

    Raises MissingToolError when the device stays silent or has restarted, InputError when it is
    of another protocol.
    """

    def __init__(self, line: Line, port: str, *, patience: float = 10.0) -> None:
        self._line, self.port, self.patience = line, port, patience
        self._reader = FrameReader()
        self._sequence = secrets.randbelow(1 << 16)
        self._usual: float | None = None
        self.sent_again = 0
        self.last_ticks = 0
        self.hello = Hello.unpack(self._payload(Command.HELLO))

    @staticmethod
    def connect(port: str, *, baud: int = DEFAULT_BAUD, patience: float = 10.0) -> Client:
        """Open ``port`` and say hello."""
        line = open_line(port, baud)
        try:
            return Client(
                line,
                f"{port}' at {baud} baud" if "://" not in port else f"{port}'",
                patience=patience,
            )
        except BaseException:
            line.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._line.close()

    def name(self, item: Name) -> str:
        """Name of the model, the board or the compiler."""
        return self._payload(Command.NAME, bytes([item])).decode("ascii", "replace")

    def reset(self) -> None:
        """Reset the model's state."""
        self._payload(Command.RESET)

    def invoke(self, inputs: bytes) -> bytes:
        """One call of the model; ``last_ticks`` then says what it took on the device."""
        parts = [
            (offset, inputs[offset : offset + _INPUTS_A_FRAME])
            for offset in range(0, len(inputs), _INPUTS_A_FRAME)
        ]
        for offset, part in parts[:-1]:
            self._payload(Command.INPUT, struct.pack("<H", offset) + part)
        offset, part = parts[-1]
        answer = self._payload(Command.INVOKE, struct.pack("<H", offset) + part)
        (self.last_ticks,) = struct.unpack_from("<I", answer)
        outputs = answer[4:]
        while len(outputs) < self.hello.outputs:
            count = min(PAYLOAD_BYTES, self.hello.outputs - len(outputs))
            outputs += self._payload(Command.OUTPUT, struct.pack("<HB", len(outputs), count))
        return outputs

    def timings(self) -> Timings:
        """Ticks of the calls since hello."""
        return Timings.unpack(self._payload(Command.TIMINGS))

    def memory(self) -> Memory:
        """Flash, RAM and stack as the firmware sees them."""
        return Memory.unpack(self._payload(Command.MEMORY))

    def self_test(self) -> SelfTest:
        """Let the firmware call its model by itself. Resets the state."""
        return SelfTest.unpack(self._payload(Command.SELF_TEST))

    def _payload(self, command: Command, payload: bytes = b"") -> bytes:
        self._sequence = (self._sequence + 1) % (1 << 16)
        answer = self._exchange(Frame(command, self._sequence, payload))
        if answer.version != PROTOCOL_VERSION:
            raise InputError(
                f"the firmware on '{self.port} speaks version {answer.version} of the protocol, "
                f"this edge-lstm speaks {PROTOCOL_VERSION}: make the firmware again"
            )
        if answer.type == ANSWER_ERROR:
            raise self._refused(command, answer.payload)
        return answer.payload

    def _refused(self, command: Command, payload: bytes) -> MissingToolError:
        code = payload[0] if payload else 0
        if code in (DeviceError.NO_SESSION, DeviceError.SEQUENCE):
            return MissingToolError(
                f"the device on '{self.port} has restarted or talks to another program, and the "
                "model's state is lost: run again"
            )
        return MissingToolError(
            f"the firmware on '{self.port} refuses {command.name} (error {code}): make it again "
            "with this edge-lstm"
        )

    def _exchange(self, command: Frame) -> Frame:
        """Send until it is answered; the device carries a repeated command out only once."""
        encoded = encode(command)
        start = time.monotonic()
        timeout = self._timeout()
        first = True
        while time.monotonic() - start < self.patience:
            sent = time.monotonic()
            self.sent_again += not first
            answer = self._send_and_wait(encoded, command, timeout)
            if answer is not None:
                if first:
                    self._learn(time.monotonic() - sent)
                return answer
            first = False
            timeout = min(2 * timeout, _MOST_TIMEOUT)
        raise MissingToolError(
            f"no answer on '{self.port} for {self.patience:g} s: see that the device runs an "
            "edge-lstm firmware, at this baud rate"
        )

    def _send_and_wait(self, encoded: bytes, command: Frame, timeout: float) -> Frame | None:
        deadline = time.monotonic() + timeout
        broken = self._reader.broken
        try:
            self._line.write(encoded)
            while (left := deadline - time.monotonic()) > 0:
                self._line.timeout = left
                for frame in self._reader.feed(self._line.read(1)):
                    if _answers(frame, command):
                        return frame
                if self._reader.broken != broken:
                    return None  # probably the answer: ask for it again at once
        except OSError as error:  # pyserial's exceptions among them
            raise MissingToolError(
                f"the line to '{self.port} broke off: {error}; connect the device again"
            ) from error
        return None

    def _timeout(self) -> float:
        if self._usual is None:
            return _FIRST_TIMEOUT
        return min(max(4 * self._usual, _LEAST_TIMEOUT), _MOST_TIMEOUT)

    def _learn(self, seconds: float) -> None:
        """A running mean that forgets, slow to fall and quick to rise."""
        weight = 0.1 if self._usual is not None and seconds < self._usual else 0.5
        self._usual = (
            seconds if self._usual is None else ((1 - weight) * self._usual + weight * seconds)
        )


def _answers(frame: Frame, command: Frame) -> bool:
    """False for what came late, of an earlier command. An error has no type of its own."""
    return frame.sequence == command.sequence and frame.type in (
        command.type | ANSWER,
        ANSWER_ERROR,
    )
