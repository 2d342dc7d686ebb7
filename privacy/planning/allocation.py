"""What a plan's epochs and scores may cost once its orders are declared, and the noise that follows."""

from __future__ import annotations

import math

import dp_accounting
from pydantic import BaseModel, ConfigDict, Field

from cohorts import Schema
from privacy.accounting.calibration import fewest_steps, largest_rho, room_at, smallest_noise_multiplier
from privacy.accounting.private_selection import dominated, dominated_noise, room_under
from privacy.accounting.rdp import rdp_at
from privacy.errors import PlanError
from privacy.ledger.filter import RenyiFilter
from privacy.mechanisms.auc import NoisyScores, public_floors
from privacy.mechanisms.dpsgd import DPSGD
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.moments import NoisyMoments
from privacy.planning.plan import MEASURED_SPLITS, StudyPlan, segment_epochs, steps_per_epoch

MOST_STEPS = 2**14
"""Of an epoch: about one participant a step, where that many train."""


class Allocation(BaseModel):
    """What may be read for what, at the declared orders: fixed with the declaration, the same until the study ends.

    Args:
        surrogate_rho: what the surrogate or the measurements cost, in zCDP; 0 without either.
        score_noise_sd: standard deviation of the noise on each score; None where no score reads participants.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    surrogate_rho: float = Field(ge=0)
    score_noise_sd: float | None = Field(gt=0)

    def noise_multiplier(self, sampling_rate: float) -> float:
        """The least noise that DP-SGD with this sampling rate can afford."""
        raise NotImplementedError

    def sampling_rate_at(self, noise_multiplier: float) -> float:
        """The largest sampling rate that DP-SGD with this noise can afford, one over a whole number of steps an epoch.

        Raises:
            BudgetExhausted: it is less than ``least_noise``.
        """
        raise NotImplementedError

    @property
    def least_noise(self) -> float:
        """The least noise that DP-SGD can afford at any sampling rate."""
        raise NotImplementedError

    def trial_allows(self, event: dp_accounting.DpEvent) -> bool:
        """Whether an event costs at most what one trial may, all its epochs together."""
        raise NotImplementedError

    @property
    def trial_rho(self) -> float:
        """What one trial may spend on a single measurement, in zCDP."""
        return largest_rho(lambda rho: self.trial_allows(dp_accounting.ZCDpEvent(rho)))


class MeasurementAllocation(Allocation):
    """One measurement costs everything, and no trial anything."""

    score_noise_sd: None = None

    def noise_multiplier(self, sampling_rate: float) -> float:
        """None is needed: what trials train on was released already."""
        return 0.0

    def sampling_rate_at(self, noise_multiplier: float) -> float:
        """Everybody, for the same reason."""
        return 1.0

    @property
    def least_noise(self) -> float:
        """None."""
        return 0.0

    @property
    def trial_rho(self) -> float:
        """What the measurements cost that every trial is given."""
        return self.surrogate_rho


class EpochAllocation(Allocation):
    """Every epoch of every trial costs the same.

    Args:
        train_order: Renyi order declared for the training participants.
        epoch: Renyi divergence of that order that one epoch may cost.
        epochs_per_trial: how many a trial is expected to train.
    """

    train_order: float
    epoch: float = Field(gt=0)
    epochs_per_trial: float = Field(default=1.0, gt=0)

    def noise_multiplier(self, sampling_rate: float) -> float:
        """The least noise at which an epoch costs what an epoch may."""
        steps = steps_per_epoch(sampling_rate)
        return smallest_noise_multiplier(sampling_rate, steps, room_at(self.train_order, self.epoch))

    def sampling_rate_at(self, noise_multiplier: float) -> float:
        """The largest rate at which an epoch costs what an epoch may."""
        room = room_at(self.train_order, self.epoch)
        return 1 / fewest_steps(lambda steps: DPSGD(1 / steps, noise_multiplier, steps), room, MOST_STEPS)

    @property
    def least_noise(self) -> float:
        """With the smallest batches."""
        return self.noise_multiplier(1 / MOST_STEPS)

    def trial_allows(self, event: dp_accounting.DpEvent) -> bool:
        """Whether an event costs at most what the epochs of an average trial do."""
        return rdp_at(event, self.train_order) <= self.epoch * self.epochs_per_trial


class RunAllocation(Allocation):
    """Every run costs at most as much as one run, at every order.

    Args:
        sampling_rate: of the run that stands for all.
        run_noise: its noise multiplier.
        epochs: that it is charged for, those it may redo included.
    """

    sampling_rate: float = Field(gt=0, le=1)
    run_noise: float = Field(gt=0)
    epochs: int = Field(ge=1)

    @property
    def run(self) -> DPSGD:
        """The run that stands for all."""
        return DPSGD(self.sampling_rate, self.run_noise, self.epochs * steps_per_epoch(self.sampling_rate))

    def noise_multiplier(self, sampling_rate: float) -> float:
        """The least noise at which a run costs at most as much as the one that stands for all, at every order."""
        if sampling_rate == self.sampling_rate:
            return self.run_noise
        return dominated_noise(self.run, sampling_rate, self.epochs * steps_per_epoch(sampling_rate))

    def sampling_rate_at(self, noise_multiplier: float) -> float:
        """The largest rate at which a run costs at most as much as the one that stands for all, at every order.

        It is no smaller than that one's: more steps with less noise cost more at high orders, however small batches.
        """
        room, most = room_under(self.run.event), steps_per_epoch(self.sampling_rate)
        return 1 / fewest_steps(lambda steps: DPSGD(1 / steps, noise_multiplier, self.epochs * steps), room, most)

    @property
    def least_noise(self) -> float:
        """That of the run that stands for all."""
        return self.noise_multiplier(1 / steps_per_epoch(self.sampling_rate))

    def trial_allows(self, event: dp_accounting.DpEvent) -> bool:
        """Whether an event costs at most as much as the run that stands for all, at every order."""
        return dominated(event, self.run.event)


Allocated = EpochAllocation | RunAllocation | MeasurementAllocation


class DeclaredPlan(BaseModel):
    """A plan together with what was allocated when it was declared: what a study keeps of its budget.

    Args:
        plan: how the study divides what it declared.
        allocation: what its parts may cost; None under a policy that declares nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: StudyPlan
    allocation: Allocated | None

    @property
    def allocated(self) -> Allocated:
        """The allocation, of a plan that was declared."""
        assert self.allocation is not None
        return self.allocation

    def scores(self, schema: Schema) -> NoisyScores:
        """The mechanism of one epoch's scores."""
        floors, noise_sd = public_floors(schema, self.plan.shares.validation), self.allocated.score_noise_sd
        assert noise_sd is not None, "a plan whose trials read participants scores them with noise"
        return NoisyScores(floors, len(self.plan.scored_by), noise_sd)

    def moments(self, schema: Schema) -> NoisyMoments:
        """The mechanism that the surrogate is bought from."""
        return NoisyMoments.costing(schema, self.plan.shares.train, self.allocated.surrogate_rho)

    def measurements(self, schema: Schema) -> Measurements:
        """The mechanism that measures once."""
        return Measurements.costing(schema, self.plan.measured_share, self.allocated.surrogate_rho)


def allocate(plan: StudyPlan, schema: Schema, declared: RenyiFilter) -> Allocated:
    """Divide what a declaration leaves, by its plan.

    Raises:
        PlanError: it leaves nothing.
    """
    order, score_order = (declared.declaration.orders[split] for split in ("train", "validation"))
    left, score_left = declared.left("train"), declared.left("validation")
    if min(left, score_left) <= 0:
        raise PlanError(
            f"Earlier studies left nothing of epsilon {plan.epsilon:g}. Declare a larger --epsilon, which will cover "
            "them too."
        )
    if plan.measures_once:
        orders = declared.declaration.orders
        return MeasurementAllocation(
            surrogate_rho=min(declared.left(split) / orders[split] for split in MEASURED_SPLITS)
        )
    for_training = (1 - plan.surrogate_share) * left
    rho = plan.score_rho(room_at(score_order, score_left))
    floors = public_floors(schema, plan.shares.validation)
    shared = {
        "surrogate_rho": plan.surrogate_share * left / order,
        "score_noise_sd": NoisyScores.costing(floors, len(plan.scored_by), rho).noise_sd,
    }
    schedule = plan.on_participants
    if plan.runs is None:
        epochs = math.ceil(schedule.epochs)
        per_trial = epochs / schedule.trials
        return EpochAllocation(train_order=order, epoch=for_training / epochs, epochs_per_trial=per_trial, **shared)
    return RunAllocation(
        sampling_rate=plan.sampling_rate,
        run_noise=plan.least_noise(room_at(order, for_training)),
        epochs=schedule.rungs[-1] + segment_epochs(schedule.rungs[-1]),
        **shared,
    )
