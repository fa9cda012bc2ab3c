"""The ``edge_lstm`` metadata buffer of a ``.tflite``: JSON with what the flatbuffer cannot hold.

The schema is documented in docs/metadata.md; ``SCHEMA_VERSION`` goes up with every change
that an older reader would misread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from converters.errors import InputError
from converters.network import Arithmetic, Form, Port, QuantizedNetwork

__all__ = ["METADATA_NAME", "SCHEMA_VERSION", "Metadata", "Provenance", "decode", "encode"]

METADATA_NAME = "edge_lstm"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Provenance:
    """Where a model came from: writer (name and version), SHA-256 of the source file, and the
    calibrated range of each tensor and cell state, (lower, upper) in the float model's units."""

    writer: str
    source_sha256: str
    ranges: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Metadata:
    """What the buffer holds beside the provenance; see ``QuantizedNetwork`` for the meaning."""

    name: str
    arithmetic: Arithmetic
    form: Form
    window: int | None
    returns_sequence: bool
    input: Port
    output: Port
    provenance: Provenance


def encode(network: QuantizedNetwork, provenance: Provenance) -> bytes:
    """The buffer for ``network``: UTF-8 JSON, keys in a fixed order."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "writer": provenance.writer,
        "source_sha256": provenance.source_sha256,
        "name": network.name,
        "arithmetic": network.arithmetic,
        "quantization": "int8",
        "form": network.form,
        "window": network.window,
        "returns_sequence": network.returns_sequence,
        "inputs": [_encode_port(network.input)],
        "outputs": [_encode_port(network.output)],
        "ranges": {name: list(ends) for name, ends in provenance.ranges.items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def decode(buffer: bytes) -> Metadata:
    """Read a buffer. Raises InputError for a newer schema; what is malformed raises ValueError,
    KeyError or TypeError, as the JSON library and the look-ups do."""
    content = json.loads(buffer)
    version = content["schema_version"]
    if version != SCHEMA_VERSION:
        raise InputError(
            f"its metadata have schema version {version}, this edge-lstm reads "
            f"{SCHEMA_VERSION}; convert the model again or install the version that wrote it "
            f"({content.get('writer', 'unknown')})"
        )
    arithmetic = content["arithmetic"]
    if arithmetic not in get_args(Arithmetic) or content["quantization"] != "int8":
        raise InputError(
            f"its arithmetic is {arithmetic} {content['quantization']}; "
            f"this edge-lstm runs int8 of {' and '.join(get_args(Arithmetic))}"
        )
    (model_input,), (output,) = content["inputs"], content["outputs"]
    form = content["form"]
    if form not in ("stream", "window"):
        raise ValueError(f"unknown form {form!r}")
    return Metadata(
        name=content["name"],
        arithmetic=arithmetic,
        form=form,
        window=content["window"],
        returns_sequence=bool(content["returns_sequence"]),
        input=_decode_port(model_input),
        output=_decode_port(output),
        provenance=Provenance(
            writer=content["writer"],
            source_sha256=content["source_sha256"],
            ranges={name: (lo, hi) for name, (lo, hi) in content["ranges"].items()},
        ),
    )


def _encode_port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "tensor": port.tensor,
        "labels": list(port.labels),
        "scale": port.scale.tolist(),
        "zero_point": port.zero_point.tolist(),
        "lower": port.lower.tolist(),
        "upper": port.upper.tolist(),
        "open_ends": list(port.open_ends),
    }


def _decode_port(content: dict[str, Any]) -> Port:
    low_open, high_open = content["open_ends"]
    numbers = {
        key: np.asarray(content[key], np.float32)
        for key in ("scale", "zero_point", "lower", "upper")
    }
    labels = tuple(str(label) for label in content["labels"])
    if any(array.shape != (len(labels),) for array in numbers.values()):
        raise ValueError("the arrays of a port differ in length")
    return Port(
        name=content["name"],
        tensor=content["tensor"],
        labels=labels,
        open_ends=(bool(low_open), bool(high_open)),
        **numbers,
    )
