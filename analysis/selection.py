"""Which epochs the release is made of: the best by random forest and the best by logistic regression.

An epoch that is among the best of both lists is in both, and generates a share for each, as in the paper. So
there are always as many picks as asked for while the study has that many scored epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.epochs import ScoredEpoch, last_epochs
from privacy import TrainingCharge, epsilon

PICKS_PER_CLASSIFIER = 5
# Of few scored epochs not all are good: at most one in so many is picked.
ONE_IN = 4
CLASSIFIERS = ("random_forest", "logistic_regression")


@dataclass(frozen=True)
class Selected:
    """A picked epoch.

    Args:
        epoch: the epoch.
        selected_by: classifier whose AUC on validation participants picked it.
    """

    epoch: ScoredEpoch
    selected_by: str


@dataclass(frozen=True)
class Selection:
    """The picked epochs, best first within each classifier, and what their trials' training costs.

    Args:
        picks: by random forest, then by logistic regression.
        last: last scored epoch of the trial with the best picked epoch (by the mean of both AUCs).
        trials_to_pay: how far every trial that gives something to the release has trained.
    """

    picks: tuple[Selected, ...]
    last: ScoredEpoch
    trials_to_pay: tuple[TrainingCharge, ...]

    def best_by(self, classifier: str) -> ScoredEpoch:
        """The first pick of a classifier."""
        return next(pick.epoch for pick in self.picks if pick.selected_by == classifier)

    def epsilon(self, delta: float) -> float:
        """Epsilon of the training of all chosen trials together."""
        return epsilon(self.trials_to_pay, delta)

    def winning_run_epsilon(self, delta: float) -> float:
        """Largest epsilon of a single chosen trial's training."""
        return max(epsilon([charge], delta) for charge in self.trials_to_pay)


def picks_among_few(epochs: Sequence[ScoredEpoch]) -> int:
    """How many epochs a classifier picks where a budget allowed only few to be scored."""
    return min(PICKS_PER_CLASSIFIER, max(1, len(epochs) // ONE_IN))


def select(epochs: Sequence[ScoredEpoch], per_classifier: int = PICKS_PER_CLASSIFIER) -> Selection:
    """Pick the best epochs of a study.

    A chosen trial is charged for all the training it was scored at, not only up to the picked epoch: its last
    epoch is shown in a figure of the release.

    Args:
        epochs: all scored epochs, at least one.
        per_classifier: how many to pick by each classifier; fewer where there are fewer epochs.

    Returns:
        The selection; ties go to the earlier epoch, then to the trial's name.
    """
    picks = tuple(
        Selected(epoch, classifier)
        for classifier in CLASSIFIERS
        for epoch in _best(epochs, f"auc_{classifier}", per_classifier)
    )
    last = last_epochs(epochs)
    chosen = sorted({pick.epoch.trial_id for pick in picks})
    best = max((pick.epoch for pick in picks), key=_mean_auc)
    return Selection(picks, last[best.trial_id], tuple(last[trial].charge for trial in chosen))


def _best(epochs: Iterable[ScoredEpoch], score: str, count: int) -> list[ScoredEpoch]:
    return sorted(epochs, key=lambda epoch: (-epoch.scores[score], epoch.epoch, epoch.trial_id))[:count]


def _mean_auc(epoch: ScoredEpoch) -> float:
    return sum(epoch.scores[f"auc_{classifier}"] for classifier in CLASSIFIERS) / len(CLASSIFIERS)
