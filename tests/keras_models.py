"""One small Keras model for each supported layer and option, and data to calibrate it with."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS, FEATURES = 12, 3


def build_models(keras: Any) -> dict[str, Any]:
    """One small model for each supported layer and option."""
    layers, sequential, inputs = keras.layers, keras.Sequential, keras.Input

    def functional() -> Any:
        source = inputs((STEPS, FEATURES))
        hidden = layers.LSTM(6, return_sequences=True)(source)
        return keras.Model(source, layers.TimeDistributed(layers.Dense(4, "relu"))(hidden))

    each = {
        f"dense_{function}": sequential(
            [inputs((None, FEATURES)), layers.LSTM(7), layers.Dense(3, activation=function)]
        )
        for function in ("linear", "relu", "sigmoid", "tanh", "softmax")
    }
    return each | {
        "lstm_alone": sequential([inputs((STEPS, FEATURES)), layers.LSTM(5)]),
        "sequence_alone": sequential(
            [inputs((None, FEATURES)), layers.LSTM(5, return_sequences=True)]
        ),
        "no_bias": sequential(
            [
                inputs((STEPS, FEATURES)),
                layers.LSTM(6, use_bias=False),
                layers.Dense(2, use_bias=False),
            ]
        ),
        "stacked_dropout": sequential(
            [
                inputs((STEPS, FEATURES)),
                layers.LSTM(6, return_sequences=True, dropout=0.3, recurrent_dropout=0.2),
                layers.Dropout(0.4),
                layers.Dense(5, activation="tanh"),
                layers.LSTM(4),
                layers.Dense(2),
            ]
        ),
        "stateful": sequential(
            [inputs(batch_shape=(2, 4, FEATURES)), layers.LSTM(6, stateful=True), layers.Dense(2)]
        ),
        "functional": functional(),
        "scaled_ends": sequential(
            [
                inputs((None, FEATURES)),
                layers.Normalization(mean=[1.0, 300.0, -2e4], variance=[1e-4, 25.0, 1e8]),
                layers.Rescaling(0.5, offset=0.1),
                layers.LSTM(6),
                layers.Dense(2),
                layers.Normalization(mean=[273.0, 0.0], variance=[4.0, 1e6], invert=True),
            ]
        ),
        "scaled_softmax": sequential(
            [
                inputs((None, FEATURES)),
                layers.LSTM(6),
                layers.Dense(3, activation="softmax"),
                layers.Rescaling(100.0, offset=1.0),
            ]
        ),
    }


MODEL_NAMES = (
    "dense_linear", "dense_relu", "dense_sigmoid", "dense_tanh", "dense_softmax", "lstm_alone",
    "sequence_alone", "no_bias", "stacked_dropout", "stateful", "functional", "scaled_ends",
    "scaled_softmax",
)  # fmt: skip


def calibration_for_model(name: str) -> np.ndarray:
    rng = np.random.default_rng(11)
    x = np.cumsum(rng.standard_normal((40, STEPS, FEATURES)) * 0.4, axis=1)
    return x * [0.01, 5.0, 1e4] + [1.0, 300.0, -2e4] if name == "scaled_ends" else x
