"""What candidates have in common that measure participants once and draw from that: a trial of one epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from privacy.planning.allocation import Allocation
from trainables.candidate import Generator


class MeasuredOnce:
    """The part of a ``Candidate`` that does not depend on what is measured."""

    decided_by_budget: ClassVar[frozenset[str]] = frozenset({"rho"})

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
