"""Frames on a serial line: COBS between zero bytes, CRC-32 at the end."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from cobs import cobs

from edge_lstm.device.protocol import FRAME_BYTES, PROTOCOL_VERSION

__all__ = ["Frame", "FrameReader", "encode"]

_HEADER = struct.Struct("<BBH")
_CRC = struct.Struct("<I")
_MOST_ENCODED = FRAME_BYTES + 1  # COBS adds one byte to so short a frame


@dataclass(frozen=True)
class Frame:
    """Type, sequence number and payload; ``version`` is the sender's."""

    type: int
    sequence: int
    payload: bytes = b""
    version: int = PROTOCOL_VERSION


def encode(frame: Frame) -> bytes:
    """The frame as bytes on the line. The zero byte before it ends whatever garbage is there."""
    content = _HEADER.pack(frame.version, frame.type, frame.sequence) + frame.payload
    encoded: bytes = cobs.encode(content + _CRC.pack(zlib.crc32(content)))
    return b"\0" + encoded + b"\0"


class FrameReader:
    """Finds the good frames in what a line delivers, and counts the broken ones."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self.broken = 0

    def feed(self, received: bytes) -> list[Frame]:
        """Good frames that these bytes complete."""
        *ended, rest = (bytes(self._pending) + received).split(b"\0")
        # One byte too many is enough to know that a frame is none.
        self._pending = bytearray(rest[: _MOST_ENCODED + 1])
        frames = [self._decode(encoded) for encoded in ended if encoded]
        return [frame for frame in frames if frame is not None]

    def _decode(self, encoded: bytes) -> Frame | None:
        frame = _parse(encoded)
        self.broken += frame is None
        return frame


def _parse(encoded: bytes) -> Frame | None:
    if len(encoded) > _MOST_ENCODED:
        return None
    try:
        decoded: bytes = cobs.decode(encoded)
    except cobs.DecodeError:
        return None
    content, crc = decoded[: -_CRC.size], decoded[-_CRC.size :]
    if len(content) < _HEADER.size or crc != _CRC.pack(zlib.crc32(content)):
        return None
    version, kind, sequence = _HEADER.unpack_from(content)
    return Frame(kind, sequence, content[_HEADER.size :], version)
