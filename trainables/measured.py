"""Measurements as a candidate: histograms and moments of normal scores, bought once, and draws from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from cohorts import Participants, Schema
from privacy.mechanisms.histograms import ClassHistograms
from privacy.mechanisms.normal_scores import HISTOGRAMS_SHARE, LIMIT, Measured, Measurements, NormalScores
from trainables.candidate import Setting, Workplace, hyperparameters_of
from trainables.generators import numbered_ids
from trainables.measured_once import MeasuredOnce, moments_content, moments_of
from trainables.segment import Segment


class MeasuredHyperparameters(BaseModel):
    """What a configuration may say."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rho: float = Field(0.1, gt=0, description="what all measurements together cost, in zCDP")
    histograms_share: float = Field(
        HISTOGRAMS_SHARE, gt=0, lt=1, description="share of rho that buys histograms; moments get the rest"
    )


class MeasuredGenerator:
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
        stream, normal_scores = np.random.default_rng(seed), NormalScores(self._schema, self.measured.histograms)
        labels = (stream.random(participants) < self._schema.label.classes[1].share).astype(np.int64)
        scores = np.empty((participants, normal_scores.width))
        for label, moments in enumerate(self.measured.moments):
            scores[labels == label] = LIMIT * moments.sample(int((labels == label).sum()), stream)
        return Participants(self._schema, numbered_ids(participants), labels, normal_scores.values(scores))

    def content(self) -> dict[str, Any]:
        """Histograms and moments, as tensors."""
        if self.measured is None:
            return {"measured": None}
        return {
            "measured": {
                "histograms": [
                    {"counts": torch.from_numpy(each.counts), "noise_sd": each.noise_sd, "people": each.participants}
                    for each in self.measured.histograms
                ],
                "moments": moments_content(self.measured.moments),
            }
        }


class MeasuredCandidate(MeasuredOnce):
    """Histograms of every measure and visit, and moments of the normal scores they define: a trial of one epoch.

    Args:
        setting: of the study.
    """

    name: ClassVar[str] = "measured"
    hyperparameters: ClassVar[type[MeasuredHyperparameters]] = MeasuredHyperparameters

    def __init__(self, setting: Setting) -> None:
        self._schema = setting.schema
        self._measured: Measured | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], setting: Setting) -> MeasuredCandidate:
        """One that knows nothing yet."""
        MeasuredHyperparameters(**hyperparameters_of(config))
        return cls(setting)

    @classmethod
    def mechanism(
        cls, config: Mapping[str, Any], setting: Setting, epochs: int, pretraining: bool = False
    ) -> Measurements:
        """The measurements; they are the same for any number of epochs, since there is one."""
        chosen = MeasuredHyperparameters(**hyperparameters_of(config))
        return Measurements.costing(setting.schema, setting.train_share, chosen.rho, chosen.histograms_share)

    @classmethod
    def restored(cls, content: Mapping[str, Any], schema: Schema) -> MeasuredGenerator:
        """The generator with the measurements that were kept."""
        kept = content["measured"]
        if kept is None:
            return MeasuredGenerator(None, schema)
        first, second = (
            ClassHistograms(each["counts"].numpy(), each["noise_sd"], each["people"]) for each in kept["histograms"]
        )
        return MeasuredGenerator(Measured((first, second), moments_of(kept["moments"])), schema)

    def train(self, segment: Segment[Measurements], workplace: Workplace) -> str:
        """Measure."""
        reading = segment.pay(workplace.access)
        people = reading.participants
        self._measured = reading.mechanism.release(people.values, people.labels)
        return str(reading.receipt or "")

    def generator(self) -> MeasuredGenerator:
        """Draws from what was measured."""
        return MeasuredGenerator(self._measured, self._schema)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self._measured = self.restored(state, self._schema).measured
