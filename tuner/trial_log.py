"""Has Ray Tune write what is read of its trials afterwards to a file of the study's own."""

from __future__ import annotations

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from analysis.epochs import reported
from trainables.trial_log import Ended, SavedEpoch, TrialLog


class LoggedTrials(Callback):
    """Logs each scored epoch when it has been saved, and each trial that ends; and where they are shown, its losses.

    Give it to Tune before ``Snapshots``: what Tune goes on from is then never ahead of the log, and an epoch that is
    redone after a kill is logged once more.

    Args:
        file: see ``TrialLog``.
        losses: file of mean losses of both networks since the scored epoch before, a line of JSON each. Internal.
    """

    def __init__(self, file: Path, losses: Path) -> None:
        self._log, self._losses = TrialLog(file), losses

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """An epoch can generate from now on."""
        kept = trial.run_metadata.checkpoint_manager
        saved = kept.latest_checkpoint_result if kept else None
        if saved is None or saved.checkpoint is None:
            return
        folder = PurePosixPath(saved.checkpoint.path)
        report = {name: saved.metrics[name] for name in reported() if name in saved.metrics}
        self._log.append(
            SavedEpoch(
                trial=trial.trial_id,
                folder=folder.parent.name,
                checkpoint=folder.name,
                config=plain(trial.config),
                report=plain(report),
            )
        )

        self._keep_losses(trial.trial_id, saved.metrics)

    def _keep_losses(self, trial: str, metrics: dict[str, Any]) -> None:
        means = {network: metrics.get(f"{network}_loss", math.nan) for network in ("discriminator", "generator")}
        if not all(map(math.isfinite, means.values())):
            return
        self._losses.parent.mkdir(exist_ok=True)
        with self._losses.open("a") as file:
            print(json.dumps({"trial": trial, "epoch": metrics["epoch"], **plain(means)}), file=file)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It came to its end, or was stopped."""
        self._log.append(Ended(trial=trial.trial_id, ended="completed"))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It failed for the last time."""
        self._log.append(Ended(trial=trial.trial_id, ended="failed"))


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same in JSON's own types; numpy's numbers are what else there is."""
    found: dict[str, Any] = json.loads(json.dumps(values, default=lambda value: value.item()))
    return found
