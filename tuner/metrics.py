"""A study's paid-for figures among Ray's own metrics, for Prometheus and Grafana (``clusters/grafana.json``)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.util.metrics import Gauge

BEST, TRIALS, EPOCHS, BUDGET = (
    f"dpgan_tune_{what}" for what in ("best_score", "trials", "scored_epochs", "declared_epsilon")
)
"""Names of metrics; Ray puts ``ray_`` before them."""


class StudyMetrics(Callback):
    """Sets what is shown of a study's present search. Give it to Tune within ``PaidFor``, so that it is handed no more.

    Args:
        study: the study's name.
        epsilon: that the study declared; None where it declared none.
    """

    def __init__(self, study: str, epsilon: float | None) -> None:
        self._of = {"study": study}
        self._best, self._epochs = -math.inf, 0
        self._best_score = self._gauge(BEST, "Best score of any epoch since the study was begun or gone on with")
        self._scored = self._gauge(EPOCHS, "Epochs scored since then, of all trials")
        self._trials = self._gauge(TRIALS, "Trials by state", "state")
        if epsilon is not None:
            self._gauge(BUDGET, "Epsilon that the study declared").set(epsilon)

    def _gauge(self, name: str, description: str, *more: str) -> Gauge:
        gauge = Gauge(name, description=description, tag_keys=(*self._of, *more))
        gauge.set_default_tags(self._of)
        return gauge

    def setup(self, *arguments: Any, **info: Any) -> None:
        """A search begins, whose scores are not to be compared with those of the one before."""
        self._best, self._epochs = -math.inf, 0

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: Mapping[str, Any], **info: Any
    ) -> None:
        """A trial was scored."""
        self._epochs += 1
        self._scored.set(self._epochs)
        if result.get("score", -math.inf) > self._best:
            self._best = float(result["score"])
            self._best_score.set(self._best)
        self._count(trials)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial began."""
        self._count(trials)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """The search ended."""
        self._count(trials)

    def _count(self, trials: list[Trial]) -> None:
        states = Counter(each.status for each in trials)
        for state in (Trial.PENDING, Trial.RUNNING, Trial.TERMINATED, Trial.ERROR):
            self._trials.set(states[state], {"state": state.lower()})
