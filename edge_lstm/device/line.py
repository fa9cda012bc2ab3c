"""Opens a serial line: a port of this machine, a pty, or anything that pyserial has a URL for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from converters.errors import InputError, MissingToolError

__all__ = ["DEFAULT_BAUD", "Line", "open_line"]

DEFAULT_BAUD = 115_200


class Line(Protocol):
    """The part of pyserial's Serial that the link uses."""

    timeout: float | None

    def read(self, size: int = 1) -> bytes:
        """Bytes, fewer than ``size`` when the timeout runs out."""

    def write(self, data: bytes) -> int | None:
        """Send bytes."""

    def close(self) -> None:
        """Give the port back."""


def open_line(port: str, baud: int = DEFAULT_BAUD) -> Line:
    """Open ``port``: /dev/ttyACM0, COM3, socket://host:port, …, for this process alone."""
    import serial

    local = "://" not in port
    options: dict[str, Any] = {"exclusive": True} if local else {}
    try:
        line: Line = serial.serial_for_url(port, baudrate=baud, timeout=0.1, **options)
    except ValueError as error:
        raise InputError(f"the port '{port}' cannot be used: {error}") from error
    except (serial.SerialException, OSError) as error:
        raise MissingToolError(_why(port, local, error)) from error
    return line


def _why(port: str, local: bool, error: Exception) -> str:
    if not local:
        return f"nothing answers at '{port}': start the emulator or the bridge there first"
    if not Path(port).exists():
        return f"there is no port '{port}': plug the device in; {_ports_here()}"
    if "lock" in str(error) or getattr(error, "errno", None) == 16:
        return f"the port '{port}' is in use by another program: close it there"
    if getattr(error, "errno", None) == 13:
        return f"the port '{port}' is not yours to open: join its group (often dialout)"
    return f"the port '{port}' cannot be opened: {error}"


def _ports_here() -> str:
    from serial.tools import list_ports

    names = sorted(port.device for port in list_ports.comports())
    return f"this machine has {', '.join(names)}" if names else "this machine has none now"
