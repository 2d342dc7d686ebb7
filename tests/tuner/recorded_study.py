"""`tuner/run.py`, except that what is run on participants is also written down apart from the ledger.

Run as ``python -m tests.tuner.recorded_study FILE ARGUMENTS...``; FILE gets one line of JSON for every segment of
training that was begun and every score that was computed, synced before the process goes on.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tuner.phases
from privacy import Policy, TrainingCharge
from tuner.run import main


@dataclass(frozen=True)
class Recording:
    """A policy that also writes down what it let through, in whichever process that was."""

    policy: Policy
    file: str

    @property
    def reads_participants(self) -> bool:
        return self.policy.reads_participants

    def training(self, trial: str, charge: TrainingCharge, epochs: str, cohort: Any) -> Any:
        reading = self.policy.training(trial, charge, epochs, cohort)
        figures = [charge.sampling_rate, charge.noise_multiplier, charge.steps]
        write(self.file, what="train", trial=trial, charge=figures)
        return reading

    def scores(self, trial: str, epoch: int, cohort: Any, judge: Any) -> Any:
        scores = self.policy.scores(trial, epoch, cohort, judge)
        write(self.file, what="score", trial=trial)
        return scores


def write(file: str, **fields: Any) -> None:
    """One more line, durably."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (json.dumps(fields) + "\n").encode())
    os.fsync(descriptor)
    os.close(descriptor)


def recorded(file: str) -> None:
    """Have every plan of trials on real participants carry a policy that records."""
    planned = tuner.phases._paid_plan

    def recording_plan(*arguments: Any) -> Any:
        plan = planned(*arguments)
        return replace(plan, policy=Recording(plan.policy, file))

    tuner.phases._paid_plan = recording_plan


if __name__ == "__main__":
    from tests.tuner import recorded_study  # so that Ray's workers find the class under its own name

    recorded_study.recorded(str(Path(sys.argv[1]).resolve()))
    sys.exit(main(sys.argv[2:]))
