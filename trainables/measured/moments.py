"""Noisy moments as a candidate: mean and covariance of each class, bought once, and participants drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.moments import ClassMoments, NoisyMoments, surrogate_cohort
from trainables.candidate import Setting, Workplace, hyperparameters_of
from trainables.generators import numbered_ids
from trainables.measured.once import MeasuredOnce, moments_content, moments_of
from trainables.segment import Segment


class MomentsHyperparameters(BaseModel):
    """What a configuration may say."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rho: float = Field(0.1, gt=0, description="what the moments cost, in zCDP")


class MomentsGenerator:
    """Draws participants from noisy moments.

    Args:
        moments: of each class; released numbers.
        schema: the cohort they imitate.
    """

    def __init__(self, moments: Sequence[ClassMoments], schema: Schema) -> None:
        self._moments, self._schema = moments, schema

    def generate(self, participants: int, randomness: torch.Generator) -> Participants:
        """A synthetic cohort in the trial's own units; see ``Generator.generate``."""
        seed = int(torch.randint(2**63 - 1, (), generator=randomness, device=randomness.device))
        drawn = surrogate_cohort(self._moments, self._schema, participants, np.random.default_rng(seed))
        return replace(drawn, ids=numbered_ids(participants))

    def content(self) -> dict[str, Any]:
        """Means and covariances."""
        return {"moments": moments_content(self._moments)}


class Moments(MeasuredOnce):
    """Mean and covariance of each class, measured once: a trial of one epoch.

    Args:
        setting: of the study.
    """

    name: ClassVar[str] = "moments"
    hyperparameters: ClassVar[type[MomentsHyperparameters]] = MomentsHyperparameters

    def __init__(self, setting: Setting) -> None:
        self._schema = setting.schema
        nothing = ClassMoments(np.zeros(Encoding(self._schema).width), np.eye(Encoding(self._schema).width))
        self._moments: Sequence[ClassMoments] = (nothing,) * len(self._schema.label.classes)

    @classmethod
    def of(cls, config: Mapping[str, Any], setting: Setting) -> Moments:
        """One that knows nothing yet."""
        MomentsHyperparameters(**hyperparameters_of(config, cls.hyperparameters))
        return cls(setting)

    @classmethod
    def mechanism(
        cls, config: Mapping[str, Any], setting: Setting, epochs: int, pretraining: bool = False
    ) -> NoisyMoments:
        """The measurement; it is the same for any number of epochs, since there is one."""
        rho = MomentsHyperparameters(**hyperparameters_of(config, cls.hyperparameters)).rho
        return NoisyMoments.costing(setting.schema, setting.train_share, rho)

    @classmethod
    def restored(cls, content: Mapping[str, Any], schema: Schema) -> MomentsGenerator:
        """The generator with the moments that were kept."""
        return MomentsGenerator(moments_of(content["moments"]), schema)

    def train(self, segment: Segment[NoisyMoments], workplace: Workplace) -> str:
        """Measure."""
        reading = segment.pay(workplace.access)
        people = reading.participants
        products = reading.mechanism.release(Encoding(self._schema).encode(people.values), people.labels)
        self._moments = [each.moments for each in products]
        return str(reading.receipt or "")

    def generator(self) -> MomentsGenerator:
        """Draws from what was measured."""
        return MomentsGenerator(self._moments, self._schema)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self._moments = self.restored(state, self._schema)._moments
