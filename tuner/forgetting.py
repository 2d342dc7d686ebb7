"""A trial that ended leaves its generators, and nothing that training would go on from.

Discriminators, optimizers' moments and the gradients in them are covered by the guarantee like everything else that
noise was added to. But nobody needs them any more, and what is not there cannot be attacked.
"""

from __future__ import annotations

from typing import Any

from pyarrow import fs
from ray.tune import Callback
from ray.tune.experiment import Trial

from trainables.trial import STATE_FILE

STATES_KEPT = 2


class Forgetting(Callback):
    """Removes the state of each trial when it ends, and older ones while it trains."""

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It would go on from here; or, if this process is killed before that is written down, from the one before."""
        kept = trial.run_metadata.checkpoint_manager
        for saved in kept.best_checkpoint_results[-STATES_KEPT - 1 : -STATES_KEPT] if kept else ():
            if saved.checkpoint is not None:
                _remove(saved.checkpoint.filesystem, f"{saved.checkpoint.path}/{STATE_FILE}")

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It will not go on."""
        kept = trial.run_metadata.checkpoint_manager
        for saved in kept.best_checkpoint_results if kept else ():
            checkpoint = saved.checkpoint
            if checkpoint is not None:
                _remove(checkpoint.filesystem, f"{checkpoint.path}/{STATE_FILE}")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Nor will it after its last failure."""
        self.on_trial_complete(iteration, trials, trial, **info)


def forget_states(experiment: str) -> None:
    """Remove what is left of the states of an experiment's trials, which have all ended.

    Args:
        experiment: its directory, a path or URI.
    """
    files, path = fs.FileSystem.from_uri(experiment)
    for found in files.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True)):
        if found.base_name == STATE_FILE:
            _remove(files, found.path)


def _remove(files: fs.FileSystem, path: str) -> None:
    if files.get_file_info(path).type == fs.FileType.File:
        files.delete_file(path)
