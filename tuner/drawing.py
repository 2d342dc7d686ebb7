"""Configurations drawn afresh and with replacement, without regard to any result."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import optuna

from analysis.epochs import ScoredEpoch
from privacy.planning.allocation import Allocation
from search_spaces import SearchSpace
from trainables.gan.hyperparameters import DEFAULT_SAMPLING_RATE
from trainables.trial import START


@dataclass(frozen=True)
class Drawing:
    """Draws a configuration each time it is called.

    Args:
        space: to draw from where there is no shortlist.
        prices: decide the noise.
        shortlist: to draw from, with replacement; empty where there is none.
    """

    space: SearchSpace
    allocation: Allocation
    shortlist: tuple[ScoredEpoch, ...] = ()

    def __call__(self) -> dict[str, Any]:
        """One configuration."""
        if self.shortlist:
            drawn = secrets.choice(self.shortlist)
            config = {**drawn.hyperparameters.model_dump(), START: drawn.trial_id}
        else:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=secrets.randbits(32)))
            config = dict(self.space(study.ask()))
        rate = float(config.get("sampling_rate", DEFAULT_SAMPLING_RATE))
        return {**config, "noise_multiplier": self.allocation.noise_multiplier(rate)}
