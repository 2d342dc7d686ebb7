"""The surrogate: participants drawn from noisy moments, bought once, on whom a search is free."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cohorts import Encoding, Participants, Schema, SplitShares
from privacy.ledger.reading import M, Reading
from privacy.mechanisms.moments import ClassMoments, NoisyMoments, surrogate_cohort
from privacy.policies.bought import MOMENTS_FILE, bought_once
from privacy.policies.policy import PUBLIC_SEED, Door, Judge


def buy_moments(door: Door, mechanism: NoisyMoments) -> list[ClassMoments]:
    """The moments of each label class that a study bought, now or when it began; they may be looked at.

    Errors are those of ``bought_once``.

    Args:
        door: of the study, which declared a budget.
        mechanism: releases the moments.
    """

    def release(reading: Reading[NoisyMoments]) -> str:
        people = reading.participants
        products = reading.mechanism.release(Encoding(door.schema).encode(people.values), people.labels)
        moments = [each.moments for each in products]
        content = [{"mean": each.mean.tolist(), "covariance": each.covariance.tolist()} for each in moments]
        return json.dumps(content) + "\n"

    words = "buy noisy moments for the surrogate"
    content = json.loads(bought_once(door, MOMENTS_FILE, [door.splits.train], mechanism, words, release))
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
