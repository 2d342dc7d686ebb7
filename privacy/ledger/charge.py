"""Charges: what is written down before participants are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import dp_accounting

from cohorts import SPLITS, Cohort, Split
from privacy.accounting.events import event_fields, event_from_fields
from privacy.errors import LedgerError
from privacy.mechanisms.mechanism import Kind, Mechanism

Account = Literal["release", "internal"]
ACCOUNTS: tuple[Account, ...] = get_args(Account)
KINDS: tuple[Kind, ...] = get_args(Kind)

# Entries of version 0.1 have no kind; it follows from the first word of their purpose.
KINDS_OF_OLD: dict[str, Kind] = {
    "train": "training",
    "score": "scores",
    "buy": "measurement",
    "search": "private selection",
}


@dataclass(frozen=True)
class Charge:
    """One reading of participants, before it happens.

    Args:
        event: what will be run on them, as dp_accounting knows it; whole batches of steps are one event.
        split: whose participants.
        study: name of the study.
        purpose: what for, in words a reader of the ledger understands ("train epochs 1 to 3", "score epoch 9").
        trial: which trial of the study, where one reads.
        account: "release" for what may leave the study, "internal" for what only the data steward sees.
        kind: what for, as texts and tables are keyed by it.
    """

    event: dp_accounting.DpEvent
    split: Split
    study: str
    purpose: str
    trial: str = ""
    account: Account = "release"
    kind: Kind = "training"

    def __post_init__(self) -> None:
        """Raise LedgerError unless this can be written down and accounted for."""
        event_fields(self.event)
        _require_one_of("split", self.split, SPLITS)
        _require_one_of("account", self.account, ACCOUNTS)
        _require_one_of("kind", self.kind, KINDS)
        if not self.study or not self.purpose:
            raise LedgerError("A charge names its study and its purpose; give both.")

    @classmethod
    def of(cls, mechanism: Mechanism, cohort: Cohort, purpose: Purpose) -> Charge:
        """The charge for running a mechanism once on one split.

        Raises:
            LedgerError: the cohort is no split.
        """
        split = split_of(cohort)
        return cls(mechanism.event, split, purpose.study, purpose.words, purpose.trial, kind=mechanism.kind)

    def fields(self) -> dict[str, Any]:
        """The charge as plain values that JSON knows."""
        return {
            "event": event_fields(self.event),
            "split": self.split,
            "study": self.study,
            "purpose": self.purpose,
            "trial": self.trial,
            "account": self.account,
            "reads_for": self.kind,
        }

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Charge:
        """The charge that ``fields`` took apart; further keys are left alone."""
        names = ("split", "study", "purpose", "trial", "account")
        charge = {name: fields[name] for name in names}
        return cls(event_from_fields(fields["event"]), **charge, kind=fields.get("reads_for") or _kind_of_old(charge))


@dataclass(frozen=True)
class Purpose:
    """What a mechanism is to be run for.

    Args:
        study: name of the study.
        words: what for, as the ledger will say it.
        trial: which trial of the study, where one reads.
    """

    study: str
    words: str
    trial: str = ""


def split_of(cohort: Cohort) -> Split:
    """Which split a cohort is, so that whoever is opened is who was charged.

    Raises:
        LedgerError: it is none.
    """
    if cohort.split is None:
        raise LedgerError(f"All participants of {cohort.schema.name} cannot be read together; read one split of them.")
    return cohort.split


def _kind_of_old(charge: dict[str, Any]) -> Kind:
    if charge["account"] == "internal":
        return "internal"
    return KINDS_OF_OLD.get(charge["purpose"].partition(" ")[0], "training")


def _require_one_of(what: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise LedgerError(f"{what} is {given!r}; it must be one of {', '.join(known)}.")
