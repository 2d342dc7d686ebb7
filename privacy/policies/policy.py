"""What a search policy does for a trial: it pays, and only then opens participants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from cohorts import Cohort, Participants
from privacy.accounting.dpsgd import TrainingCharge
from privacy.ledger.charge import Charge
from privacy.ledger.reading import Reading
from privacy.ledger.receipt import Receipt


class Books(Protocol):
    """Where charges are written down: the ledger itself, or its client on another node."""

    def charge(self, charges: Charge | Sequence[Charge]) -> Receipt:
        """Write down what is about to be read."""

    def read(self, cohort: Cohort, charges: Charge | Sequence[Charge]) -> Reading:
        """Write down what is about to be read, then open the participants."""


class PaidBooks(Protocol):
    """Where what was charged whole may be read piece by piece."""

    def read_again(self, cohort: Cohort, paid: Receipt) -> Reading:
        """Open participants for a search that was charged whole."""


class Judge(Protocol):
    """Classifiers that were trained on synthetic participants and may be tried on real ones."""

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Their names."""

    def rankings(self, participants: Participants) -> list[np.ndarray]:
        """What each says of each participant, larger for class 1: (n,), each computed from that participant alone."""

    def exact(self, participants: Participants) -> dict[str, float]:
        """Figures without noise, ``auc_`` and the classifier's name among them: not private."""


class Policy(Protocol):
    """Says what the search may read, and charges it. Participants are opened only after the charge is written."""

    @property
    def reads_participants(self) -> bool:
        """Whether real participants are read at all."""

    def training(self, trial: str, charge: TrainingCharge, epochs: str, cohort: Any) -> Reading:
        """Pay for a segment of training, and open its participants.

        Raises:
            BudgetExhausted: it does not fit any more; nothing was read.
        """

    def scores(self, trial: str, epoch: int, cohort: Any, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Pay for one epoch's scores, and release them.

        Returns:
            ``auc_`` and the name of each classifier, with its AUC, and perhaps more; and the charge's receipt.

        Raises:
            BudgetExhausted: they do not fit any more; nothing was read.
        """
