"""What candidates have in common that measure participants once and then do without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from privacy.mechanisms.moments import ClassMoments
from privacy.planning.allocation import Allocation
from trainables.candidate import Generator


class MeasuredOnce:
    """The part of a ``Candidate`` that does not depend on what is measured."""

    decided_by_budget: ClassVar[frozenset[str]] = frozenset({"rho"})
    one_of: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def priced(cls, config: Mapping[str, Any], allocation: Allocation) -> dict[str, Any]:
        """All that one trial may spend, at once."""
        return {**config, "rho": allocation.trial_rho}

    @classmethod
    def longest(cls, config: Mapping[str, Any], epochs: int, epsilon: float, delta: float) -> int:
        """One."""
        return 1

    def generator(self) -> Generator:
        """Draws from what was measured."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What was measured."""
        return self.generator().content()


def moments_content(moments: Sequence[ClassMoments]) -> list[dict[str, Any]]:
    """Moments of each class as tensors, for a checkpoint."""
    return [{"mean": torch.from_numpy(each.mean), "covariance": torch.from_numpy(each.covariance)} for each in moments]


def moments_of(content: list[dict[str, Any]]) -> tuple[ClassMoments, ...]:
    """The moments that ``moments_content`` took apart."""
    return tuple(ClassMoments(each["mean"].numpy(), each["covariance"].numpy()) for each in content)
