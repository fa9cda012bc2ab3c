"""Whether a model fits a board, about; the linker has the last word."""

from __future__ import annotations

from dataclasses import dataclass

from converters.c_source import constant_bytes, state_bytes
from converters.errors import InputError
from converters.network import QuantizedNetwork
from edge_lstm.device.boards import Board

__all__ = ["Fit", "call_values", "check_fit", "fit"]

_MOST_CALL_VALUES = 65_535  # offsets on the link have 16 bits


@dataclass(frozen=True)
class Fit:
    """Bytes that a model and what belongs to it need on a board, and what the board has."""

    flash_needed: int
    flash: int | None
    ram_needed: int
    ram: int | None

    @property
    def spare(self) -> dict[str, int]:
        """Bytes left over by kind of memory, negative where they are lacking."""
        pairs = (("flash", self.flash_needed, self.flash), ("RAM", self.ram_needed, self.ram))
        return {kind: room - needed for kind, needed, room in pairs if room is not None}


def call_values(network: QuantizedNetwork) -> tuple[int, int]:
    """Values that go into a call of the model and come out of it."""
    if network.form == "stream":
        return network.features, network.outputs
    window = network.window or 0
    outputs = window * network.outputs if network.returns_sequence else network.outputs
    return window * network.features, outputs


def fit(board: Board, network: QuantizedNetwork) -> Fit:
    """Compare a model's needs with a board's memories."""
    constants = constant_bytes(network)
    values = state_bytes(network) + sum(call_values(network))
    return Fit(
        flash_needed=constants + board.code_flash,
        flash=board.flash,
        ram_needed=values + board.code_ram + (constants if board.constants_in_ram else 0),
        ram=board.ram,
    )


def check_fit(board: Board, network: QuantizedNetwork) -> None:
    """InputError for a model that is too large, with the figures."""
    if max(call_values(network)) > _MOST_CALL_VALUES:
        raise InputError(
            f"a call of the model '{network.name}' has {max(call_values(network)):,} values, the "
            f"link to a device takes {_MOST_CALL_VALUES:,}: convert it with --form stream"
        )
    missing = {kind: -room for kind, room in fit(board, network).spare.items() if room < 0}
    if not missing:
        return
    lacks = " and ".join(f"{count:,} bytes of {kind}" for kind, count in missing.items())
    most = []
    if "flash" in missing and board.flash is not None:
        most.append(f"{board.flash - board.code_flash:,} bytes of constants")
    if "RAM" in missing and board.ram is not None:
        kinds = "constants, state and values" if board.constants_in_ram else "state and values"
        most.append(f"{board.ram - board.code_ram:,} bytes of {kinds}")
    raise InputError(
        f"the model '{network.name}' does not fit the board '{board.id}' by about {lacks}; a model "
        f"of {' and '.join(most)} would: use fewer units, or a larger board"
    )
