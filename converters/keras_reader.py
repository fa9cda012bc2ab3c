"""Keras 3 model → float ``Network``. Keras is imported inside a function only.

The model is walked from its output back to its input; each layer becomes zero, one or two
nodes. What cannot be converted is refused by the layer's name.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.errors import InputError, UnsupportedError
from converters.keras_import import import_keras
from converters.network import (
    Activation,
    Affine,
    Dense,
    Function,
    Input,
    LastStep,
    Lstm,
    Network,
    Node,
)

__all__ = ["is_stateful", "load_keras_model", "predict", "read_keras_model"]

FloatArray = npt.NDArray[np.float32]

_SUPPORTED = (
    "Input, Normalization and Rescaling at the ends, LSTM, Dense (linear, relu, sigmoid, tanh, "
    "softmax), Dropout, TimeDistributed(Dense)"
)
_FUNCTIONS: dict[str, Function | None] = {
    "linear": None,
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softmax": "softmax",
}
_IDENTITIES = ("InputLayer", "Dropout")


def load_keras_model(path: Path) -> Any:
    """Load a ``.keras`` file without running code from it (safe mode).

    Raises InputError for what is not a Keras 3 file, MissingToolError without Keras.
    """
    if not path.is_file():
        raise InputError(f"cannot read '{path}': there is no such file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"'{path}' is not a Keras 3 model; save it with model.save('NAME.keras')")
    keras = import_keras()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about optimizer state, which is not used
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises anything on a file it dislikes
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise InputError(f"Keras cannot load '{path}': {reason}") from error


def read_keras_model(model: Any, name: str) -> Network:
    """The float network of a Keras model, called ``name``.

    Raises UnsupportedError, naming the layer, for what the converter does not support.
    """
    window, features = _input_shape(model)
    for layer in model.layers:
        if _kind(layer) == "Masking":
            raise UnsupportedError(
                f"layer '{layer.name}' is a Masking, which is not supported; leave it out and "
                "give the array 'lengths' with sequences of different lengths"
            )
    layers = _chain(model)
    nodes: list[Node] = []
    end = layers[0].name
    for layer in layers[1:]:
        kind = _kind(layer)
        if kind in _IDENTITIES:
            continue
        reader = _READERS.get(kind)
        if reader is None:
            raise UnsupportedError(
                f"layer '{layer.name}' is a {type(layer).__name__}, which is not supported; "
                f"supported are {_SUPPORTED}"
            )
        made = reader(layer, end)
        nodes += made
        end = made[-1].name
    if not any(isinstance(node, Lstm) for node in nodes):
        raise UnsupportedError(
            f"model '{model.name}' holds no LSTM layer; edge-lstm converts recurrent models"
        )
    if is_stateful(model):
        window = None  # its steps are a piece of a longer sequence
    return Network(name, Input(layers[0].name, features), tuple(nodes), end, window)


def is_stateful(model: Any) -> bool:
    """True where a layer keeps its state from one call to the next."""
    return any(getattr(layer, "stateful", False) for layer in model.layers)


def predict(model: Any, x: FloatArray, lengths: npt.NDArray[np.int64]) -> FloatArray:
    """What Keras answers to sequences x, float32 [N, T, F], of ``lengths`` [N] steps.

    Each sequence starts from a reset. The answers have the shape of Keras' ``predict``; beyond
    a sequence's length they are zero.
    """
    if is_stateful(model):
        model = _stateless_copy(model)
    result: FloatArray | None = None
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        answer = _answer(model, x[rows, :length])
        steps = x.shape[1:2] if answer.ndim == 3 else ()
        if result is None:
            result = np.zeros((len(x), *steps, answer.shape[-1]), np.float32)
        if steps:
            result[rows, :length] = answer
        else:
            result[rows] = answer
    if result is None:
        raise InputError("there are no sequences to predict")
    return result


def _answer(model: Any, x: FloatArray) -> FloatArray:
    try:
        return np.asarray(model.predict(x, verbose=0), np.float32)
    except ValueError as error:
        if "not a valid scope name" not in str(error):
            raise
        # TensorFlow cannot name a graph after such a layer; without a graph it need not.
        return np.asarray(model(x, training=False), np.float32)


def _stateless_copy(model: Any) -> Any:
    """The same layers and weights for any batch and length, each call from a reset.

    A stateful model takes its built-in batch and number of steps only, and answers a sequence
    in pieces.
    """
    config = model.get_config()
    config.pop("build_input_shape", None)
    for layer in config["layers"]:
        settings = layer["config"]
        if "stateful" in settings:
            settings["stateful"] = False
        if layer["class_name"] == "InputLayer":
            settings["batch_shape"] = (None, None, settings["batch_shape"][-1])
        layer.pop("build_config", None)
    copy = type(model).from_config(config)
    for layer, original in zip(copy.layers, model.layers, strict=True):
        for variable, trained in zip(layer.weights, original.weights, strict=True):
            variable.assign(trained)
        if hasattr(layer, "finalize_state"):  # Normalization computes from its variables here
            layer.finalize_state()
    return copy


def _kind(layer: Any) -> str:
    """The class of a layer, if it is Keras' own; a subclass may compute something else."""
    kind = type(layer)
    return str(kind.__name__) if kind.__module__.split(".")[0] == "keras" else ""


def _input_shape(model: Any) -> tuple[int | None, int]:
    """Steps (None where any number is taken) and features of the one input."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise UnsupportedError(
            f"model '{model.name}' has no defined input; begin it with "
            "keras.Input((steps, features))"
        )
    if len(inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedError(
            f"model '{model.name}' has {len(inputs)} inputs and {len(model.outputs)} outputs; "
            "one of each is supported"
        )
    shape = inputs[0].shape
    if len(shape) != 3 or shape[2] is None:
        raise UnsupportedError(
            f"the input of model '{model.name}' has shape {shape}; "
            "(batch, steps, features) with a fixed number of features is needed"
        )
    return shape[1], int(shape[2])


def _chain(model: Any) -> list[Any]:
    """The layers from input to output. Refuses branches, which a chain cannot hold."""
    tensor = model.outputs[0]
    layers: list[Any] = []
    while True:
        layer, index, _ = tensor._keras_history
        if any(layer is other for other in layers):
            raise UnsupportedError(
                f"layer '{layer.name}' is used twice; give each place a layer of its own"
            )
        layers.append(layer)
        sources = layer._inbound_nodes[index].input_tensors
        if not sources:
            return layers[::-1]
        if len(sources) > 1:
            raise UnsupportedError(
                f"layer '{layer.name}' joins {len(sources)} branches; "
                "chains of layers are supported"
            )
        tensor = sources[0]


# --- One reader a layer: (layer, name of its input) → nodes --------------------------------


def _read_lstm(layer: Any, source: str) -> list[Node]:
    cell = layer.cell
    for setting, found, needed in (
        ("activation", _function_name(cell.activation), "tanh"),
        ("recurrent_activation", _function_name(cell.recurrent_activation), "sigmoid"),
        ("go_backwards", layer.go_backwards, False),
        ("return_state", layer.return_state, False),
    ):
        if found != needed:
            raise UnsupportedError(
                f"layer '{layer.name}': {setting}={found!r} is not supported; "
                f"train with {setting}={needed!r}"
            )
    units = int(cell.units)
    kernel = np.asarray(cell.kernel, np.float32)
    bias = np.asarray(cell.bias, np.float32) if cell.use_bias else np.zeros(4 * units, np.float32)
    recurrent_kernel = np.asarray(cell.recurrent_kernel, np.float32)
    _check_weights(layer.name, kernel, recurrent_kernel, bias)
    nodes: list[Node] = [Lstm(layer.name, source, kernel, recurrent_kernel, bias)]
    if not layer.return_sequences:
        nodes.append(LastStep(f"{layer.name}/last_step", layer.name))
    return nodes


def _function_name(function: Any) -> str:
    """Of a function, or of a layer that serves as one."""
    return str(getattr(function, "__name__", type(function).__name__))


def _read_dense(layer: Any, source: str, name: str | None = None) -> list[Node]:
    name = name or layer.name
    function = _function_name(layer.activation)
    if function not in _FUNCTIONS:
        raise UnsupportedError(
            f"layer '{name}': activation {function!r} is not supported; "
            f"supported are {', '.join(_FUNCTIONS)}"
        )
    kernel = np.asarray(layer.kernel, np.float32)
    bias = np.asarray(layer.bias, np.float32) if layer.use_bias else None
    bias = np.zeros(kernel.shape[1], np.float32) if bias is None else bias
    _check_weights(name, kernel, bias)
    nodes: list[Node] = [Dense(name, source, kernel, bias)]
    applied = _FUNCTIONS[function]
    if applied is not None:
        nodes.append(Activation(f"{name}/{applied}", name, applied))
    return nodes


def _read_time_distributed(layer: Any, source: str) -> list[Node]:
    if _kind(layer.layer) != "Dense":
        raise UnsupportedError(
            f"layer '{layer.name}' distributes a {type(layer.layer).__name__} over time; "
            "TimeDistributed(Dense) is supported"
        )
    return _read_dense(layer.layer, source, layer.name)


def _read_normalization(layer: Any, source: str) -> list[Node]:
    channels = int(layer.input.shape[-1])
    axes = layer.axis if isinstance(layer.axis, tuple) else (layer.axis,)
    if not set(axes) <= {None, -1, len(layer.input.shape) - 1}:
        raise UnsupportedError(
            f"layer '{layer.name}' normalizes over another axis than the last; use axis=-1"
        )
    mean = _per_channel(layer, "mean", channels)
    # Keras guards against a variance of zero in the same way.
    deviation = np.maximum(np.sqrt(_per_channel(layer, "variance", channels)), 1e-7)
    if layer.invert:
        scale, offset = deviation, mean
    else:
        scale, offset = 1 / deviation, -mean / deviation
    return [_affine(layer.name, source, scale, offset)]


def _read_rescaling(layer: Any, source: str) -> list[Node]:
    channels = int(layer.input.shape[-1])
    scale = np.broadcast_to(np.asarray(layer.scale, np.float64), (channels,))
    offset = np.broadcast_to(np.asarray(layer.offset, np.float64), (channels,))
    return [_affine(layer.name, source, scale, offset)]


def _per_channel(layer: Any, attribute: str, channels: int) -> npt.NDArray[np.float64]:
    values = np.asarray(getattr(layer, attribute), np.float64).ravel()
    return np.broadcast_to(values, (channels,)).copy()


def _affine(
    name: str, source: str, scale: npt.NDArray[np.float64], offset: npt.NDArray[np.float64]
) -> Affine:
    return Affine(name, source, scale.astype(np.float32), offset.astype(np.float32))


def _check_weights(name: str, *weights: FloatArray) -> None:
    if not all(np.isfinite(w).all() for w in weights):
        raise InputError(f"layer '{name}' has weights that are not finite; train it again")


_READERS: dict[str, Callable[[Any, str], list[Node]]] = {
    "LSTM": _read_lstm,
    "Dense": _read_dense,
    "TimeDistributed": _read_time_distributed,
    "Normalization": _read_normalization,
    "Rescaling": _read_rescaling,
}
