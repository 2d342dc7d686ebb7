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
import numpy as np

from analysis.epochs import ScoredEpoch, last_epochs, steering_scores
from privacy.statements.unaccounted_search import PAPERS_EPSILON, PAPERS_SIZE
from trainables.scoring import steering

PICKS_PER_CLASSIFIER = 5
MISFIT = "misfit"
"""What picks epochs where there is no label that a classifier could predict."""


@dataclass(frozen=True)
class Selected:
    """A picked epoch.

    Args:
        epoch: the epoch.
        selected_by: classifier whose AUC on validation participants picked it; or the misfit.
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

    @property
    def best(self) -> dict[str, ScoredEpoch]:
        """The first pick of each classifier, by its name; or of the misfit."""
        best: dict[str, ScoredEpoch] = {}
        for pick in self.picks:
            best.setdefault(pick.selected_by, pick.epoch)
        return best


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
        for classifier in pickers(epochs)
        for epoch in ranked(epochs, classifier)[: per_classifier or PICKS_PER_CLASSIFIER]
    )
    return _selection(epochs, picks)


def select_noisily(epochs: Sequence[ScoredEpoch], noise: np.random.Generator) -> Selection:
    """Pick epochs as the paper did: by accuracy with Laplace noise, drawn anew for each pick.

    Args:
        epochs: all scored epochs, at least one.
        noise: to draw from.

    Source: Beaulieu-Jones et al. 2019, supplementary code (greenelab/SPRINT_gan), Analysis.ipynb, "noisy selection".
    """
    ordered = sorted(epochs, key=lambda epoch: (epoch.trial_id, epoch.epoch))
    picked: dict[str, list[int]] = {classifier: [] for classifier in steering()}
    size = PAPERS_SIZE
    for _ in range(min(PICKS_PER_CLASSIFIER, len(ordered))):
        for classifier, before in picked.items():
            accuracies = np.array([epoch.scores[f"accuracy_{classifier}"] for epoch in ordered])  # (epochs,)
            noisy = accuracies + noise.laplace(scale=1 / (PAPERS_EPSILON * size), size=len(ordered))
            noisy[before] = -np.inf
            before.append(int(noisy.argmax()))
            size -= 1
    return _selection(epochs, tuple(Selected(ordered[at], name) for name, places in picked.items() for at in places))


def _selection(epochs: Iterable[ScoredEpoch], picks: tuple[Selected, ...]) -> Selection:
    last = last_epochs(epochs)
    chosen = sorted({pick.epoch.trial_id for pick in picks})
    best = max((pick.epoch for pick in picks), key=_score)
    return Selection(picks, last[best.trial_id], tuple(last[trial].training for trial in chosen))


def pickers(epochs: Iterable[ScoredEpoch]) -> tuple[str, ...]:
    """What picks some of these epochs: each classifier that steers; or, where none scored them, the misfit."""
    names = tuple(steering())
    return names if any(f"auc_{name}" in epoch.scores for epoch in epochs for name in names) else (MISFIT,)


def picker_titles() -> dict[str, str]:
    """What epochs may be picked by, for people."""
    return {name: each.title for name, each in steering().items()} | {MISFIT: MISFIT}


def ranked(epochs: Iterable[ScoredEpoch], classifier: str) -> list[ScoredEpoch]:
    """Epochs as a classifier, or the misfit, ranks them, best first; ties go to the earlier, then by name."""

    def rank(epoch: ScoredEpoch) -> tuple[float, int, str]:
        own = _score(epoch) if classifier == MISFIT else epoch.scores[f"auc_{classifier}"] - _taken_off(epoch)
        return -own, epoch.epoch, epoch.trial_id

    return sorted(epochs, key=rank)


def _taken_off(epoch: ScoredEpoch) -> float:
    """By how much the policy's score is less than the mean AUC, because of something that no classifier sees."""
    return _mean_auc(epoch) - _score(epoch)


def _score(epoch: ScoredEpoch) -> float:
    """What the policy steered by: the mean AUC unless it said otherwise."""
    return epoch.scores["score"] if "score" in epoch.scores else _mean_auc(epoch)


def _mean_auc(epoch: ScoredEpoch) -> float:
    return sum(epoch.scores[name] for name in steering_scores()) / len(steering_scores())
