"""Synthetic participants from a trained generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cohorts import Encoding, Participants, Schema
from trainables.gan.engine import draw_inputs
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.networks import build_networks

GENERATOR_FILE = "generator.pt"


class Generator:
    """A trained generator together with what it needs to make participants.

    Args:
        module: the network.
        hyperparameters: the configuration it was trained with.
        schema: the cohort it imitates; its label shares and bounds are public.
    """

    def __init__(self, module: torch.nn.Module, hyperparameters: Hyperparameters, schema: Schema) -> None:
        self._module = module.eval()
        self._hyperparameters = hyperparameters
        self._schema = schema

    @torch.no_grad()
    def generate(self, participants: int, randomness: torch.Generator) -> Participants:
        """A synthetic cohort in the trial's own units.

        Args:
            participants: how many to make, n.
            randomness: stream of the latent inputs and arms.

        Returns:
            Participants of n participants with ids S000001 and so on, arms drawn by the schema's public shares.
        """
        latent, arms = draw_inputs(
            participants, self._hyperparameters.latent_size, arm_shares(self._schema), randomness
        )
        features = self._module(latent, arms).cpu().numpy()  # (n, F)
        return Participants(
            schema=self._schema,
            ids=np.array([f"S{number:06d}" for number in range(1, participants + 1)]),
            labels=arms.cpu().numpy(),
            values=Encoding(self._schema).decode(features),
        )

    def save(self, directory: Path) -> None:
        """Write weights and configuration to ``directory``/generator.pt."""
        content = {
            "hyperparameters": self._hyperparameters.model_dump(),
            "schema": self._schema.model_dump(mode="json"),
            "weights": {name: value.cpu() for name, value in self._module.state_dict().items()},
        }
        torch.save(content, directory / GENERATOR_FILE)


def load_generator(directory: Path) -> Generator:
    """Read a generator from a trial's checkpoint directory.

    Raises:
        FileNotFoundError: the directory holds no generator.pt.
    """
    content: dict[str, Any] = torch.load(directory / GENERATOR_FILE, weights_only=True)
    hyperparameters = Hyperparameters(**content["hyperparameters"])
    schema = Schema.model_validate(content["schema"])
    module, _ = build_networks(hyperparameters, Encoding(schema).width, grid(schema))
    module.load_state_dict(content["weights"])
    return Generator(module, hyperparameters, schema)


def arm_shares(schema: Schema) -> tuple[float, float]:
    """Public probability of each arm."""
    first, second = (label_class.share for label_class in schema.label.classes)
    return first, second


def grid(schema: Schema) -> tuple[int, int] | None:
    """(measures, visits) when an encoded participant is a full grid of single numbers, else None."""
    shape = schema.observed.shape
    if schema.observed.all() and Encoding(schema).width == shape[0] * shape[1]:
        return shape[0], shape[1]
    return None
