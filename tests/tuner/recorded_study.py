"""`tuner/run.py`, except that what is run on participants is also written down apart from the ledger.

Run as ``python -m tests.tuner.recorded_study FILE ARGUMENTS...``; FILE gets one line of JSON for every segment of
training that was begun and every score that was computed, synced before the process goes on.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.run import main

if TYPE_CHECKING:
    from privacy.policies import Access

UNWATCHED = "UNWATCHED"
"""Variable of the environment with which there are no dashboards and no pictures."""


@dataclass(frozen=True)
class Recording:
    """An access that also writes down what it let through, in whichever process that was."""

    access: Access
    file: str

    @property
    def reads_participants(self) -> bool:
        return self.access.reads_participants

    @property
    def shows_losses(self) -> bool:
        return self.access.shows_losses

    def training(self, trial: str, mechanism: Any, words: str) -> Any:
        reading = self.access.training(trial, mechanism, words)
        figures = [mechanism.sampling_rate, mechanism.noise_multiplier, mechanism.steps]
        write(self.file, what="train", trial=trial, charge=figures)
        return reading

    def scores(self, trial: str, epoch: int, judge: Any) -> Any:
        scores = self.access.scores(trial, epoch, judge)
        write(self.file, what="score", trial=trial)
        return scores


def write(file: str, **fields: Any) -> None:
    """One more line, durably."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (json.dumps(fields) + "\n").encode())
    os.fsync(descriptor)
    os.close(descriptor)


def recorded(file: str) -> None:
    """Have every plan of trials on real participants carry an access that records."""
    import tuner.phases  # takes long, and this process may be interrupted meanwhile

    planned = tuner.phases.TrialPlan

    def recording_plan(access: Access, **others: Any) -> Any:
        return planned(access=Recording(access, file) if access.reads_participants else access, **others)

    tuner.phases.TrialPlan = recording_plan


def unwatched() -> None:
    """Start no dashboard and draw no picture, which take longer than the study."""
    import ray
    from matplotlib.figure import Figure

    import tuner.study
    from tests.blank_pictures import save_blank
    from tests.tuner.commands import nobody_watches

    start = ray.init
    ray.init = lambda **options: start(**{**options, "include_dashboard": False})
    tuner.study.dashboards = nobody_watches
    Figure.savefig = save_blank


if __name__ == "__main__":
    from tests.tuner import recorded_study  # so that Ray's workers find the class under its own name

    try:
        recorded_study.recorded(str(Path(sys.argv[1]).resolve()))
        if UNWATCHED in os.environ:
            recorded_study.unwatched()
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main(sys.argv[2:]))
