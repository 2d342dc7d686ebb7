"""Parameters of many trials as rows of one tensor, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]  # by a parameter's name in its module; of K trials stacked: (K, *shape)


class Layout:
    """Where each parameter of a network lies in a flat row.

    Trials whose networks differ in the latent size alone share a layout: further columns are fed zeros, so their
    weights never matter and their gradient is exactly 0.

    Args:
        module: a network of the largest latent size Z.
        latent: names of its parameters whose last axis begins with the Z latent inputs.
        latent_size: Z.
    """

    def __init__(self, module: nn.Module, latent: frozenset[str] = frozenset(), latent_size: int = 0) -> None:
        self._shapes = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
        self._latent, self._latent_size = latent, latent_size
        self._sizes = [math.prod(shape) for shape in self._shapes.values()]
        self.size = sum(self._sizes)

    def views(self, rows: Tensor) -> Weights:
        """The parameters (K, *shape) in rows (K, P), sharing their memory."""
        parts = rows.split(self._sizes, dim=1)
        return {
            name: part.view(len(rows), *shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    @torch.no_grad()
    def write(self, row: Tensor, parameters: Mapping[str, Tensor], latent_size: int) -> None:
        """Put one trial's parameters into its row (P,), zeros where its latent size falls short of Z."""
        row.zero_()
        for name, view in self.views(row.unsqueeze(0)).items():
            value = parameters[name]
            if name not in self._latent:
                view[0].copy_(value)
                continue
            view[0, ..., :latent_size].copy_(value[..., :latent_size])
            view[0, ..., self._latent_size :].copy_(value[..., latent_size:])

    @torch.no_grad()
    def read(self, row: Tensor, latent_size: int) -> Weights:
        """One trial's parameters from its row (P,), copied, in the trial's own shapes."""
        parameters = {}
        for name, view in self.views(row.unsqueeze(0)).items():
            value = view[0]
            if name in self._latent:
                value = torch.cat([value[..., :latent_size], value[..., self._latent_size :]], dim=-1)
            parameters[name] = value.clone()
        return parameters
