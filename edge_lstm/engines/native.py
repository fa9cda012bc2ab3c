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

from converters.c_source import c_header, c_source
from converters.errors import EdgeLstmError, MissingToolError
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
        pointers = {"reset": 1, "get_state": 2, "set_state": 2, "invoke": 3}
        for function, count in pointers.items():
            entry = getattr(library, f"edge_lstm_host_{function}")
            entry.restype = None
            entry.argtypes = [ctypes.c_void_p] * count
        self._library = library
        self._state = ctypes.create_string_buffer(library.edge_lstm_host_state_size())
        many = network.form == "window" and network.returns_sequence
        self._output_shape = (network.window or 0, network.outputs) if many else (network.outputs,)
        self.reset()

    def reset(self) -> None:
        """Start a new sequence."""
        self._library.edge_lstm_host_reset(self._state)

    def invoke(self, inputs: Int8Array) -> Int8Array:
        """See ``Engine.invoke``."""
        values = np.ascontiguousarray(inputs)
        output = np.empty(self._output_shape, np.int8)
        self._library.edge_lstm_host_invoke(self._state, values.ctypes.data, output.ctypes.data)
        return output

    @property
    def state(self) -> dict[str, LayerState]:
        """See ``Engine.state``."""
        size = 3 * sum(op.units for op in self.network.lstms)
        saved = np.empty(size, np.uint8)
        self._library.edge_lstm_host_get_state(self._state, saved.ctypes.data)
        layers, offset = {}, 0
        for op in self.network.lstms:
            cell_at, end = offset + op.units, offset + 3 * op.units
            hidden = saved[offset:cell_at].view(np.int8)
            cell = np.frombuffer(saved[cell_at:end].tobytes(), "<i2").astype(np.int16)
            layers[op.output] = LayerState(hidden, cell)
            offset = end
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
            if done.returncode:
                raise MissingToolError(
                    f"'{command[0]}' cannot compile the generated C: "
                    f"{(done.stderr.strip() or 'no message').splitlines()[0]}; "
                    "install gcc or clang, or name another compiler in the variable CC"
                )
            built.replace(library)
    except OSError as error:
        raise EdgeLstmError(
            f"cannot write to the cache folder '{library.parent}': {error.strerror}; "
            "name another in the variable XDG_CACHE_HOME"
        ) from error


def _find_compiler() -> list[str]:
    candidates = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    for candidate in candidates:
        words = shlex.split(candidate)
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
