"""`tuner/run.py`, except that what is run on participants is also written down apart from the ledger.

Run as ``python -m tests.tuner.recorded_study FILE ARGUMENTS...``; FILE gets one line of JSON for every stretch of
training that was begun and every score that was computed, synced before the process goes on.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trainables.trial
import tuner.study
from trainables.candidate import Candidate, TrialPlan
from trainables.engine import Engine
from tuner.run import main

RECORD = "DPGAN_TUNE_TEST_RECORD"


def write(file: str, **fields: Any) -> None:
    """One more line, durably."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (json.dumps(fields) + "\n").encode())
    os.fsync(descriptor)
    os.close(descriptor)


def recorded(file: str) -> type[trainables.trial.DPGANTrial]:
    """The trial that writes down what it does; Ray carries the class to its workers as it is."""

    class RecordedCandidate(Candidate):
        def _new_engine(self) -> Engine:
            engine = super()._new_engine()
            train, run = engine.train, self.hyperparameters

            def recording(data: Any, steps: int, streams: Any) -> None:
                charge = [run.sampling_rate, run.noise_multiplier, steps]
                write(file, what="train", trial=self.name, charge=charge)
                train(data, steps, streams)

            engine.train = recording  # type: ignore[method-assign]
            return engine

        def score(self) -> dict[str, float]:
            metrics = super().score()
            write(file, what="score", trial=self.name)
            return metrics

    class RecordedTrial(trainables.trial.DPGANTrial):
        def setup(self, config: Mapping[str, Any], plan: TrialPlan) -> None:
            trainables.trial.Candidate = RecordedCandidate
            super().setup(config, plan)

    return RecordedTrial


if __name__ == "__main__":
    tuner.study.DPGANTrial = recorded(str(Path(sys.argv[1]).resolve()))
    sys.exit(main(sys.argv[2:]))
