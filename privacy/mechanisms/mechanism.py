"""What all mechanisms have in common: they can say what they cost before they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import dp_accounting

Kind = Literal["training", "scores", "measurement", "private selection", "internal"]
"""What a reading of participants was for; texts and tables for people are keyed by it."""


class Mechanism(Protocol):
    """Something that is run on participants. Every field is public."""

    @property
    def kind(self) -> Kind:
        """What it is for."""

    @property
    def event(self) -> dp_accounting.DpEvent:
        """The charge of running it; written to the ledger before it runs."""

    @property
    def unit(self) -> dp_accounting.DpEvent:
        """Its smallest part that may run by itself, such as one step."""

    @property
    def times(self) -> int:
        """How many such parts it has."""


class Whole:
    """A mechanism that runs at once or not at all."""

    @property
    def event(self) -> dp_accounting.DpEvent:
        """The charge of running it; written to the ledger before it runs."""
        raise NotImplementedError

    @property
    def unit(self) -> dp_accounting.DpEvent:
        """All of it."""
        return self.event

    @property
    def times(self) -> int:
        """Once."""
        return 1


@dataclass(frozen=True)
class Exact(Whole):
    """Anything at all, without noise: for the data steward alone, or where no budget is declared.

    Args:
        kind: what it is for.
    """

    kind: Kind = "internal"

    @property
    def event(self) -> dp_accounting.DpEvent:
        """No noise, no bound."""
        return dp_accounting.NonPrivateDpEvent()
