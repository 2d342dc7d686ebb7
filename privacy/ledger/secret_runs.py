"""Runs of a secret number, charged whole before the first: drawn once, read for piece by piece, decided once.

What was drawn, and how much of it each run has used, lies beside the chain in the ledger's own file; the chain keeps a
hash. So nothing is unlimited because it was paid once: a run reads no more than the run that stands for all was charged
for, whatever crashes or is removed, and there is no second draw.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dp_accounting
from dp_accounting import dp_event

from cohorts import Cohort, Split
from privacy.accounting.events import canonical_json, event_fields
from privacy.accounting.private_selection import LawOfRuns, dominated
from privacy.errors import BudgetExhausted, LedgerError
from privacy.ledger.charge import Charge, split_of
from privacy.ledger.commitment import digest_of
from privacy.ledger.ledger import Ledger, opened
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.mechanism import Mechanism


@dataclass(frozen=True)
class Allowance:
    """What one run may do on one split.

    Args:
        split: whose participants.
        unit: one step of training, or one release of scores.
        times: how often, what a crash makes it do again included.
    """

    split: Split
    unit: dp_accounting.DpEvent
    times: int

    @property
    def event(self) -> dp_accounting.DpEvent:
        """All of it."""
        return dp_event.SelfComposedDpEvent(self.unit, self.times)


@dataclass(frozen=True)
class Run:
    """One run as it was drawn.

    Args:
        config: of its trial.
        allowances: what it may do.
    """

    config: Mapping[str, Any]
    allowances: tuple[Allowance, ...]


class SecretRuns:
    """The account of one study's runs.

    Args:
        ledger: of the cohort, open where its file lies.
        study: name of the study.
    """

    def __init__(self, ledger: Ledger, study: str) -> None:
        self._ledger, self._study = ledger, study

    @property
    def paid(self) -> Receipt | None:
        """Receipt of the charge for all runs; None where there is none yet."""
        entries = [entry for entry in self._ledger.books.entries if self._pays(entry.content)]
        return Receipt(entries[-1].number, entries[-1].hash) if entries else None

    def configurations(self, draw: Callable[[], Run] | None = None) -> list[Mapping[str, Any]]:
        """Every run's configuration; drawn now, as many as the law that was charged for gives, unless they were before.

        Args:
            draw: one run, without regard to any result; None where they must have been drawn before.

        Raises:
            LedgerError: nothing was charged, a run would cost more than was charged, or what was drawn is lost.
        """
        ledger = self._ledger
        with ledger.lock, ledger.chain.alone():
            known = ledger.chain.secrets(self._study)
            settled = ledger.books.settled(self._study, "runs drawn")
            if not settled and draw is None:
                raise LedgerError(
                    f"The study {self._study} has not drawn its runs. No participant may be read for them."
                )
            if not settled and draw is not None:
                charged = self._charged()
                law = next(iter(charged.values()))
                drawn = [draw() for _ in range(LawOfRuns(mean=law.mean, shape=law.shape).draw())]
                for run in drawn:
                    self._require_dominated(run, charged)
                known = {number: _fields(run) for number, run in enumerate(drawn)}
                ledger.chain.keep_secrets(self._study, known)
                ledger.append_settled(self._study, "runs drawn", _digest(known))
            if not known:
                raise LedgerError(
                    f"The runs that the study {self._study} drew are no longer in the ledger {ledger.file}, and what "
                    "was charged pays for one draw. A backup does not hold them, since what they have used since would "
                    "be forgotten. Begin a new study."
                )
            ledger.require_same_division(self._study)
        if draw is not None:
            ledger.catch_up()
        return [known[number]["config"] for number in sorted(known)]

    def read(self, cohort: Cohort, number: int, mechanism: M) -> Reading[M]:
        """The door for a part of one run. What it takes is noted, durably, before anybody is opened.

        Raises:
            BudgetExhausted: the run may not do so much any more; nobody was read.
            LedgerError: there is no such run, or it may do nothing of this kind.
        """
        paid = self.take(number, split_of(cohort), unit_text(mechanism), mechanism.times)
        return Reading(opened(cohort), mechanism, paid)

    def take(self, number: int, split: Split, unit: str, times: int) -> Receipt:
        """Note that a run is about to do something; see ``read``.

        Args:
            number: of the run.
            split: whose participants.
            unit: from ``unit_text``.
            times: how often.

        Returns:
            Receipt of the charge for all runs.
        """
        ledger, paid = self._ledger, self.paid
        with ledger.lock, ledger.chain.alone():
            run = ledger.chain.secrets(self._study).get(number)
            if run is None or paid is None:
                raise LedgerError(f"The study {self._study} has no such run under way. No participant was read.")
            ledger.require_same_division(self._study)
            left = run["left"].get(f"{split} {unit}")
            if left is None:
                raise LedgerError(f"A run of the study {self._study} asked for what it was not charged for.")
            if left < times:
                raise BudgetExhausted(
                    "A run was interrupted more often than it was charged for. No participant was read."
                )
            run["left"][f"{split} {unit}"] = left - times
            ledger.chain.keep_secrets(self._study, {number: run})
        return paid

    def decide(self, digest: str) -> Receipt:
        """Keep one run, of which this is the digest, and forget all; returns the receipt of that.

        Raises:
            LedgerError: one was kept before.
        """
        ledger = self._ledger
        with ledger.lock, ledger.chain.alone():
            if ledger.books.settled(self._study, "winner kept"):
                raise LedgerError(
                    f"The study {self._study} has kept a run before, and what was charged pays for one choice. Another "
                    "process went on with it: see which, and keep that one's results."
                )
            ledger.append_settled(self._study, "winner kept", digest)
            ledger.chain.forget_secrets(self._study)
        return ledger.catch_up()

    def decided(self, digest: str | None) -> bool:
        """Whether one run was kept.

        Args:
            digest: of what lies where it was kept; None where nothing does.

        Raises:
            LedgerError: it was, and what lies there is another, or nothing.
        """
        if not self._ledger.books.settled(self._study, "winner kept"):
            return False
        if digest is None or not self._ledger.settled(self._study, "winner kept", digest):
            raise LedgerError(
                f"The run that the study {self._study} kept has since been removed or changed. What was charged pays "
                "for one choice: restore it from a backup, or begin a new study."
            )
        return True

    def has_kept(self, winner: Path) -> bool:
        """The same of a folder, which need not be there."""
        return self.decided(digest_of(winner) if winner.is_dir() else None)

    def _pays(self, content: Any) -> bool:
        whole = isinstance(content, Charge) and isinstance(content.event, dp_event.RepeatAndSelectDpEvent)
        return whole and content.study == self._study

    def _charged(self) -> dict[Split, dp_event.RepeatAndSelectDpEvent]:
        contents = [entry.content for entry in self._ledger.books.entries if self._pays(entry.content)]
        charged = {each.split: each.event for each in contents if isinstance(each, Charge)}
        if not charged:
            raise LedgerError(f"The study {self._study} has not charged its runs. No participant may be read for them.")
        return charged

    def _require_dominated(self, run: Run, charged: Mapping[Split, dp_event.RepeatAndSelectDpEvent]) -> None:
        for allowance in run.allowances:
            law = charged.get(allowance.split)
            if law is None or not dominated(allowance.event, law.event):
                raise LedgerError(
                    f"A run of the study {self._study} would cost more on the {allowance.split} participants than "
                    "was charged for every run. Nothing was drawn."
                )


def unit_text(mechanism: Mechanism) -> str:
    """The smallest part of a mechanism, as an allowance is found by."""
    return canonical_json(event_fields(mechanism.unit))


def _fields(run: Run) -> dict[str, Any]:
    left = {f"{each.split} {canonical_json(event_fields(each.unit))}": each.times for each in run.allowances}
    return {"config": dict(run.config), "left": left}


def _digest(drawn: Mapping[int, Any]) -> str:
    return json.dumps({str(number): content for number, content in drawn.items()}, sort_keys=True)
