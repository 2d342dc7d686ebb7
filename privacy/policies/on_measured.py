"""Searching on what was measured: bought once, kept, and free ever after."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from cohorts import Participants, Schema, SplitShares
from privacy.ledger.reading import M, Reading
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.misfit import misfit
from privacy.policies.bought import MEASURED_FILE, bought_once
from privacy.policies.policy import PUBLIC_SEED, Door, Judge

MISFIT_WEIGHT = 0.3
"""A misfit that is a tenth larger counts as much as 0.03 AUC, by which AUC differs by chance in small cohorts."""


def measure_once(door: Door, mechanism: Measurements) -> Measured:
    """What a study measured, now or when it began; participants who train and who validate are measured together.

    Errors are those of ``bought_once``.

    Args:
        door: of the study, which declared a budget.
        mechanism: what to run on them, if that was not done.
    """

    def release(reading: Reading[Measurements]) -> str:
        people = reading.participants
        return json.dumps(reading.mechanism.release(people.values, people.labels).content()) + "\n"

    everybody = [door.splits.train, door.splits.validation]
    return Measured.of(json.loads(bought_once(door, MEASURED_FILE, everybody, mechanism, "measure once", release)))


def kept_measurements(folder: Path) -> Measured | None:
    """What a study measured once, from its folder; None where it measured nothing in this way."""
    file = folder / MEASURED_FILE
    return Measured.of(json.loads(file.read_text())) if file.exists() else None


@dataclass(frozen=True)
class Bought(Measurements):
    """Measurements that were released already, so that to release them again reads nobody."""

    released: Measured

    @classmethod
    def again(cls, mechanism: Measurements, released: Measured) -> Bought:
        """What a trial that asks for measurements is given in place of them."""
        return cls(mechanism.schema, mechanism.histograms, mechanism.moments, mechanism.tables, released)

    def release(self, values: np.ndarray, labels: np.ndarray) -> Measured:
        """The same ones as for every trial."""
        return self.released


@dataclass(frozen=True)
class OnMeasured:
    """A trial that asks for measurements is given those that were bought; any other, participants drawn from them.

    Args:
        measured: what was bought.
        train: drawn from it, as many as the training split has nominally.
        validation: likewise.
    """

    measured: Measured
    train: Participants
    validation: Participants

    reads_participants: ClassVar[bool] = False
    shows_losses: ClassVar[bool] = False

    @classmethod
    def of(cls, measured: Measured, schema: Schema, shares: SplitShares) -> OnMeasured:
        """The same draws every time."""
        randomness = np.random.default_rng(PUBLIC_SEED)
        train, validation = (
            measured.draw(schema, round(schema.nominal_size * share), randomness)
            for share in (shares.train, shares.validation)
        )
        return cls(measured, train, validation)

    def training(self, trial: str, mechanism: M, words: str) -> Reading[M]:
        """What was bought, or participants drawn from it; nothing is charged."""
        given: Any = Bought.again(mechanism, self.measured) if isinstance(mechanism, Measurements) else mechanism
        return Reading(self.train, cast(M, given), None)

    def scores(self, trial: str, epoch: int, judge: Judge) -> tuple[dict[str, float], None]:
        """AUCs on participants drawn from what was measured, and how far the trial's own are from what was measured.

        AUC alone would reward classes that are easier to tell apart than the real ones, so ``score`` is the mean AUC
        less ``MISFIT_WEIGHT`` times the logarithm of the misfit. Without a label it is the misfit that decides.
        """
        metrics = {**judge.exact(self.validation), **misfit(self.measured, judge.synthetic)}
        auc = sum(metrics[f"auc_{name}"] for name in judge.classifiers) / max(1, len(judge.classifiers))
        return {**metrics, "score": auc - MISFIT_WEIGHT * math.log(metrics["misfit"])}, None
