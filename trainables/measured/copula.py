"""A Gaussian copula as a candidate: normal scores of each class are drawn from a Gaussian with the measured moments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from cohorts import Participants, Schema
from privacy.mechanisms.measurements import HISTOGRAMS_SHARE, Measured, Measurements
from trainables.candidate import Setting, Workplace, hyperparameters_of
from trainables.generators import numbered_ids
from trainables.measured.once import MeasuredOnce
from trainables.segment import Segment


class MeasurementHyperparameters(BaseModel):
    """What a configuration may say of what is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rho: float = Field(0.1, gt=0, description="what all measurements together cost, in zCDP")
    histograms_share: float = Field(
        HISTOGRAMS_SHARE, gt=0, lt=1, description="share of rho that buys histograms; moments get the rest"
    )

    def measurements(self, setting: Setting) -> Measurements:
        """The mechanism that costs this."""
        return Measurements.costing(setting.schema, setting.train_share, self.rho, self.histograms_share)


class CopulaGenerator:
    """Draws normal scores of each class from a Gaussian, and the values that they stand for.

    Args:
        measured: what was bought; None draws nobody yet.
        schema: the cohort it imitates.
    """

    def __init__(self, measured: Measured | None, schema: Schema) -> None:
        self.measured, self._schema = measured, schema

    def generate(self, participants: int, randomness: torch.Generator) -> Participants:
        """A synthetic cohort in the trial's own units; see ``Generator.generate``."""
        if self.measured is None:
            raise RuntimeError("nothing was measured yet")
        seed = int(torch.randint(2**63 - 1, (), generator=randomness, device=randomness.device))
        drawn = self.measured.draw(self._schema, participants, np.random.default_rng(seed))
        return replace(drawn, ids=numbered_ids(participants))

    def content(self) -> dict[str, Any]:
        """Histograms and products."""
        return {"measured": self.measured and self.measured.content()}


class Copula(MeasuredOnce):
    """Histograms of every measure and visit, and moments of the normal scores they define: a trial of one epoch.

    Args:
        setting: of the study.
    """

    name: ClassVar[str] = "copula"
    hyperparameters: ClassVar[type[MeasurementHyperparameters]] = MeasurementHyperparameters

    def __init__(self, setting: Setting) -> None:
        self._schema = setting.schema
        self._measured: Measured | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], setting: Setting) -> Copula:
        """One that knows nothing yet."""
        MeasurementHyperparameters(**hyperparameters_of(config, cls.hyperparameters))
        return cls(setting)

    @classmethod
    def mechanism(
        cls, config: Mapping[str, Any], setting: Setting, epochs: int, pretraining: bool = False
    ) -> Measurements:
        """The measurements; they are the same for any number of epochs, since there is one."""
        return MeasurementHyperparameters(**hyperparameters_of(config, cls.hyperparameters)).measurements(setting)

    @classmethod
    def restored(cls, content: Mapping[str, Any], schema: Schema) -> CopulaGenerator:
        """The generator with the measurements that were kept."""
        kept = content["measured"]
        return CopulaGenerator(Measured.of(kept) if kept else None, schema)

    def train(self, segment: Segment[Measurements], workplace: Workplace) -> str:
        """Measure."""
        reading = segment.pay(workplace.access)
        people = reading.participants
        self._measured = reading.mechanism.release(people.values, people.labels)
        return str(reading.receipt or "")

    def generator(self) -> CopulaGenerator:
        """Draws from what was measured."""
        return CopulaGenerator(self._measured, self._schema)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self._measured = self.restored(state, self._schema).measured
