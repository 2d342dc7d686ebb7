"""The surrogate: participants drawn from noisy moments, bought once, on whom a search is free."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from cohorts import Encoding, Participants, Schema, SplitShares, storage
from privacy.ledger.charge import Purpose
from privacy.ledger.reading import M, Reading
from privacy.mechanisms.moments import ClassMoments, NoisyMoments, surrogate_cohort
from privacy.policies.policy import PUBLIC_SEED, Door, Judge

MOMENTS_FILE = "surrogate.json"


def buy_moments(door: Door, mechanism: NoisyMoments) -> list[ClassMoments]:
    """Pay for the moments of each label class, then release them.

    Args:
        door: of the study, which declared a budget.
        mechanism: releases the moments.

    Raises:
        BudgetExhausted: they do not fit.
    """
    purpose = Purpose(door.study, "buy noisy moments for the surrogate")
    reading = door.ledger.read(door.splits.train, mechanism, purpose)
    people = reading.participants
    products = reading.mechanism.release(Encoding(door.schema).encode(people.values), people.labels)
    return [each.moments for each in products]


def keep_moments(moments: Sequence[ClassMoments], file: Path) -> None:
    """Write moments that were bought, whole or not at all; they may be looked at."""
    content = [{"mean": each.mean.tolist(), "covariance": each.covariance.tolist()} for each in moments]
    storage.write_text(file, json.dumps(content) + "\n")


def kept_moments(file: Path) -> list[ClassMoments]:
    """Moments that ``keep_moments`` wrote."""
    content = json.loads(file.read_text())
    return [ClassMoments(np.array(each["mean"]), np.array(each["covariance"])) for each in content]


@dataclass(frozen=True)
class OnSurrogate:
    """Searching on surrogate participants: they are released already, so nothing is charged and nothing needs noise.

    Args:
        train: as many as the training split has nominally.
        validation: likewise.
    """

    train: Participants
    validation: Participants

    reads_participants: ClassVar[bool] = False
    shows_losses: ClassVar[bool] = False

    @classmethod
    def of(cls, moments: Sequence[ClassMoments], schema: Schema, shares: SplitShares) -> OnSurrogate:
        """Surrogate participants; the same ones every time."""
        randomness = np.random.default_rng(PUBLIC_SEED)
        train, validation = (
            surrogate_cohort(moments, schema, round(schema.nominal_size * share), randomness)
            for share in (shares.train, shares.validation)
        )
        return cls(train, validation)

    def training(self, trial: str, mechanism: M, words: str) -> Reading[M]:
        """Read surrogate participants."""
        return Reading(self.train, mechanism, None)

    def scores(self, trial: str, epoch: int, judge: Judge) -> tuple[dict[str, float], None]:
        """Exact scores on surrogate participants."""
        return judge.exact(self.validation), None
