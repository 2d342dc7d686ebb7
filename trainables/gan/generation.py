"""Synthetic participants from a trained generator network."""

from __future__ import annotations

from typing import Any

import torch

from cohorts import Encoding, Participants, Schema
from trainables.gan.engine import arm_shares, draw_inputs
from trainables.gan.hyperparameters import GANSettings
from trainables.generators import numbered_ids


class GANGenerator:
    """A trained generator together with what it needs to make participants.

    Args:
        module: the network.
        settings: the configuration it was trained with.
        schema: the cohort it imitates; its label shares and bounds are public.
    """

    def __init__(self, module: torch.nn.Module, settings: GANSettings, schema: Schema) -> None:
        self._module, self._settings, self._schema = module.eval(), settings, schema

    @torch.no_grad()
    def generate(self, participants: int, randomness: torch.Generator) -> Participants:
        """A synthetic cohort in the trial's own units; see ``Generator.generate``."""
        latent, arms = draw_inputs(participants, self._settings.latent_size, arm_shares(self._schema), randomness)
        features = self._module(latent, arms).cpu().numpy()  # (n, F)
        encoding = Encoding(self._schema)
        if encoding.before.any():  # from before randomisation: what the same participant has in an arm drawn by chance
            _, others = draw_inputs(participants, 1, arm_shares(self._schema), randomness)
            features[:, encoding.before] = self._module(latent, others).cpu().numpy()[:, encoding.before]
        return Participants(
            schema=self._schema,
            ids=numbered_ids(participants),
            labels=arms.cpu().numpy(),
            values=encoding.decode(features),
        )

    def content(self) -> dict[str, Any]:
        """Settings and weights."""
        weights = {name: value.cpu() for name, value in self._module.state_dict().items()}
        return {"settings": self._settings.model_dump(), "weights": weights}
