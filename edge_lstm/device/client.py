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

# Seconds until a command is sent again.
_FIRST_TIMEOUT = 1.0
_LEAST_TIMEOUT = 0.02
# Answers that come damaged are asked for again at once, but not without end.
_HASTY_TRIES = 5
_INPUTS_A_FRAME = PAYLOAD_BYTES - 2


class Client:
    """A session with a firmware. ``patience``: seconds without an answer until it counts as
    silent, the longest call of the model included; ``where`` names the line in messages.

    Raises MissingToolError when the device stays silent or has restarted, InputError when it is
    of another protocol.
    """

    def __init__(self, line: Line, where: str, *, patience: float = 10.0) -> None:
        self._line, self._where, self.patience = line, where, patience
        self._reader = FrameReader()
        self._sequence = secrets.randbelow(1 << 16)
        self._usual: dict[int, float] = {}  # seconds that an answer takes, by command
        self._timeout: dict[int, float] = {}
        self.sent_again = 0
        self.last_ticks = 0
        self.hello = Hello.unpack(self._payload(Command.HELLO))

    @staticmethod
    def connect(port: str, *, baud: int = DEFAULT_BAUD, patience: float = 10.0) -> Client:
        """Open ``port`` and say hello."""
        line = open_line(port, baud)
        where = f"'{port}'" if "://" in port else f"'{port}' at {baud} baud"
        try:
            return Client(line, where, patience=patience)
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
                f"the firmware on {self._where} speaks version {answer.version} of the protocol, "
                f"this edge-lstm speaks {PROTOCOL_VERSION}: make the firmware again"
            )
        if answer.type == ANSWER_ERROR:
            raise self._refused(command, answer.payload)
        return answer.payload

    def _refused(self, command: Command, payload: bytes) -> MissingToolError:
        code = payload[0] if payload else 0
        if code in (DeviceError.NO_SESSION, DeviceError.SEQUENCE):
            return MissingToolError(
                f"the device on {self._where} has restarted or talks to another program, and the "
                "model's state is lost: run again"
            )
        return MissingToolError(
            f"the firmware on {self._where} refuses {command.name} (error {code}): make it again "
            "with this edge-lstm"
        )

    def _exchange(self, command: Frame) -> Frame:
        """Send until it is answered; the device carries a repeated command out only once."""
        encoded = encode(command)
        start = sent = time.monotonic()
        tries = 0
        while sent - start < self.patience:
            timeout = self._timeout.get(command.type, _FIRST_TIMEOUT)
            answer = self._send_and_wait(encoded, command, timeout, hasty=tries < _HASTY_TRIES)
            if answer is not None:
                if tries == 0:
                    self._learn(command.type, time.monotonic() - sent)
                return answer
            tries += 1
            self.sent_again += 1
            sent = time.monotonic()
        raise MissingToolError(
            f"no answer on {self._where} for {self.patience:g} s: see that the device runs an "
            "edge-lstm firmware, at this baud rate"
        )

    def _send_and_wait(
        self, encoded: bytes, command: Frame, timeout: float, *, hasty: bool
    ) -> Frame | None:
        deadline = time.monotonic() + timeout
        broken = self._reader.broken
        try:
            self._line.write(encoded)
            while (left := deadline - time.monotonic()) > 0:
                self._line.timeout = left
                for frame in self._reader.feed(self._line.read(1)):
                    if _answers(frame, command):
                        return frame
                if hasty and self._reader.broken != broken:
                    return None  # probably the answer
        except OSError as error:  # pyserial's exceptions among them
            raise MissingToolError(
                f"the line to {self._where} broke off: {error}; connect the device again"
            ) from error
        # The next one waits longer too, until an answer comes in time: a model that is slow
        # must not be pelted with copies of the same command.
        self._timeout[command.type] = min(2 * timeout, self.patience / 2)
        return None

    def _learn(self, kind: int, seconds: float) -> None:
        """A mean that forgets, slow to fall and quick to rise. Only an answer to a command that
        was sent once says how long it took."""
        usual = self._usual.get(kind, seconds)
        usual += (0.1 if seconds < usual else 0.5) * (seconds - usual)
        self._usual[kind] = usual
        self._timeout[kind] = max(4 * usual, _LEAST_TIMEOUT)


def _answers(frame: Frame, command: Frame) -> bool:
    """False for what came late, of an earlier command. An error has no type of its own."""
    return frame.sequence == command.sequence and frame.type in (
        command.type | ANSWER,
        ANSWER_ERROR,
    )
