"""``edge-lstm run`` as a function: a file of sequences through an engine to a file of answers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converters.errors import InputError
from edge_lstm.device.line import DEFAULT_BAUD
from edge_lstm.engines import load
from edge_lstm.engines.keras_model import KerasEngine
from edge_lstm.files import write_files
from edge_lstm.harness.alarms import RangeAlarm, range_alarms
from edge_lstm.harness.metrics import Latency, Score, latency, score
from edge_lstm.harness.streaming import Run, run_keras, run_sequences
from edge_lstm.sequences import Sequences, pack_arrays, read_sequences

__all__ = ["Prediction", "predict_file", "summarize"]


@dataclass(frozen=True)
class Prediction:
    """A run and what it is worth. ``score`` is None without labels."""

    run: Run
    sequences: int
    latency: Latency | None
    score: Score | None
    alarms: tuple[RangeAlarm, ...]

    def to_json(self) -> dict[str, Any]:
        """For ``run --json``."""
        return {
            "schema_version": 1,
            "engine": self.run.engine,
            "description": self.run.description,
            "sequences": self.sequences,
            "steps": self.run.steps,
            "seconds": self.run.seconds,
            "latency": None if self.latency is None else asdict(self.latency),
            "score": None if self.score is None else asdict(self.score),
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "device": None if self.run.device is None else asdict(self.run.device),
        }


def predict_file(
    model: Path,
    data: Path,
    *,
    engine: str,
    keras_model: Path | None = None,
    port: str | None = None,
    baud: int = DEFAULT_BAUD,
    every_step: bool = False,
    output: Path | None = None,
) -> Prediction:
    """Run the sequences of ``data`` and write ``output`` (.npz: output, raw) if it is given."""
    sequences = read_sequences(data)
    source = f"'{data}'"
    if output is not None and output.suffix != ".npz":
        raise InputError(f"'{output}': answers are written as .npz; give a name that ends so")
    if engine == "keras":
        if keras_model is None:
            raise InputError("the engine keras needs the Keras model: give it with --model")
        if every_step:
            raise InputError(
                "--every-step: Keras answers whole sequences; leave it out or take another engine"
            )
        run = run_keras(KerasEngine(keras_model), sequences, source=source)
        prediction = summarize(run, sequences, ())
    else:
        with closing(load(model, engine, port=port, baud=baud)) as loaded:
            network = loaded.network
            run = run_sequences(loaded, sequences, every_step=every_step, source=source)
        raw = run.raw if run.raw is not None else np.empty(0, np.int8)
        prediction = summarize(run, sequences, range_alarms(network, sequences, raw))
    if output is not None:
        arrays = {"output": run.output} | ({} if run.raw is None else {"raw": run.raw})
        write_files({output: pack_arrays(arrays)})
    return prediction


def summarize(run: Run, sequences: Sequences, alarms: tuple[RangeAlarm, ...]) -> Prediction:
    """Latency and score of a run."""
    return Prediction(
        run=run,
        sequences=len(sequences),
        latency=latency(run),
        score=score(run.output, sequences),
        alarms=alarms,
    )
