"""The losses of both networks while they train: what the paper's figures 1 D and E show."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Losses:
    """Sums over steps, each step giving the mean over its rows. Sensitive: no noise hides them.

    Args:
        discriminator: of its steps.
        discriminator_steps: how many.
        generator: of its steps.
        generator_steps: how many.
    """

    discriminator: float = 0.0
    discriminator_steps: float = 0.0
    generator: float = 0.0
    generator_steps: float = 0.0

    def __add__(self, other: Losses) -> Losses:
        """Those of both segments."""
        return Losses(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def means(self) -> dict[str, float]:
        """The mean loss of each network that took a step."""
        found = {}
        if self.discriminator_steps:
            found["discriminator"] = self.discriminator / self.discriminator_steps
        if self.generator_steps:
            found["generator"] = self.generator / self.generator_steps
        return found
