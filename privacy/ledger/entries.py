"""What a ledger's entries say, read in their order, and what each study has left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dp_accounting

from cohorts import SPLITS, Split
from privacy.accounting.budget import ROUNDING
from privacy.accounting.events import composed
from privacy.errors import LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.commitment import Commitment, Settled
from privacy.ledger.filter import Declaration, RenyiFilter
from privacy.ledger.hash_chain import Row
from privacy.ledger.identity import Binding
from privacy.ledger.receipt import Receipt

Content = Binding | Declaration | Charge | Commitment


@dataclass(frozen=True)
class Entry:
    """One entry of a ledger.

    Args:
        number: from 1.
        time: when it was written, UTC, ISO 8601.
        content: what it says.
        split_key: fingerprint of the split key in use, for a charge.
        versions: packages that were in use.
        hash: its place in the chain.
    """

    number: int
    time: str
    content: Content
    split_key: str
    versions: Mapping[str, str]
    hash: str

    @property
    def study(self) -> str | None:
        """Which study wrote it; None for a binding."""
        return None if isinstance(self.content, Binding) else self.content.study

    @classmethod
    def from_row(cls, row: Row) -> Entry:
        """Read a row of the chain.

        Raises:
            LedgerError: when another version wrote it.
        """
        try:
            fields: dict[str, Any] = json.loads(row.content)
            content = _content(fields.pop("kind"), fields)
            split_key = fields.get("split_key", "")
            return cls(row.number, fields["time"], content, split_key, fields["versions"], row.hash)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise LedgerError(
                f"Entry {row.number} of the ledger cannot be read ({error}). Use the version that wrote it."
            ) from None


def _content(kind: str, fields: dict[str, Any]) -> Content:
    if kind == "charge":
        return Charge.from_fields(fields)
    if kind == "declaration":
        return Declaration.from_fields(fields)
    if kind == "commitment":
        return Commitment.from_fields(fields)
    if kind == "binding":
        train, validation, test = fields["shares"]
        shares, others = (train, validation, test), tuple(fields.get("other_people", ()))
        generation = fields.get("generation", 0)  # older ledgers name none
        return Binding(fields["ids"], fields["schema"], fields["split_key"], shares, others, generation)
    raise LedgerError(f"its kind {kind!r} is unknown")


class Books:
    """A ledger's entries and what follows from them.

    Args:
        public: whether the cohort may start afresh.
        entries: to begin with, in their order.
    """

    def __init__(self, public: bool, entries: Iterable[Entry] = ()) -> None:
        self._public = public
        self.entries: list[Entry] = []
        self.bindings: list[Binding] = []
        self.filters: dict[str, RenyiFilter] = {}
        self.faults: list[str] = []
        for entry in entries:
            self.take(entry)

    @property
    def receipt(self) -> Receipt | None:
        """Of the last entry; None where there is none."""
        return Receipt(self.entries[-1].number, self.entries[-1].hash) if self.entries else None

    @property
    def since(self) -> int:
        """The entry up to which a study declared now need not count, unless it starts afresh itself."""
        declared = [each.content.since for each in self.entries if isinstance(each.content, Declaration)]
        return declared[-1] if declared else 0

    def take(self, entry: Entry) -> None:
        """Take in the next entry."""
        content = entry.content
        if isinstance(content, Binding):
            self.bindings.append(content)
        elif isinstance(content, Declaration):
            self._declare(entry.number, content)
        elif isinstance(content, Charge):
            self._charge(entry, content)
        self.entries.append(entry)

    def settled(self, study: str, what: Settled) -> list[str]:
        """Digests of what a study settled, in their order; empty where it did not."""
        contents = (entry.content for entry in self.entries)
        return [
            each.digest
            for each in contents
            if isinstance(each, Commitment) and (each.study, each.what) == (study, what)
        ]

    def charged(self, study: str) -> bool:
        """Whether a study has read anyone for its release."""
        return any(charge.study == study for _, charge in self.release_charges())

    def release_charges(self, since: int = 0) -> list[tuple[Entry, Charge]]:
        """Charges on the release account after an entry."""
        return [
            (entry, entry.content)
            for entry in self.entries[since:]
            if isinstance(entry.content, Charge) and entry.content.account == "release"
        ]

    def spent_event(self, split: Split, split_key: str, since: int) -> dp_accounting.DpEvent | None:
        """What one split's participants went through, other split keys' charges all included; None for nothing."""
        events = [
            charge.event
            for entry, charge in self.release_charges(since)
            if charge.split == split or entry.split_key != split_key
        ]
        return composed(events) if events else None

    def inherited_order(self, split: Split, since: int) -> float | None:
        """The order at which a split was first declared; None before the first reading.

        An order chosen after results were seen would not be covered.
        """
        if not self.release_charges(since):
            return None
        for entry in self.entries:
            if isinstance(entry.content, Declaration) and entry.content.since >= since:
                return entry.content.orders[split]
        return None

    def filter_of(self, declaration: Declaration) -> RenyiFilter:
        """A declaration's filter that has counted everything so far."""
        counting = RenyiFilter(declaration)
        for entry, charge in self.release_charges(declaration.since):
            counting.count(charge, entry.split_key)
        return counting

    def _declare(self, number: int, declaration: Declaration) -> None:
        for split in SPLITS:
            allowed = declaration.budget.allowance(declaration.orders[split])
            if declaration.allowances[split] > allowed * (1 + ROUNDING):
                self.faults.append(f"the declaration in entry {number} allows the {split} split more than its epsilon")
        if declaration.since and not self._public:
            self.faults.append(f"the declaration in entry {number} leaves out earlier charges of a private cohort")
        self.filters[declaration.study] = self.filter_of(declaration)

    def _charge(self, entry: Entry, charge: Charge) -> None:
        for counting in self.filters.values():
            counting.count(charge, entry.split_key)
        own = self.filters.get(charge.study)
        if own and charge.account == "release" and own.overspent:
            self.faults.append(
                f"the study {charge.study} is overspent: with entry {entry.number} its {own.overspent} participants "
                f"were charged more than its declared epsilon {own.declaration.budget.epsilon:g} allows"
            )
