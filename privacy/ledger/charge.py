"""Charges: what is written down before participants are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import dp_accounting

from privacy.accounting.events import event_fields, event_from_fields
from privacy.errors import LedgerError

Split = Literal["train", "validation", "test"]
Account = Literal["release", "internal"]
SPLITS: tuple[Split, ...] = get_args(Split)
ACCOUNTS: tuple[Account, ...] = get_args(Account)


@dataclass(frozen=True)
class Charge:
    """One reading of participants, before it happens.

    Args:
        event: what will be run on them, as dp_accounting knows it; whole batches of steps are one event.
        split: whose participants.
        study: name of the study.
        purpose: what for, in words a reader of the ledger understands ("train epochs 1-3", "score of epoch 9").
        trial: which trial of the study, where one reads.
        account: "release" for what may leave the study, "internal" for what only the data steward sees.
    """

    event: dp_accounting.DpEvent
    split: Split
    study: str
    purpose: str
    trial: str = ""
    account: Account = "release"

    def __post_init__(self) -> None:
        """Raise LedgerError unless this can be written down and accounted for."""
        event_fields(self.event)
        if self.split not in SPLITS:
            raise LedgerError(f"split is {self.split!r}; it must be one of {', '.join(SPLITS)}.")
        if self.account not in ACCOUNTS:
            raise LedgerError(f"account is {self.account!r}; it must be one of {', '.join(ACCOUNTS)}.")
        if not self.study or not self.purpose:
            raise LedgerError("A charge names its study and its purpose; give both.")

    def fields(self) -> dict[str, Any]:
        """The charge as plain values that JSON knows."""
        return {
            "event": event_fields(self.event),
            "split": self.split,
            "study": self.study,
            "purpose": self.purpose,
            "trial": self.trial,
            "account": self.account,
        }

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Charge:
        """The charge that ``fields`` took apart; further keys are left alone."""
        names = ("split", "study", "purpose", "trial", "account")
        return cls(event_from_fields(fields["event"]), **{name: fields[name] for name in names})
