"""Numbers and layouts of the link, those of ``firmware_templates/link/edge_lstm_protocol.h``."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "ANSWER",
    "ANSWER_ERROR",
    "FRAME_BYTES",
    "PAYLOAD_BYTES",
    "PROTOCOL_VERSION",
    "Command",
    "DeviceError",
    "Hello",
    "Memory",
    "Name",
    "SelfTest",
    "Timings",
    "model_hash",
]

PROTOCOL_VERSION = 1
PAYLOAD_BYTES = 64
FRAME_BYTES = 4 + PAYLOAD_BYTES + 4
ANSWER = 0x80
ANSWER_ERROR = 0xFF


class Command(IntEnum):
    """What a host may ask."""

    HELLO = 0x01
    NAME = 0x02
    RESET = 0x03
    INPUT = 0x04
    INVOKE = 0x05
    OUTPUT = 0x06
    TIMINGS = 0x07
    MEMORY = 0x08
    SELF_TEST = 0x09


class Name(IntEnum):
    """Items of ``Command.NAME``."""

    MODEL = 0
    BOARD = 1
    COMPILER = 2


class DeviceError(IntEnum):
    """Why a device did not carry a command out."""

    PROTOCOL = 1
    NO_SESSION = 2
    SEQUENCE = 3
    COMMAND = 4
    PAYLOAD = 5


@dataclass(frozen=True)
class Hello:
    """What a firmware says of itself. Scales and zero points are the ones of NAME.h;
    ``ticks_per_second`` is 0 where the device has no counter."""

    version: str
    window: bool
    model_hash: bytes
    inputs: int
    outputs: int
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int
    ticks_per_second: int

    @staticmethod
    def unpack(payload: bytes) -> Hello:
        """From the answer to HELLO; struct.error where it has another length."""
        major, minor, patch, window, model_hash, *rest = struct.unpack("<BBBB8sHHfifiI", payload)
        return Hello(f"{major}.{minor}.{patch}", bool(window), model_hash, *rest)


@dataclass(frozen=True)
class Timings:
    """Ticks of the model's calls since HELLO, of the call alone, without the link."""

    calls: int
    least: int
    most: int
    total: int

    @staticmethod
    def unpack(payload: bytes) -> Timings:
        """From the answer to TIMINGS."""
        return Timings(*struct.unpack("<IIIQ", payload))


@dataclass(frozen=True)
class Memory:
    """Bytes; 0 where the board cannot tell. ``stack_used``: the most since the start."""

    flash_used: int
    static_ram: int
    stack_room: int
    stack_used: int

    @staticmethod
    def unpack(payload: bytes) -> Memory:
        """From the answer to MEMORY."""
        return Memory(*struct.unpack("<IIII", payload))


@dataclass(frozen=True)
class SelfTest:
    """Calls that the firmware made by itself, the CRC-32 of their outputs and the right one."""

    calls: int
    found: int
    expected: int

    @property
    def passed(self) -> bool:
        """True when the outputs were right."""
        return self.found == self.expected

    @staticmethod
    def unpack(payload: bytes) -> SelfTest:
        """From the answer to SELF_TEST."""
        return SelfTest(*struct.unpack("<III", payload))


def model_hash(content: bytes) -> bytes:
    """What a firmware carries of the ``.tflite`` that it was made of: 8 bytes of its SHA-256."""
    return hashlib.sha256(content).digest()[:8]
