"""A candidate and a search policy of a few lines each, as somebody might add them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import BaseModel

from cohorts import Encoding, Participants, Schema
from privacy.ledger.summary import Summary
from privacy.mechanisms.gaussian import GaussianNoise
from privacy.mechanisms.mechanism import Kind, Whole
from privacy.planning.allocation import Allocation, DeclaredPlan
from privacy.planning.choice import PlanInputs
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies import Access, Door, Stage
from privacy.policies.in_the_open import InTheOpen
from privacy.statements.declared_budget import DeclaredBudget, Wording
from privacy.statements.statement import Chosen
from trainables.candidate import Setting, Workplace
from trainables.generators import numbered_ids
from trainables.segment import Segment


@dataclass(frozen=True)
class NoisyCentres(Whole):
    """Sums of the features of each class: one participant moves them by at most sqrt(F)."""

    features: int
    expected: float
    rho: float
    kind: ClassVar[Kind] = "measurement"

    @property
    def noise(self) -> GaussianNoise:
        most = 4 * self.expected
        size, sensitivity = 2 * self.features, self.features**0.5
        return GaussianNoise.costing(self.rho, size=size, lower=-most, upper=most, sensitivity=sensitivity)

    @property
    def event(self):
        return self.noise.event

    def release(self, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """(2, F), the centre of each class."""
        sums = [features[labels == label].clip(-1, 1).sum(axis=0) for label in (0, 1)]
        return self.noise.release(np.concatenate(sums)).reshape(2, -1) / (self.expected / 2)


class CentresHyperparameters(BaseModel):
    rho: float = 0.1
    spread: float = 0.2


class CentresGenerator:
    """Participants of a class lie round its centre."""

    def __init__(self, centres: torch.Tensor, spread: float, schema: Schema) -> None:
        self.centres, self.spread, self.schema = centres, spread, schema
        self.share = schema.label.classes[1].share

    def generate(self, participants: int, randomness: torch.Generator) -> Participants:
        labels = (torch.rand(participants, generator=randomness) < self.share).long()
        noise = torch.randn(participants, self.centres.shape[1], generator=randomness)
        features = (self.centres[labels] + self.spread * noise).clamp(-1, 1).numpy()
        values = Encoding(self.schema).decode(features.astype(np.float32))
        return Participants(self.schema, numbered_ids(participants), labels.numpy(), values)

    def content(self) -> dict[str, Any]:
        return {"centres": self.centres, "spread": self.spread}


class Centres:
    """A toy candidate: everybody is like the centre of their class."""

    name: ClassVar[str] = "centres"
    hyperparameters = CentresHyperparameters
    decided_by_budget = frozenset({"rho"})
    one_of = frozenset()

    def __init__(self, config: Mapping[str, Any], setting: Setting) -> None:
        self.schema, self.spread = setting.schema, config["spread"]
        self.centres = torch.zeros(2, Encoding(setting.schema).width)

    @classmethod
    def of(cls, config: Mapping[str, Any], setting: Setting) -> Centres:
        return cls(config, setting)

    @classmethod
    def priced(cls, config: Mapping[str, Any], allocation: Allocation) -> dict[str, Any]:
        return {**config, "rho": allocation.trial_rho}

    @classmethod
    def mechanism(cls, config, setting: Setting, epochs: int, pretraining: bool = False) -> NoisyCentres:
        expected = setting.schema.nominal_size * setting.train_share
        return NoisyCentres(Encoding(setting.schema).width, expected, config["rho"])

    @classmethod
    def longest(cls, config, epochs: int, epsilon: float, delta: float) -> int:
        return 1

    @classmethod
    def restored(cls, content: Mapping[str, Any], schema: Schema) -> CentresGenerator:
        return CentresGenerator(content["centres"], content["spread"], schema)

    def train(self, segment: Segment[NoisyCentres], workplace: Workplace) -> str:
        reading = segment.pay(workplace.access)
        people = reading.participants
        features = Encoding(self.schema).encode(people.values)
        self.centres = torch.from_numpy(reading.mechanism.release(features, people.labels)).float()
        return str(reading.receipt)

    def generator(self) -> CentresGenerator:
        return CentresGenerator(self.centres, self.spread, self.schema)

    def state_dict(self) -> dict[str, Any]:
        return {"centres": self.centres}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.centres = state["centres"]


class OneAfterAnother:
    """A toy policy: every trial reads participants, none is stopped early."""

    name: ClassVar[str] = "one-after-another"
    description: ClassVar[str] = "every trial is trained to its end"
    declares_budget: ClassVar[bool] = True
    repeatable: ClassVar[bool] = False
    needs_label: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = {"search_space": "default", "trials": 4, "max_epochs": 3}
    marking: ClassVar[str] = "toy"

    def plan(self, inputs: PlanInputs) -> StudyPlan:
        to_the_end = Schedule(trials=inputs.trials, rungs=inputs.rungs[-1:])
        return next(inputs.plans(self.name, [(to_the_end, None, 0.0)]))

    def stages(self, declared: DeclaredPlan) -> tuple[Stage, ...]:
        return (Stage("trials", declared.plan.on_participants, allocation=declared.allocation),)

    def access(self, stage: Stage, declared: DeclaredPlan, door: Door) -> Access:
        splits = door.splits
        return InTheOpen(door.study, door.books, splits.train, splits.validation, declared.scores(door.schema))

    def picks(self, scored: int) -> int | None:
        return 1

    def statement(self, summary: Summary, declared: DeclaredPlan, chosen: Chosen) -> DeclaredBudget:
        wording = Wording("It measured two centres per trial.", "The best trial was released.", "nothing is repeated")
        return DeclaredBudget.of(summary, declared, chosen, wording)
