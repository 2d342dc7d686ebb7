"""Which epochs the release is made of: the best by each classifier that steers the search.

An epoch that is among the best of several lists is in each, and generates a share for each, as in the paper. So
there are always as many picks as asked for while the study has that many scored epochs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dp_accounting

from analysis.epochs import ScoredEpoch, last_epochs, steering_scores
from trainables.scoring import steering

PICKS_PER_CLASSIFIER = 5


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
        picks: by each classifier in turn.
        last: last scored epoch of the trial with the best picked epoch (by the mean of all AUCs).
        training: what every trial that gives something to the release has run on participants.
    """

    picks: tuple[Selected, ...]
    last: ScoredEpoch
    training: tuple[dp_accounting.DpEvent, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of which epochs were picked, by which classifier; hexadecimal."""
        named = [(pick.epoch.trial_id, pick.epoch.epoch, pick.selected_by) for pick in self.picks]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()

    def best_by(self, classifier: str) -> ScoredEpoch:
        """The first pick of a classifier."""
        return next(pick.epoch for pick in self.picks if pick.selected_by == classifier)


def select(epochs: Sequence[ScoredEpoch], per_classifier: int | None = None) -> Selection:
    """Pick the best epochs of a study.

    A chosen trial is charged for all the training it was scored at, not only up to the picked epoch: its last
    epoch is shown in a figure of the release.

    Args:
        epochs: all scored epochs, at least one.
        per_classifier: how many to pick by each classifier, fewer where there are fewer epochs; None for as many as
            the paper did.

    Returns:
        The selection; ties go to the earlier epoch, then to the trial's name.
    """
    picks = tuple(
        Selected(epoch, classifier)
        for classifier in steering()
        for epoch in ranked(epochs, classifier)[: per_classifier or PICKS_PER_CLASSIFIER]
    )
    last = last_epochs(epochs)
    chosen = sorted({pick.epoch.trial_id for pick in picks})
    best = max((pick.epoch for pick in picks), key=_score)
    return Selection(picks, last[best.trial_id], tuple(last[trial].training for trial in chosen))


def ranked(epochs: Iterable[ScoredEpoch], classifier: str) -> list[ScoredEpoch]:
    """Epochs as a classifier ranks them, best first; ties go to the earlier epoch, then to the trial's name."""

    def rank(epoch: ScoredEpoch) -> tuple[float, int, str]:
        return _taken_off(epoch) - epoch.scores[f"auc_{classifier}"], epoch.epoch, epoch.trial_id

    return sorted(epochs, key=rank)


def _taken_off(epoch: ScoredEpoch) -> float:
    """By how much the policy's score is less than the mean AUC, because of something that no classifier sees."""
    return _mean_auc(epoch) - _score(epoch)


def _score(epoch: ScoredEpoch) -> float:
    """What the policy steered by: the mean AUC unless it said otherwise."""
    return epoch.scores.get("score", _mean_auc(epoch))


def _mean_auc(epoch: ScoredEpoch) -> float:
    return sum(epoch.scores[name] for name in steering_scores()) / len(steering_scores())
