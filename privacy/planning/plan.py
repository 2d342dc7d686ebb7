"""How a study divides its budget, decided from public numbers before anyone is read.

Training participants and validation participants are different people, so the declared epsilon is there for both:
what trains is paid on the training split, what scores on the validation split. The plan weighs them by the only thing
it may choose between them, which is how many participants each split has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import dp_accounting
from pydantic import BaseModel, ConfigDict, Field

from cohorts import Schema, Split, SplitShares
from privacy.accounting.budget import Budget
from privacy.accounting.calibration import Room, largest_rho, room_in, smallest_noise_multiplier
from privacy.accounting.private_selection import LawOfRuns
from privacy.mechanisms.auc import NoisyScores, public_floors
from privacy.mechanisms.dpsgd import DPSGD
from privacy.planning.schedule import Schedule
from privacy.planning.steering import Steering

SCORE_ATTEMPTS = 2
"""Scores that one run of a secret number is charged for: a crash may have it scored once more."""

SEGMENTS = 10
"""Segments in which such a run trains; one of them may be done again after a crash."""

MEASURED_SPLITS: tuple[Split, ...] = ("train", "validation")
"""Who is measured where participants are measured once: everybody but those kept for the internal report."""

Spent = Mapping[Split, dp_accounting.DpEvent | None]


class StudyPlan(BaseModel):
    """What a study will do. Every field is public.

    Args:
        policy: name of how it searches.
        epsilon: declared; where the policy declares no budget, the largest of one trial's training.
        delta: that goes with it.
        shares: expected shares of participants in the three splits.
        on_participants: trials on real participants; no trial where they are measured once and never read again.
        on_surrogate: trials on surrogate participants, or on what was measured; None without either.
        surrogate_share: share of the training participants' budget that buys the surrogate or the measurements.
        sampling_rate: the one in the middle of the search space, by which the plan is made.
        scored_by: names of the scores that are released together.
        runs: law of the secret number of runs of which only the best is seen; None where every trial is.
            ``on_participants`` then is one run's schedule.
        search_minutes: after which a search by a secret number of runs ends, however many there are; None where it
            ends with them.
        noisy_picks: whether epochs are picked by accuracy with the Laplace noise of the paper.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: str
    epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, lt=1)
    shares: SplitShares
    on_participants: Schedule
    on_surrogate: Schedule | None = None
    surrogate_share: float = Field(default=0, ge=0, le=1)
    sampling_rate: float = Field(gt=0, le=1)
    scored_by: tuple[str, ...] = Field(min_length=1)
    runs: LawOfRuns | None = None
    search_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    noisy_picks: bool = False

    @property
    def budget(self) -> Budget:
        """What will be declared."""
        return Budget(self.epsilon, self.delta)

    @property
    def measures_once(self) -> bool:
        """Whether participants are measured once and read by no trial."""
        return self.on_participants.trials == 0

    @property
    def measured_share(self) -> float:
        """Expected share of participants who are measured, where they are measured once."""
        return self.shares.train + self.shares.validation

    def trained(self, schema: Schema) -> float:
        """How many participants are expected to train."""
        return schema.nominal_size * self.shares.train

    def expected_batch(self, schema: Schema, sampling_rate: float) -> float:
        """How many participants a step of training expects."""
        return self.trained(schema) * sampling_rate

    @property
    def pretraining(self) -> int:
        """Epochs that a trial trains without noise on surrogate participants before it is rehearsed or paid for."""
        return self.on_surrogate.rungs[-1] - self.on_participants.rungs[-1] if self.on_surrogate else 0

    def events(self, schema: Schema, spent: Spent) -> dict[Split, dp_accounting.DpEvent]:
        """What it means to run on each split, for the choice of the order it is declared at."""
        if self.measures_once:
            return {split: dp_accounting.ZCDpEvent(self._whole_rho(spent.get(split))) for split in MEASURED_SPLITS}
        room = room_in(self.budget, 1 - self.surrogate_share, spent=spent.get("train"))
        train = self.selection_event(self.training(self.least_noise(room)).event)
        return {"train": train, "validation": self.selection_event(self._scores_event(self._score_rho(spent)))}

    def _whole_rho(self, spent: dp_accounting.DpEvent | None) -> float:
        """All that a split has left, in zCDP, at the order that is best for a measurement alone."""
        room = room_in(self.budget, spent=spent)
        return largest_rho(lambda rho: room(dp_accounting.ZCDpEvent(rho)) >= 0)

    def least_noise(self, room: Room) -> float:
        """The smallest noise multiplier at which all training fits, at the plan's sampling rate."""
        return smallest_noise_multiplier(
            self.sampling_rate, self.training(1.0).steps, lambda event: room(self.selection_event(event))
        )

    def training(self, noise_multiplier: float) -> DPSGD:
        """All planned epochs at the plan's sampling rate, or one run's, with what it may redo."""
        epochs = math.ceil(self.on_participants.epochs)
        if self.runs:
            epochs += segment_epochs(self.on_participants.rungs[-1])
        return DPSGD(self.sampling_rate, noise_multiplier, epochs * steps_per_epoch(self.sampling_rate))

    def selection_event(self, event: dp_accounting.DpEvent) -> dp_accounting.DpEvent:
        """What an event costs in this plan: as much, or what it costs to see the best of a secret number of runs."""
        return self.runs.event(event) if self.runs else event

    def steering(self, schema: Schema, spent: Spent) -> Steering:
        """How well scores with this plan's noise tell configurations apart."""
        floors = public_floors(schema, self.shares.validation)
        return Steering(NoisyScores.costing(floors, len(self.scored_by), self._score_rho(spent)))

    def _score_rho(self, spent: Spent) -> float:
        """What one score may cost, in zCDP, at the order that is best for scores alone."""
        return self.score_rho(room_in(self.budget, spent=spent.get("validation")))

    def score_rho(self, room: Room) -> float:
        """The most that one score may cost, in zCDP, so that all planned ones fit."""
        return largest_rho(lambda rho: room(self.selection_event(self._scores_event(rho))) >= 0)

    def _scores_event(self, rho: float) -> dp_accounting.DpEvent:
        times = SCORE_ATTEMPTS if self.runs else math.ceil(self.on_participants.scores)
        return dp_accounting.ZCDpEvent(rho * times)


def steps_per_epoch(sampling_rate: float) -> int:
    """Steps in which every participant is expected once: 1/q, a public figure."""
    return max(1, round(1 / sampling_rate))


def segment_epochs(epochs: int) -> int:
    """Epochs of one segment of a run of a secret number."""
    return math.ceil(epochs / SEGMENTS)
