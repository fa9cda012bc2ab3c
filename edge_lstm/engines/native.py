"""The generated C, compiled by this machine's compiler and called through ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.c_source import c_header, c_source
from converters.errors import InputError, MissingToolError
from converters.network import QuantizedNetwork
from edge_lstm.engines.protocol import Engine, Int8Array, LayerState
from firmware_templates import host_directory, runtime_headers

__all__ = ["NativeEngine", "compile_library"]

_FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared")


class NativeEngine(Engine):
    """Runs NAME.c. Compiled libraries are kept in the user's cache folder by content."""

    name = "native"

    def __init__(self, network: QuantizedNetwork) -> None:
        super().__init__(network)
        self._compiler = _find_compiler()
        library = ctypes.CDLL(str(compile_library(network, self._compiler)))
        library.edge_lstm_host_state_size.restype = ctypes.c_size_t
        library.edge_lstm_host_state_size.argtypes = []
        pointer = ctypes.c_void_p
        signatures: dict[str, list[type]] = {
            "reset": [pointer],
            "get_state": [pointer] * 2,
            "set_state": [pointer] * 2,
            "invoke": [pointer] * 3,
        }
        if network.form == "stream":
            signatures["stream"] = [pointer, pointer, ctypes.c_size_t, pointer, pointer]
        for function, arguments in signatures.items():
            entry = getattr(library, f"edge_lstm_host_{function}")
            entry.restype = None
            entry.argtypes = arguments
        self._library = library
        self._state = ctypes.create_string_buffer(library.edge_lstm_host_state_size())
        self._input_size = network.steps_per_call * network.features
        self._saved_bytes = 3 * sum(op.units for op in network.lstms)
        many = network.form == "window" and network.returns_sequence
        self._output_shape = (network.window or 0, network.outputs) if many else (network.outputs,)
        self.reset()

    def reset(self) -> None:
        """Start a new sequence."""
        self._library.edge_lstm_host_reset(self._state)

    def invoke(self, inputs: Int8Array) -> Int8Array:
        """See ``Engine.invoke``."""
        values = np.ascontiguousarray(inputs)
        if values.dtype != np.int8 or values.size != self._input_size:
            raise InputError(
                f"the input is {values.dtype} {list(values.shape)}, the model takes "
                f"{self._input_size} values of int8"
            )
        output = np.empty(self._output_shape, np.int8)
        self._library.edge_lstm_host_invoke(self._state, values.ctypes.data, output.ctypes.data)
        return output

    def stream(self, inputs: Int8Array, outputs: Int8Array, states: npt.NDArray[np.uint8]) -> None:
        """Many steps in one call into C, stream form: int8 inputs [steps, features]; fills
        outputs [steps, outputs] and states [steps, state bytes]. All C-contiguous."""
        self._library.edge_lstm_host_stream(
            self._state, inputs.ctypes.data, len(inputs), outputs.ctypes.data, states.ctypes.data
        )

    def save_state(self) -> bytes:
        """The state as bytes: for each LSTM its hidden state, then its cells, little end first."""
        saved = np.empty(self._saved_bytes, np.uint8)
        self._library.edge_lstm_host_get_state(self._state, saved.ctypes.data)
        return saved.tobytes()

    def load_state(self, saved: bytes) -> None:
        """Go on from bytes that ``save_state`` returned."""
        if len(saved) != self._saved_bytes:
            raise InputError(
                f"a state of '{self.network.name}' has {self._saved_bytes} bytes, "
                f"{len(saved)} were given"
            )
        self._library.edge_lstm_host_set_state(self._state, saved)

    @property
    def state(self) -> dict[str, LayerState]:
        """See ``Engine.state``."""
        saved = self.save_state()
        layers, offset = {}, 0
        for op in self.network.lstms:
            hidden = np.frombuffer(saved, np.int8, op.units, offset)
            cell = np.frombuffer(saved, "<i2", op.units, offset + op.units)
            layers[op.output] = LayerState(hidden, cell.astype(np.int16))
            offset += 3 * op.units
        return layers

    def describe(self) -> str:
        """The compiler and its flags."""
        first_line = _compiler_version(self._compiler).splitlines()[0]
        return f"C by {first_line}, {' '.join(_FLAGS[:2])}"


def compile_library(network: QuantizedNetwork, compiler: list[str]) -> Path:
    """Compile the model's C into a shared library, or take it from the cache."""
    name = network.name
    sources = {f"{name}.h": c_header(network), f"{name}.c": c_source(network)}
    sources |= {header.name: header.read_text("utf-8") for header in runtime_headers()}
    host = host_directory() / "edge_lstm_host.c"
    sources[host.name] = host.read_text("utf-8")
    command = [
        *compiler,
        *_FLAGS,
        f'-DEDGE_LSTM_HEADER="{name}.h"',
        f"-DEDGE_LSTM_MODEL={name}",
        f"-DEDGE_LSTM_MODEL_UPPER={name.upper()}",
        *(["-DEDGE_LSTM_WINDOW"] if network.form == "window" else []),
    ]
    key = hashlib.sha256(
        repr((sorted(sources.items()), command, _compiler_version(compiler))).encode()
    ).hexdigest()
    library = _cache_folder() / f"{name}-{key[:32]}.so"
    if not library.exists():
        _compile(sources, [*command, f"{name}.c", host.name], library)
    return library


def _compile(sources: dict[str, str], command: list[str], library: Path) -> None:
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            for file, text in sources.items():
                (Path(folder) / file).write_text(text, "utf-8")
            built = Path(folder) / "model.so"
            done = subprocess.run(
                [*command, "-o", built.name],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode or not built.exists():
                raise MissingToolError(
                    f"'{command[0]}' cannot compile the generated C: {_reason(done.stderr)}; "
                    "install gcc or clang, or name another compiler in the variable CC"
                )
            built.replace(library)
    except OSError as error:
        raise MissingToolError(
            f"cannot write to the cache folder '{library.parent}': {error.strerror}; "
            "name another in the variable XDG_CACHE_HOME"
        ) from error


def _reason(messages: str) -> str:
    """The line of a compiler's output that names the error."""
    lines = messages.strip().splitlines() or ["it wrote nothing"]
    return next((line for line in lines if "error" in line.lower()), lines[0])


def _find_compiler() -> list[str]:
    candidates = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    for candidate in candidates:
        try:
            words = shlex.split(candidate)
        except ValueError as error:
            raise MissingToolError(
                f"the variable CC is no command ({error}): {candidate}"
            ) from error
        if words and shutil.which(words[0]):
            return words
    raise MissingToolError(
        f"the engine native needs a C compiler ({', '.join(candidates)} not found): install one "
        "(Debian: apt-get install gcc), or take --engine litert or numpy"
    )


def _compiler_version(compiler: list[str]) -> str:
    done = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False)
    return done.stdout or "unknown"


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "edge-lstm"
