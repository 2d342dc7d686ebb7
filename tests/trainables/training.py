"""What engines train with in tests."""

from __future__ import annotations

from privacy.mechanisms.dpsgd import DPSGD
from trainables.gan.engine import PaidTraining, RandomStreams, TrainingData
from trainables.gan.hyperparameters import GANSettings, Hyperparameters

ALMOST_NO_NOISE = 1e-9
MECHANISM = ("sampling_rate", "noise_multiplier", "clip_norm")


def settings_of(config: dict) -> GANSettings:
    """What an engine is told of a configuration."""
    return Hyperparameters(**{name: value for name, value in config.items() if name not in MECHANISM}).settings


def mechanism_of(config: dict, steps: int) -> DPSGD:
    """What is paid for a configuration; noise may be too little to be accounted for."""
    defaults = Hyperparameters(**{name: value for name, value in config.items() if name not in MECHANISM})
    noise = config.get("noise_multiplier", defaults.noise_multiplier)
    mechanism = DPSGD(
        config.get("sampling_rate", defaults.sampling_rate),
        max(noise, 0.01) if noise else 0.0,
        steps,
        config.get("clip_norm", defaults.clip_norm),
    )
    object.__setattr__(mechanism, "noise_multiplier", noise)
    return mechanism


def paid(config: dict, data: TrainingData, steps: int, streams: RandomStreams) -> PaidTraining:
    """As if the ledger had been asked."""
    return PaidTraining(data, mechanism_of(config, steps), streams)
