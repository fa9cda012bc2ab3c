"""A line that loses and alters bytes, between a client and the TCP port of a firmware."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from dataclasses import dataclass
from types import TracebackType


@dataclass
class Faults:
    """Shares of the bytes that are dropped, flipped, doubled, or held back for ``delay`` s."""

    drop: float = 0.0
    flip: float = 0.0
    double: float = 0.0
    late: float = 0.0
    delay: float = 0.005


class FaultyLine:
    """Use as a context; ``port`` is for pyserial. While ``cut`` is set, nothing gets through."""

    def __init__(self, target: str, faults: Faults, seed: int) -> None:
        host, number = target.removeprefix("socket://").split(":")
        self._target = (host, int(number))
        self._faults, self._random = faults, random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = threading.Event()
        self.damaged = 0
        self.bytes_passed = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FaultyLine:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        self._listener.close()

    def retarget(self, target: str) -> None:
        """Where the next connection goes: the device after a power cycle."""
        self._target = ("127.0.0.1", int(target.rsplit(":", 1)[1]))

    def _run(self) -> None:
        self._listener.settimeout(0.1)
        while not self._stop.is_set():
            try:
                host, _ = self._listener.accept()
            except TimeoutError:
                continue
            with host:
                self._serve(host)

    def _serve(self, host: socket.socket) -> None:
        """Until the host hangs up; a device that does is looked for again."""
        while not self._stop.is_set():
            try:
                device = socket.create_connection(self._target, 1)
            except OSError:
                time.sleep(0.05)
                continue
            with device:
                if not self._pump(host, device):
                    return

    def _pump(self, host: socket.socket, device: socket.socket) -> bool:
        for end in (host, device):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self._stop.is_set():
            ready, _, _ = select.select([host, device], [], [], 0.1)
            for end in ready:
                try:
                    received = end.recv(4096)
                    other = device if end is host else host
                    if received:
                        other.sendall(self._damage(received))
                except OSError:
                    received = b""
                if not received:
                    return end is device
        return False

    def _damage(self, received: bytes) -> bytes:
        if self.cut.is_set():
            return b""
        passed = bytearray()
        for byte in received:
            self.bytes_passed += 1
            lot = self._random.random()
            f = self._faults
            if lot < f.drop:
                pass
            elif lot < f.drop + f.flip:
                passed.append(byte ^ (1 << self._random.randrange(8)))
            elif lot < f.drop + f.flip + f.double:
                passed += bytes([byte, byte])
            else:
                if lot < f.drop + f.flip + f.double + f.late:
                    time.sleep(f.delay)
                passed.append(byte)
                continue
            self.damaged += 1
        return bytes(passed)
