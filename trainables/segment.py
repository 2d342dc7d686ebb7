"""A segment of one trial: what it will run on participants, and where it pays for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from privacy.ledger.reading import M, Reading
from privacy.policies.policy import Access


@dataclass(frozen=True)
class Segment(Generic[M]):
    """Training that a trial asks for; public, and small enough to be sent to where it will happen.

    Args:
        trial: its name, for the ledger.
        mechanism: what will be charged, and what the training takes its rate, noise, clip norm and steps from.
        words: what for, such as ``train epochs 1 to 3``.
        epochs: how many.
        seeds: of its random streams, by name; None, the only value allowed for a private cohort, has the operating
            system fill them where the training happens.
    """

    trial: str
    mechanism: M
    words: str
    epochs: int
    seeds: Mapping[str, int] | None

    def pay(self, access: Access) -> Reading[M]:
        """Pay for it, and only then open the participants, in this process.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
        """
        return access.training(self.trial, self.mechanism, self.words)
