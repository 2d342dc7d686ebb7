"""A small study on a cluster, killed at a chosen moment: run by test_resume.py in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tuner.quiet import quiet_ray

QUIET = quiet_ray()

import ray  # noqa: E402
from ray import cloudpickle, tune  # noqa: E402

from search_spaces import Domain, load_search_space  # noqa: E402
from tests.shared_ray import SharedRay  # noqa: E402
from tuner.asha import SavedRungs, StudyASHA, rungs  # noqa: E402
from tuner.optuna_search import StudySearch  # noqa: E402
from tuner.snapshot import Snapshots, put_back, seal_of  # noqa: E402

TRIALS = 9
MAX_EPOCHS = 27
SPACE = "x: {uniform: [0, 1]}\nslope: {log_uniform: [0.1, 10]}\n"
DOMAINS = {"x": Domain("float"), "slope": Domain("float")}


class Bump(tune.Trainable):
    """Scores a configuration by how near its x is to 0.3, better with every epoch."""

    def setup(self, config: dict[str, Any]) -> None:
        self._epoch = 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._epoch = 0
        return True

    def step(self) -> dict[str, Any]:
        self._epoch = next(epoch for epoch in rungs(MAX_EPOCHS) if epoch > self._epoch)
        score = 1 - (self.config["x"] - 0.3) ** 2 - self.config["slope"] / 100 / self._epoch
        return {
            "epoch": self._epoch,
            "planned_epochs": MAX_EPOCHS,
            "score": score,
            "done": self._epoch == MAX_EPOCHS,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "epoch").write_text(str(self._epoch))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self._epoch = int(Path(checkpoint_dir, "epoch").read_text())


class Fate:
    """Ends this process, and all of its group, at the given occurrence of an event."""

    def __init__(self, event: str, count: int) -> None:
        self._event, self._left = event, count

    def meet(self, event: str) -> None:
        if event == self._event:
            self._left -= 1
            if self._left == 0:
                os.killpg(0, signal.SIGINT if event == "interrupt" else signal.SIGKILL)


class Receipt(tune.Callback):
    """Writes down what happened, and lets fate act on it."""

    def __init__(self, file: Path, fate: Fate) -> None:
        self._file, self._fate = file, fate

    def _write(self, event: str, trial: Any, epoch: int) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps([event, trial.trial_id, epoch]) + "\n")

    def on_trial_result(self, *, trial: Any, result: dict[str, Any], **info: Any) -> None:
        self._write("report", trial, result["epoch"])
        self._fate.meet("result")
        self._fate.meet("interrupt")

    def on_trial_save(self, **info: Any) -> None:
        self._fate.meet("save")

    def on_trial_complete(self, *, trial: Any, **info: Any) -> None:
        self._write("end", trial, trial.last_result["epoch"])


class FatefulSearch(StudySearch):
    """May die when Optuna has a new trial and Tune has not."""

    def __init__(self, *arguments: Any, fate: Fate, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._fate = fate

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        suggestion = super().suggest(trial_id)
        self._fate.meet("suggest")
        return suggestion


def run(directory: Path, fate: Fate) -> bool:
    """Run the study, or go on with it, until it is finished (True) or fate strikes."""
    (directory / "bump.yaml").write_text(SPACE)
    space = load_search_space(directory / "bump.yaml", DOMAINS)
    snapshot = directory / "trials.snapshot"
    resume, seal = snapshot.exists(), seal_of("bump", "trials")
    if resume:
        put_back(snapshot, str(directory / "trials"), seal)
    scheduler = StudyASHA(MAX_EPOCHS)
    search = FatefulSearch(space, directory / "study.db", "bump", seed=1, startup_trials=4, fate=fate)
    tune.run(
        Bump,
        name="trials",
        storage_path=str(directory),
        num_samples=TRIALS,
        search_alg=search,
        scheduler=scheduler,
        callbacks=[
            SavedRungs(scheduler, resume),
            Snapshots(scheduler, snapshot, seal),
            Receipt(directory / "events.jsonl", fate),
        ],
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        resume_config=tune.ResumeConfig() if resume else None,
        max_concurrent_trials=1,
        reuse_actors=True,
        raise_on_failed_trial=False,
        verbose=0,
    )
    return search.ended == TRIALS


def main(directory: Path, fate: Fate, shared_ray: SharedRay) -> None:
    """Run it in this process; what is said goes to ``stdout`` and ``stderr`` in the directory."""
    os.setsid()  # who strikes this process strikes no other
    for stream in (sys.stdout, sys.stderr):
        file = os.open(directory / stream.name.strip("<>"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream.fileno())
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the trials' process has less to import
    with shared_ray.let_in() as address:
        ray.init(address, **QUIET)
        if not run(directory, fate):
            print("interrupted", flush=True)
        ray.shutdown()  # a forked process does not do so when it ends
