"""What a ledger adds up to: composed events and epsilon by split, account and split key, and the guarantee.

Epsilon is dp_accounting's. Renyi accounting here takes the best order, so it is the figure for a sequence that was
fixed in advance; what an adaptive study states is the budget it declared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
from dp_accounting import dp_event, pld

from cohorts import SPLITS, Split, storage
from privacy.accounting.events import composed, event_fields, json_number
from privacy.accounting.rdp import epsilon_by_rdp, epsilon_of_curve, rdp_curve
from privacy.errors import LedgerError
from privacy.ledger.charge import ACCOUNTS, Account, Charge
from privacy.ledger.entries import Books, Entry
from privacy.ledger.filter import Declaration, RenyiFilter
from privacy.ledger.identity import Binding
from privacy.ledger.receipt import Receipt

DEFAULT_DELTA = 1e-5
FIRST_DIGITS = 12
COARSEST_GRID, FINEST_GRID = 1e-4, 1e-5


def epsilon_by_pld(event: dp_accounting.DpEvent, delta: float) -> float | None:
    """Epsilon by privacy loss distributions, for a sequence that was fixed in advance; None where they cannot say.

    The grid is chosen by the number of steps. Losses are rounded up to it, so a grid too coarse overstates: 2.65 at
    1e-3 for the 3,000,000 steps of Beaulieu-Jones et al. 2019, 1.47 at 1e-5.
    """
    accountant = pld.PLDAccountant(
        dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE, min(COARSEST_GRID, max(FINEST_GRID, 1 / steps(event)))
    )
    return float(accountant.compose(event).get_epsilon(delta)) if accountant.supports(event) else None


def steps(event: dp_accounting.DpEvent) -> int:
    """How many mechanisms an event composes, at least 1."""
    if isinstance(event, dp_event.SelfComposedDpEvent):
        return int(event.count) * steps(event.event)
    if isinstance(event, dp_event.ComposedDpEvent):
        return max(1, sum(steps(inner) for inner in event.events))
    return 1


@dataclass(frozen=True)
class Sum:
    """What one split's participants went through.

    Args:
        account: "release" or "internal".
        split_key: fingerprint of the key that put them into the split.
        split: which.
        charges: how many.
        event: all of them as one.
        epsilon: by Renyi accounting at the best order.
        epsilon_pld: by privacy loss distributions; None where it was not asked for or has no figure.
    """

    account: Account
    split_key: str
    split: Split
    charges: int
    event: dp_accounting.DpEvent
    epsilon: float
    epsilon_pld: float | None


@dataclass(frozen=True)
class Summary:
    """Figures of a ledger, or of it as one study sees it: everything up to the study's last reading.

    Args:
        cohort: its name.
        public: whether the cohort is public.
        study: whose view; None for the whole ledger.
        receipt: of the last entry there was.
        delta: the delta of every epsilon.
        sums: by account, split key and split.
        epsilon: what the participant who went through most went through, by Renyi accounting: the largest split, and
            over several split keys the sum.
        declaration: of the study, where it declared a budget.
        spent: by split, epsilon spent of the declared budget at the declared order.
        split_key: fingerprint of the key that the study's participants were divided by.
        other_people: cohorts whose participants are others, as a person said.
        internal_before: times that the data steward looked at real participants, up to the last entry.
        entries: what was summed.
    """

    cohort: str
    public: bool
    study: str | None
    receipt: Receipt | None
    delta: float
    sums: tuple[Sum, ...]
    epsilon: float
    declaration: Declaration | None
    spent: dict[Split, float]
    split_key: str
    other_people: tuple[str, ...]
    internal_before: int
    entries: tuple[Entry, ...]

    @property
    def last_reading(self) -> Receipt | None:
        """Of the last entry by which the study paid; what came after may tell how long it took."""
        paid = [each for each in self.entries if each.study == self.study and isinstance(each.content, Charge)]
        released = [each for each in paid if not _internal(each)]
        return Receipt(released[-1].number, released[-1].hash) if released else self.receipt

    @property
    def ledger(self) -> str:
        """Which ledger it is, in words that tell it from any other: whose, since when, and its first entry."""
        first = self.entries[0]
        return f"{self.cohort} (begun on {first.time[:10]}, first entry {first.hash[:FIRST_DIGITS]})"

    @property
    def guarantee(self) -> tuple[float, float]:
        """(epsilon, delta) that may be stated: what was declared, or else what was spent."""
        if self.declaration:
            return self.declaration.budget.epsilon, self.declaration.budget.delta
        return self.epsilon, self.delta

    def as_json(self) -> dict[str, Any]:
        """All of it for a file."""
        epsilon, delta = self.guarantee
        return {
            "cohort": self.cohort,
            "public": self.public,
            "study": self.study,
            "receipt": str(self.receipt) if self.receipt else None,
            "delta": self.delta,
            "guarantee": {"epsilon": json_number(epsilon), "delta": delta, "declared": self.declaration is not None},
            "epsilon_by_rdp": json_number(self.epsilon),
            "declaration": self.declaration.fields() if self.declaration else None,
            "spent_of_declared": {split: json_number(spent) for split, spent in self.spent.items()},
            "internal_readings_before": self.internal_before,
            "sums": [
                {
                    "account": each.account,
                    "split_key": each.split_key,
                    "split": each.split,
                    "charges": each.charges,
                    "event": event_fields(each.event),
                    "epsilon_by_rdp": json_number(each.epsilon),
                    "epsilon_by_pld": None if each.epsilon_pld is None else json_number(each.epsilon_pld),
                }
                for each in self.sums
            ],
            "entries": [_entry_json(entry) for entry in self.entries],
        }

    def write(self, file: Path) -> None:
        """Export as JSON, whole or not at all."""
        storage.write_text(file, json.dumps(self.as_json(), indent=2, allow_nan=False) + "\n")


def summarise(
    books: Books, cohort: str, public: bool, study: str | None = None, delta: float | None = None, use_pld: bool = False
) -> Summary:
    """Add up a ledger.

    Args:
        books: what it says.
        cohort: its name.
        public: whether the cohort is public.
        study: sum what counts in this study's statement: everything of any study up to its own last reading for its
            release, and what it settled later, such as which run it keeps. The whole ledger if left out.
        delta: of every epsilon; the one declared, or 1e-5, if left out.
        use_pld: also by privacy loss distributions.

    Raises:
        LedgerError: when the ledger does not know the study.
    """
    entries, own = list(books.entries), [entry for entry in books.entries if entry.study == study]
    if study is not None:
        if not own:
            raise LedgerError(f"The ledger of {cohort} has no entry for a study {study}. Check the name.")
        released = [entry for entry in own if not _internal(entry)]
        entries = entries[: (released or own)[-1].number]
    internal_before = looks(entries)
    if study is not None:
        read = [entry.number for entry in released if isinstance(entry.content, Charge)]
        entries = [entry for entry in entries if not read or entry.number <= read[-1] or entry.study == study]
    declared: RenyiFilter | None = Books(public, entries).filters.get(study) if study else None
    declaration = declared.declaration if declared else None
    since = declaration.since if declaration else 0
    counted = [entry for entry in entries[since:] if isinstance(entry.content, Charge)]
    delta = delta or (declaration.budget.delta if declaration else DEFAULT_DELTA)
    return Summary(
        cohort=cohort,
        public=public,
        study=study,
        receipt=Receipt(entries[-1].number, entries[-1].hash) if entries else None,
        delta=delta,
        sums=tuple(_sums(counted, delta, use_pld)),
        epsilon=_most_anyone_went_through(counted, delta),
        declaration=declaration,
        spent={split: declared.epsilon(split) for split in SPLITS} if declared else {},
        split_key=next((entry.split_key for entry in reversed(own) if entry.split_key), ""),
        other_people=tuple(dict.fromkeys(name for binding in books.bindings for name in binding.other_people)),
        internal_before=internal_before,
        entries=tuple(entries),
    )


def epsilon_of_study(summary: Summary, study: str, split: Split, delta: float) -> float:
    """Epsilon, by Renyi accounting, of what one study alone read of a split for its release."""
    charges = (entry.content for entry in summary.entries if isinstance(entry.content, Charge))
    events = [each.event for each in charges if (each.study, each.split, each.account) == (study, split, "release")]
    return epsilon_by_rdp(composed(events), delta)


def looks(entries: Sequence[Entry]) -> int:
    """Times that the data steward looked; one look reads all splits, and is as many entries."""
    splits = Counter(entry.content.split for entry in entries if isinstance(entry.content, Charge) and _internal(entry))
    return max(splits.values(), default=0)


def _internal(entry: Entry) -> bool:
    return isinstance(entry.content, Charge) and entry.content.account == "internal"


def charged_by_key(entries: Iterable[Entry], account: Account) -> dict[str, dict[Split, list[dp_accounting.DpEvent]]]:
    """Events on an account, by split key and split."""
    events: dict[str, dict[Split, list[dp_accounting.DpEvent]]] = {}
    for entry in entries:
        if isinstance(entry.content, Charge) and entry.content.account == account:
            by_split = events.setdefault(entry.split_key, {})
            by_split.setdefault(entry.content.split, []).append(entry.content.event)
    return events


def _sums(entries: Sequence[Entry], delta: float, use_pld: bool) -> Iterable[Sum]:
    for account in ACCOUNTS:
        for key, by_split in charged_by_key(entries, account).items():
            for split in (each for each in SPLITS if each in by_split):
                event = composed(by_split[split])
                by_pld = epsilon_by_pld(event, delta) if use_pld else None
                yield Sum(account, key, split, len(by_split[split]), event, epsilon_by_rdp(event, delta), by_pld)


def _most_anyone_went_through(entries: Sequence[Entry], delta: float) -> float:
    """The largest epsilon over all ways a participant can have fallen into splits, one split for each split key."""
    ways = [rdp_curve(dp_accounting.NoOpDpEvent())]
    for by_split in charged_by_key(entries, "release").values():
        choices = _undominated([rdp_curve(composed(events)) for events in by_split.values()])
        ways = _undominated([way + choice for way in ways for choice in choices])
    return max(epsilon_of_curve(way, delta) for way in ways)


def _undominated(curves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Those beside which no other is as large at every order: there are hardly ever many, however many there were."""
    kept: list[np.ndarray] = []
    for curve in curves:
        if not any((other >= curve).all() for other in kept):
            kept = [other for other in kept if not (curve >= other).all()]
            kept.append(curve)
    return kept


def _entry_json(entry: Entry) -> dict[str, Any]:
    kind = type(entry.content).__name__.lower()
    content = vars(entry.content) if isinstance(entry.content, Binding) else entry.content.fields()
    return {
        "number": entry.number,
        "time": entry.time,
        "kind": kind,
        **content,
        "split_key": entry.split_key,
        "versions": dict(entry.versions),
        "hash": entry.hash,
    }
