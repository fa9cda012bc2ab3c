"""edge-lstm: Keras LSTMs as int8 models that compute the same bits everywhere.

    convert(model, calibration, output=folder) -> ConversionReport
    load(path, engine="native") -> Engine with reset(), step(x), run(x) and state
    verify(model, golden, engine="native") -> Verdict
    train(...) -> TrainingReport

Names are loaded when they are used; importing the package imports neither TensorFlow nor an
interpreter.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from firmware_templates import __version__

if TYPE_CHECKING:
    from edge_lstm.conversion import convert
    from edge_lstm.conversion_report import ConversionReport
    from edge_lstm.engines import load
    from edge_lstm.engines.protocol import Engine
    from edge_lstm.harness.verdict import Budgets, Verdict, verify
    from edge_lstm.training.train import TrainingReport, train

__all__ = [
    "Budgets",
    "ConversionReport",
    "Engine",
    "TrainingReport",
    "Verdict",
    "__version__",
    "convert",
    "load",
    "train",
    "verify",
]

_HOMES = {
    "Budgets": "edge_lstm.harness.verdict",
    "ConversionReport": "edge_lstm.conversion_report",
    "Engine": "edge_lstm.engines.protocol",
    "TrainingReport": "edge_lstm.training.train",
    "Verdict": "edge_lstm.harness.verdict",
    "convert": "edge_lstm.conversion",
    "load": "edge_lstm.engines",
    "train": "edge_lstm.training.train",
    "verify": "edge_lstm.harness.verdict",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edge_lstm' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
