"""Synthetic participants from a trained generator network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.labels import shares_of_classes
from trainables.gan.engine import draw_inputs
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.networks import PaperGenerator
from trainables.gan.packed.networks import Shape, packed_networks
from trainables.generators import numbered_ids

ROWS = 512
"""Of participants drawn at a time by the paper's network, whose inner layers are large."""


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
        shares = shares_of_classes(self._schema)
        latent, arms = draw_inputs(participants, self._settings.latent_size, shares, randomness)
        features = features_of(self._module, latent, arms).cpu().numpy()  # (n, F)
        encoding = Encoding(self._schema)
        if encoding.before.any():  # from before randomisation: what the same participant has in an arm drawn by chance
            _, others = draw_inputs(participants, 1, shares, randomness)
            features[:, encoding.before] = features_of(self._module, latent, others).cpu().numpy()[:, encoding.before]
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


@torch.no_grad()
def features_of(module: torch.nn.Module, latent: Tensor, arms: Tensor) -> Tensor:
    """What a generator network makes of latent inputs (n, Z) and arms (n,): features (n, F).

    The paper's is done as a pack does it, which repeats no arithmetic, in a third of the time.
    """
    if not isinstance(module, PaperGenerator):
        features: Tensor = module(latent, arms)
        return features
    classes, grid = module.embedding.num_embeddings, (module.measures, module.visits)
    shape = Shape("paper", 0, 0, latent.shape[1], grid[0] * grid[1], classes, grid)
    network = packed_networks(shape, latent.device).generator
    weights = {name: parameter[None] for name, parameter in module.named_parameters()}
    inputs = torch.cat([latent, torch.nn.functional.one_hot(arms, classes)], dim=1)[None]  # (1, n, Z + k)
    return torch.cat([network.forward(weights, rows)[0][0] for rows in inputs.split(ROWS, dim=1)])
