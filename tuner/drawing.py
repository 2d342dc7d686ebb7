"""Configurations drawn afresh and with replacement, without regard to any result."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import optuna

from search_spaces import SearchSpace


@dataclass(frozen=True)
class Drawing:
    """Draws a configuration from a search space each time it is called.

    Args:
        space: to draw from.
    """

    space: SearchSpace

    def __call__(self) -> dict[str, Any]:
        """One configuration."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=secrets.randbits(32)))
        return dict(self.space(study.ask()))
