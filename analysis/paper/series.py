"""What figures set beside real participants: the epochs of studies, apart by whether they trained with noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch

from analysis.ensemble import generate
from analysis.epochs import ScoredEpoch, releasable_epochs
from analysis.errors import AnalysisError
from analysis.picking import picked
from analysis.sealing import is_sealed, verified_ledger
from analysis.selection import Selection, pickers, ranked
from analysis.study import StudyDirectory, StudySettings
from cohorts import Participants, Schema, resolve_schema
from privacy.policies import policy_named

NON_PRIVATE, TOO_LITTLE, PRIVATE = "non-private", "noise as published", "private"
KINDS = (NON_PRIVATE, TOO_LITTLE, PRIVATE)
"""How epochs were trained: without noise, with the paper's own, which was far too little, or with an epsilon."""


@dataclass(frozen=True)
class Series:
    """Scored epochs of one study that were all trained in the same one of ``KINDS``.

    Args:
        name: as legends have it.
        directory: of the study.
        settings: what it was asked to do.
        schema: of its cohort.
        epochs: those that its release could have been made of.
        selection: the picked ones among them.
        private: whether their training has an epsilon.
    """

    name: str
    directory: StudyDirectory
    settings: StudySettings
    schema: Schema
    epochs: Sequence[ScoredEpoch]
    selection: Selection
    private: bool

    @property
    def picked(self) -> tuple[ScoredEpoch, ...]:
        """Every picked epoch, once for each time it was picked."""
        return tuple(pick.epoch for pick in self.selection.picks)


@dataclass(frozen=True)
class Chosen:
    """An epoch that a panel shows.

    Args:
        epoch: which; None where every epoch of the series stands in another panel already.
        rank: its place in the panel's ranking, from 1.
    """

    epoch: ScoredEpoch | None
    rank: int = 1


def series_of(directories: Sequence[StudyDirectory]) -> tuple[Series, ...]:
    """The series of some studies of one cohort, those without noise first.

    Raises:
        AnalysisError: a study cannot be read, its release is not sealed, or the studies do not go together.
    """
    distinct = {each.path.resolve(): each for each in directories}
    found = [each for directory in distinct.values() for each in _of_study(directory)]
    require_one_cohort(found)
    found.sort(key=lambda each: KINDS.index(each.name))
    names = Counter(each.name for each in found)
    return tuple(
        replace(each, name=f"{each.name} ({each.settings.study})") if names[each.name] > 1 else each for each in found
    )


def require_one_cohort(found: Sequence[Series]) -> None:
    """Raise AnalysisError unless all series are of the same participants, divided in the same way."""
    first = found[0]
    for other in found[1:]:
        if other.schema != first.schema:
            raise AnalysisError(
                f"{first.directory.path} and {other.directory.path} are studies of different cohorts "
                f"({first.schema.name} and {other.schema.name}), or of a schema that was changed. Make a page of each."
            )
        if (other.settings.data_dir, other.settings.ledger) != (first.settings.data_dir, first.settings.ledger):
            raise AnalysisError(
                f"{first.directory.path} and {other.directory.path} name different files (--data) or ledgers "
                "(--ledger), so their participants need not be the same. Make a page of each."
            )
        if not math.isclose(other.settings.shares.test, first.settings.shares.test):
            raise AnalysisError(
                f"{first.directory.path} and {other.directory.path} keep different participants for the test, so their "
                "accuracies cannot be set side by side. Make a page of each."
            )


def shown_epochs(series: Series) -> dict[str, Chosen]:
    """The epochs of the single panels of figure 2: the last of the best trial, then the best by each classifier.

    None is shown twice: where the best stands in an earlier panel, the next best is taken.

    Returns:
        By ``last`` and each classifier's name.
    """
    shown = {"last": Chosen(series.selection.last)}
    for classifier in pickers(series.epochs):
        taken = {_key(each.epoch) for each in shown.values() if each.epoch is not None}
        ranking = enumerate(ranked(series.epochs, classifier), 1)
        shown[classifier] = next(
            (Chosen(each, rank) for rank, each in ranking if _key(each) not in taken), Chosen(None)
        )
    return shown


def draw(epochs: Sequence[ScoredEpoch], participants: int, schema: Schema, randomness: torch.Generator) -> Participants:
    """An equal number of participants from every picked epoch, shuffled together, as in the paper.

    Args:
        epochs: the picked ones; one that was picked twice gives two shares.
        participants: how many in all.
        schema: of the cohort.
        randomness: to draw from.
    """
    shares = Counter(map(_key, epochs))
    distinct = {_key(each): each for each in epochs}
    each_pick = math.ceil(participants / len(epochs))
    parts = [generate(distinct[key], times * each_pick, schema, randomness) for key, times in shares.items()]
    together = Participants.together(parts)
    order = torch.randperm(len(together), generator=randomness).numpy()[:participants]
    return together.take(np.asarray(order))


def _of_study(directory: StudyDirectory) -> Iterable[Series]:
    settings = directory.settings()
    schema, declared = resolve_schema(settings.cohort), directory.declared_plan()
    epochs = releasable_epochs(directory, settings, schema, policy_named(settings.policy).stages(declared)[-1])
    _, ledger = verified_ledger(directory, settings, epochs)
    with closing(ledger):
        if not is_sealed(directory, settings, ledger):
            raise AnalysisError(
                f"The study {settings.study} has no sealed release, and real participants are looked at only after one "
                f"was drawn. Build it first: python -m analysis {directory.path}"
            )
        for name in KINDS:
            own = [each for each in epochs if _kind(each) == name]
            if own:
                selection = picked(own, settings, declared, ledger)
                yield Series(name, directory, settings, schema, own, selection, name == PRIVATE)


def _kind(epoch: ScoredEpoch) -> str:
    """Whether an epoch was trained with noise, and with enough of it for an epsilon."""
    if math.isfinite(epoch.epsilon):
        return PRIVATE
    return TOO_LITTLE if epoch.config.get("noise_multiplier") else NON_PRIVATE


def _key(epoch: ScoredEpoch) -> tuple[str, int]:
    return epoch.trial_id, epoch.epoch
