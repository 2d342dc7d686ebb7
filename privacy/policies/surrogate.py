"""The surrogate: participants drawn from noisy moments, bought once, on whom a search is free."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from cohorts import Cohort, Encoding, Participants, Schema, SplitShares
from privacy.accounting.dpsgd import TrainingCharge
from privacy.ledger.charge import Charge
from privacy.ledger.reading import Reading
from privacy.mechanisms.moments import ClassMoments, NoisyMoments, surrogate_cohort
from privacy.policies.policy import Books, Judge

PURPOSE = "buy noisy moments for the surrogate"
# Participants are drawn from released numbers, so anyone may draw the same ones again.
PUBLIC_SEED = 0


def buy_moments(study: str, books: Books, mechanism: NoisyMoments, cohort: Cohort) -> tuple[ClassMoments, ClassMoments]:
    """Pay for the moments of both label classes, then release them.

    Args:
        study: name of the study, which declared a budget.
        books: the cohort's ledger.
        mechanism: releases the moments.
        cohort: the training participants.

    Raises:
        BudgetExhausted: they do not fit.
    """
    reading = books.read(cohort, Charge(mechanism.event, "train", study, PURPOSE))
    people = reading.participants
    return mechanism.release(Encoding(cohort.schema).encode(people.values), people.labels)


def keep_moments(moments: tuple[ClassMoments, ClassMoments], file: Path) -> None:
    """Write moments that were bought, whole or not at all; they may be looked at."""
    content = [{"mean": each.mean.tolist(), "covariance": each.covariance.tolist()} for each in moments]
    partial = file.with_name(file.name + ".partial")
    partial.write_text(json.dumps(content) + "\n")
    partial.replace(file)


def kept_moments(file: Path) -> tuple[ClassMoments, ClassMoments]:
    """Moments that ``keep_moments`` wrote."""
    first, second = (
        ClassMoments(np.array(each["mean"]), np.array(each["covariance"])) for each in json.loads(file.read_text())
    )
    return first, second


@dataclass(frozen=True)
class Surrogate:
    """Surrogate participants in the place of those who train and those who validate."""

    train: Participants
    validation: Participants

    @classmethod
    def of(cls, moments: tuple[ClassMoments, ClassMoments], schema: Schema, shares: SplitShares) -> Surrogate:
        """As many participants as the two splits have nominally; the same ones every time."""
        randomness = np.random.default_rng(PUBLIC_SEED)
        train, validation = (
            surrogate_cohort(moments, schema, round(schema.nominal_size * share), randomness)
            for share in (shares.train, shares.validation)
        )
        return cls(train, validation)


@dataclass(frozen=True)
class OnSurrogate:
    """Searching on surrogate participants: they are released already, so nothing is charged and nothing needs noise."""

    reads_participants: ClassVar[bool] = False

    def training(self, trial: str, charge: TrainingCharge, epochs: str, cohort: Participants) -> Reading:
        """Read surrogate participants."""
        return Reading(cohort, None)

    def scores(self, trial: str, epoch: int, cohort: Participants, judge: Judge) -> tuple[dict[str, float], None]:
        """Exact scores on surrogate participants."""
        return judge.exact(cohort), None
