"""What comes through a door: participants, after it was written down what for."""

from __future__ import annotations

from dataclasses import dataclass

from cohorts import Participants
from privacy.ledger.receipt import Receipt


@dataclass(frozen=True)
class Reading:
    """Participants who were opened. Sensitive, unless they are a surrogate's.

    Args:
        participants: whom.
        receipt: of the charge; None where nothing had to be charged.
    """

    participants: Participants
    receipt: Receipt | None
