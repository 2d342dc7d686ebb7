"""A generator network that is fitted to measurements: bought once, whatever comes after reads nobody."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from cohorts import Participants, Schema
from privacy.mechanisms.labels import labels_by_shares
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.normal_scores import NormalScores
from trainables.candidate import Setting, Workplace, hyperparameters_of
from trainables.generators import numbered_ids
from trainables.measured.copula import MeasurementHyperparameters
from trainables.measured.network import ScoreNetwork, standardised, stratified
from trainables.measured.once import MeasuredOnce
from trainables.measured.residuals import Residuals
from trainables.measured.tables import Tables
from trainables.memory import keep_freed_memory
from trainables.segment import Segment

STEPS_PER_EPOCH = 25
LARGEST_GRADIENT = 1e3

REFERENCE = 2**13
"""Draws of each class by which a release is stratified, unless it has more participants."""

AT_A_TIME = 2**10
"""Of these: what a processor's cache holds, in half the time of all at once."""


class MeasuredHyperparameters(MeasurementHyperparameters):
    """What a configuration may say."""

    width: int = Field(128, ge=1, description="of the network's hidden layers")
    depth: int = Field(2, ge=1, le=8, description="how many hidden layers")
    latent_size: int = Field(8, ge=1, description="entries of the latent vector beside those of the linear map")
    generator_learning_rate: float = Field(4e-3, gt=0, description="Adam's")
    generator_averaging: float = Field(0.99, ge=0, lt=1, description="of the running average that is kept, per step")
    batch_size: int = Field(1024, ge=2, description="draws of each class in a step; one less where that is odd")
    histograms_weight: float = Field(1.0, gt=0, description="of histograms against products; 1 is by precision")
    batch_variance: float = Field(
        0.05, gt=0, description="how much of a batch's variance counts beside that of the noise that was bought"
    )


class MeasuredGenerator:
    """Draws normal scores with a network, and the values that they stand for.

    Args:
        network: from latent vector and class to normal scores.
        settings: of the network.
        measured: what was bought.
        schema: the cohort it imitates.
    """

    def __init__(
        self, network: ScoreNetwork, settings: MeasuredHyperparameters, measured: Measured, schema: Schema
    ) -> None:
        self._network, self._settings, self._measured, self._schema = network, settings, measured, schema

    def generate(self, participants: int, randomness: torch.Generator) -> Participants:
        """A synthetic cohort in the trial's own units; see ``Generator.generate``."""
        seeds = torch.randint(2**63 - 1, (3,), generator=randomness, device=randomness.device).tolist()
        first, second = (torch.Generator().manual_seed(each) for each in seeds[1:])
        normal_scores = NormalScores(self._schema, self._measured.histograms)
        labels = labels_by_shares(normal_scores.shares, participants, np.random.default_rng(seeds[0]))
        latent = self._network.latent(participants, first)  # (k, n, L)
        even = self._network.even_latent(max(REFERENCE, participants), second)  # (k, r, L)
        with torch.no_grad():
            for label in range(len(latent)):
                latent[label, labels == label] = standardised(latent[label, labels == label])
            scores = self._network(latent)[torch.from_numpy(labels), torch.arange(participants)]  # (n, W)
            parts = [self._network(each) for each in even.split(AT_A_TIME, dim=1)]
            for label, reference in enumerate(torch.cat(parts, dim=1)):
                scores[labels == label] = stratified(scores[labels == label], reference)
        drawn = Tables(self._measured, normal_scores).exchanged(scores.double().numpy(), labels, normal_scores)
        values = normal_scores.values(normal_scores.as_defined(drawn, labels), labels)
        return Participants(self._schema, numbered_ids(participants), labels, values)

    def content(self) -> dict[str, Any]:
        """Weights, and what was measured."""
        return {
            "settings": self._settings.model_dump(),
            "measured": self._measured.content(),
            "weights": self._network.state_dict(),
        }


class MeasuredNetwork(MeasuredOnce):
    """A network from latent vector and class to normal scores, fitted to what was measured.

    Args:
        settings: its configuration.
        setting: of the study.
    """

    name: ClassVar[str] = "measured"
    hyperparameters: ClassVar[type[MeasuredHyperparameters]] = MeasuredHyperparameters

    def __init__(self, settings: MeasuredHyperparameters, setting: Setting) -> None:
        self._settings, self._schema = settings, setting.schema
        self._measured: Measured | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any], setting: Setting) -> MeasuredNetwork:
        """One that knows nothing yet."""
        return cls(MeasuredHyperparameters(**hyperparameters_of(config, cls.hyperparameters)), setting)

    @classmethod
    def mechanism(
        cls, config: Mapping[str, Any], setting: Setting, epochs: int, pretraining: bool = False
    ) -> Measurements:
        """The measurements; they are the same for any number of epochs, since only the first one measures."""
        return MeasuredHyperparameters(**hyperparameters_of(config, cls.hyperparameters)).measurements(setting)

    @classmethod
    def longest(cls, config: Mapping[str, Any], epochs: int, epsilon: float, delta: float) -> int:
        """All of them: none but the first costs anything."""
        return epochs

    @classmethod
    def restored(cls, content: Mapping[str, Any], schema: Schema) -> MeasuredGenerator:
        """The generator with the weights that were kept."""
        settings, measured = MeasuredHyperparameters(**content["settings"]), Measured.of(content["measured"])
        network = new_network(settings, measured, schema)
        network.load_state_dict(content["weights"])
        return MeasuredGenerator(network, settings, measured, schema)

    def train(self, segment: Segment[Measurements], workplace: Workplace) -> str:
        """Measure, unless that was done, and fit the network for the epochs of the segment."""
        receipt = ""
        if self._measured is None:
            reading = segment.pay(workplace.access)
            people = reading.participants
            self.take(reading.mechanism.release(people.values, people.labels))
            receipt = str(reading.receipt or "")
        seed = segment.seeds["inputs"] if segment.seeds else secrets.randbits(63)
        self.fit(segment.epochs * STEPS_PER_EPOCH, torch.Generator().manual_seed(seed))
        return receipt

    def take(self, measured: Measured) -> None:
        """Begin with what was measured."""
        self._measured, self._steps = measured, 0
        self._network, self._average = (new_network(self._settings, measured, self._schema) for _ in range(2))
        self._average.load_state_dict(self._network.state_dict())
        self._optimizer = torch.optim.Adam(
            self._network.parameters(), lr=self._settings.generator_learning_rate, betas=(0.9, 0.99)
        )
        self._residuals = Residuals(self._schema, measured, self._settings.histograms_weight)

    def fit(self, steps: int, randomness: torch.Generator) -> None:
        """Fit the network for so many steps; reads nobody."""
        keep_freed_memory()
        draws = self._settings.batch_size // 2 * 2
        for _ in range(steps):
            drawn = self._network(self._network.latent(draws, randomness))
            loss = self._residuals.loss(drawn, randomness, self._settings.batch_variance)
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
            self._optimizer.step()
            self._steps += 1
            keep = min(self._settings.generator_averaging, self._steps / (self._steps + 10))
            with torch.no_grad():
                for mean, now in zip(self._average.parameters(), self._network.parameters(), strict=True):
                    mean.lerp_(now, 1 - keep)

    def generator(self) -> MeasuredGenerator:
        """The running average of the network.

        Raises:
            RuntimeError: nothing was measured yet.
        """
        if self._measured is None:
            raise RuntimeError("nothing was measured yet")
        return MeasuredGenerator(self._average, self._settings, self._measured, self._schema)

    def state_dict(self) -> dict[str, Any]:
        """What was measured, the network, its average and its optimizer."""
        if self._measured is None:
            return {"measured": None}
        return {
            "measured": self._measured.content(),
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        if state["measured"] is None:
            return
        self.take(Measured.of(state["measured"]))
        self._network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._steps = state["steps"]


def new_network(settings: MeasuredHyperparameters, measured: Measured, schema: Schema) -> ScoreNetwork:
    """One with fresh weights, drawn from PyTorch's global stream."""
    normal_scores = NormalScores(schema, measured.histograms)
    moments, before = measured.moments(normal_scores), normal_scores.encoding.before
    return ScoreNetwork(moments, before, settings.width, settings.depth, settings.latent_size)
