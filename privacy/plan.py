"""How a study divides its budget, decided from public numbers before anyone is read.

Training participants and validation participants are different people, so the declared epsilon is there for both:
what trains is paid on the training split, what scores on the validation split. The plan weighs them by the only thing
it may choose between them, which is how many participants each split has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import dp_accounting
from pydantic import BaseModel, ConfigDict, Field

from cohorts import Schema, SplitShares
from privacy.accounting import TrainingCharge
from privacy.budget import Budget, RenyiFilter, best_order, rdp_at
from privacy.calibration import fits_in, smallest_noise_multiplier
from privacy.charges import Split
from privacy.errors import PlanError
from privacy.moments import NoisyMoments
from privacy.schedule import Schedule
from privacy.scores import NoisyScores, public_floors
from privacy.steering import Steering

CLASSIFIERS = 2
"""Classifiers whose AUCs make up a score."""

Spent = Mapping[Split, dp_accounting.DpEvent | None]


class StudyPlan(BaseModel):
    """What a study under a declared budget will do. Every field is public.

    Args:
        policy: how it searches.
        epsilon: declared.
        delta: declared.
        shares: expected shares of participants in the three splits.
        paid: trials on real participants.
        free: trials on surrogate participants before; None without a surrogate.
        surrogate_share: share of the training participants' budget that buys the surrogate.
        sampling_rate: the one in the middle of the search space, by which the plan is made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Literal["surrogate", "composed"]
    epsilon: float = Field(gt=0, allow_inf_nan=False)
    delta: float = Field(gt=0, lt=1)
    shares: SplitShares
    paid: Schedule
    free: Schedule | None = None
    surrogate_share: float = Field(default=0, ge=0, lt=1)
    sampling_rate: float = Field(gt=0, le=1)

    @property
    def budget(self) -> Budget:
        """What will be declared."""
        return Budget(self.epsilon, self.delta)

    @property
    def pretraining(self) -> int:
        """Epochs that a trial trains without noise on surrogate participants before it is rehearsed or paid for."""
        return self.free.rungs[-1] - self.paid.rungs[-1] if self.free else 0

    def events(self, schema: Schema, spent: Spent) -> dict[Split, dp_accounting.DpEvent]:
        """What it means to run on each split, for the choice of the order it is declared at."""
        steps = math.ceil(self.paid.epochs * steps_per_epoch(self.sampling_rate))
        fits = fits_in(self.budget, 1 - self.surrogate_share, spent=spent.get("train"))
        noise = smallest_noise_multiplier(self.sampling_rate, steps, fits)
        train = TrainingCharge(self.sampling_rate, noise, steps).event
        return {"train": train, "validation": dp_accounting.ZCDpEvent(self._score_rho(spent) * self.paid.scores)}

    def steering(self, schema: Schema, spent: Spent) -> Steering:
        """How well scores with this plan's noise tell configurations apart."""
        floors = public_floors(schema, self.shares.validation)
        return Steering(NoisyScores.costing(floors, CLASSIFIERS, self._score_rho(spent)))

    def _score_rho(self, spent: Spent) -> float:
        """What one score may cost, in zCDP, at the order that is best for scores alone."""
        gone = spent.get("validation")
        order = best_order(self.budget, None, gone)
        left = self.budget.allowance(order) - (rdp_at(gone, order) if gone else 0.0)
        return max(left, 0.0) / order / self.paid.scores


class Prices(BaseModel):
    """What may be read for what, at the declared orders: fixed with the declaration, the same until the study ends.

    Args:
        train_order: Renyi order declared for the training participants.
        epoch: Renyi divergence of that order that one epoch of one trial may cost.
        surrogate_rho: what the surrogate costs, in zCDP; 0 without one.
        score_noise_sd: standard deviation of the noise on each AUC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_order: float
    epoch: float = Field(gt=0)
    surrogate_rho: float = Field(ge=0)
    score_noise_sd: float = Field(gt=0)

    @classmethod
    def of(cls, plan: StudyPlan, schema: Schema, declared: RenyiFilter) -> Prices:
        """Divide what a declaration leaves, by its plan.

        Raises:
            PlanError: it leaves nothing.
        """
        order, score_order = (declared.declaration.orders[split] for split in ("train", "validation"))
        left, score_left = declared.left("train"), declared.left("validation")
        if min(left, score_left) <= 0:
            raise PlanError(
                f"Earlier studies left nothing of epsilon {plan.epsilon:g}. Declare a larger --epsilon, which will "
                "cover them too."
            )
        floors = public_floors(schema, plan.shares.validation)
        rho = score_left / score_order / math.ceil(plan.paid.scores)
        return cls(
            train_order=order,
            epoch=(1 - plan.surrogate_share) * left / math.ceil(plan.paid.epochs),
            surrogate_rho=plan.surrogate_share * left / order,
            score_noise_sd=NoisyScores.costing(floors, CLASSIFIERS, rho).noise_sd,
        )

    def noise_multiplier(self, sampling_rate: float) -> float:
        """The noise at which an epoch at this sampling rate costs what an epoch may."""
        return smallest_noise_multiplier(
            sampling_rate,
            steps_per_epoch(sampling_rate),
            lambda event: rdp_at(event, self.train_order) <= self.epoch,
        )

    def scores(self, schema: Schema, shares: SplitShares) -> NoisyScores:
        """The mechanism of one epoch's scores."""
        return NoisyScores(public_floors(schema, shares.validation), CLASSIFIERS, self.score_noise_sd)

    def moments(self, schema: Schema, shares: SplitShares) -> NoisyMoments:
        """The mechanism that the surrogate is bought from."""
        return NoisyMoments.costing(schema, shares.train, self.surrogate_rho)


class Spending(BaseModel):
    """A plan together with the prices it was declared at: what a study keeps of its budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: StudyPlan
    prices: Prices


def steps_per_epoch(sampling_rate: float) -> int:
    """Steps in which every participant is expected once: 1/q, a public figure."""
    return max(1, round(1 / sampling_rate))
