"""The float Keras model, to compare with: it answers whole sequences, not steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.errors import InputError
from converters.keras_reader import load_keras_model, predict

__all__ = ["KerasEngine"]

FloatArray = npt.NDArray[np.float32]


class KerasEngine:
    """A ``.keras`` file. Not bit-exact to anything: float32, and as fast as Keras is."""

    name = "keras"

    def __init__(self, path: str | Path) -> None:
        self._model = load_keras_model(Path(path))
        try:
            (model_input,), (_,) = self._model.inputs, self._model.outputs
            _, _, features = model_input.shape
            self.features = int(features)
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(
                f"'{path}' is no model with one output and one input of (batch, steps, features)"
            ) from error

    def predict(self, x: FloatArray, lengths: npt.NDArray[np.int64]) -> FloatArray:
        """float32 [N, T, features] of ``lengths`` [N] to the shape of Keras' ``predict``."""
        return predict(self._model, x, lengths)

    def describe(self) -> str:
        """Keras, its version and its backend."""
        import keras

        return f"keras {keras.__version__} on {keras.backend.backend()}"
