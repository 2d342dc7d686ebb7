"""What comes through the door: participants, and the mechanism that was paid for and may be run on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from cohorts import Participants
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.mechanism import Mechanism

M = TypeVar("M", bound=Mechanism)


@dataclass(frozen=True)
class Reading(Generic[M]):
    """Participants who were opened for one mechanism. Sensitive, unless they are a surrogate's.

    Whoever runs the mechanism takes its rate, noise, clip norm and steps from here, where they are what was charged.

    Args:
        participants: whom.
        mechanism: what was charged.
        receipt: of the charge; None where nothing had to be charged.
    """

    participants: Participants
    mechanism: M
    receipt: Receipt | None
