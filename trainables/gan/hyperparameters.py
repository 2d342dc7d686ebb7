"""What one trial of the AC-GAN may vary, with types and legal ranges."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from privacy.mechanisms.dpsgd import DPSGD, SMALLEST_NOISE
from privacy.planning.plan import steps_per_epoch
from trainables.extensions import NETWORKS, added

DEFAULT_SAMPLING_RATE = 0.0125
PACKED_NETWORKS = ("compact", "paper")
"""Those that many trials can train side by side; others need an engine of their own for each trial."""


def network_names() -> tuple[str, ...]:
    """Names of the project's own networks, and of those that installed packages add.

    Raises:
        ExtensionError: two packages add the same name.
    """
    return tuple(dict.fromkeys((*PACKED_NETWORKS, *added(NETWORKS))))


def _describe_network(json_schema: dict[str, Any]) -> None:
    json_schema["enum"] = list(network_names())


class GANSettings(BaseModel):
    """What the engines are told of a configuration: everything that costs no privacy.

    Rate, noise and clip norm are not here. A step takes them from what was paid for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: str = Field("compact", json_schema_extra=_describe_network, description="architecture of both networks")
    generator_learning_rate: float = Field(1e-3, gt=0, description="Adam step of the generator")
    discriminator_learning_rate: float = Field(2e-3, gt=0, description="Adam step of the discriminator")
    discriminator_steps: int = Field(5, ge=1, description="discriminator steps per generator step")
    latent_size: int = Field(32, ge=1, description="size of the generator's random input")
    width: int = Field(128, ge=1, description="units of each hidden layer (compact network)")
    depth: int = Field(2, ge=1, description="hidden layers (compact network)")
    adam_beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first-moment decay")
    generator_averaging: float = Field(0.98, ge=0, lt=1, description="decay of the generator's running average")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="real participants' target is 1 minus this")

    @field_validator("network")
    @classmethod
    def _known(cls, network: str) -> str:
        if network not in network_names():
            raise ValueError(f"{network!r} is not one of {', '.join(network_names())}")
        return network


class Hyperparameters(GANSettings):
    """One configuration of the DP AC-GAN.

    ``noise_multiplier`` 0 trains without privacy: no noise and no clipping, for public cohorts and comparisons. Noise
    so little that it protects nobody is no part of a search space, but may be asked for by name.
    """

    clip_norm: float = Field(1.0, gt=0, description="largest 2-norm C of one participant's gradient")
    noise_multiplier: float = Field(
        1.2, ge=0, json_schema_extra={"gap": SMALLEST_NOISE}, description="noise sigma, in units of the clip norm"
    )
    sampling_rate: float = Field(
        DEFAULT_SAMPLING_RATE, gt=0, le=1, description="chance q that a participant joins a batch"
    )

    @property
    def settings(self) -> GANSettings:
        """What the engines are told."""
        return GANSettings(**self.model_dump(include=set(GANSettings.model_fields)))

    @property
    def steps_per_epoch(self) -> int:
        """Discriminator steps in which every participant is expected once: 1/q, a public figure."""
        return steps_per_epoch(self.sampling_rate)

    def training(self, epochs: int) -> DPSGD:
        """What so many epochs of training run on participants."""
        return DPSGD(self.sampling_rate, self.noise_multiplier, epochs * self.steps_per_epoch, self.clip_norm)

    def pretraining(self, epochs: int) -> DPSGD:
        """The same without noise or clipping, for a surrogate's participants."""
        return DPSGD(self.sampling_rate, 0.0, epochs * self.steps_per_epoch)
