"""A ledger's entries in step with its file: read on, added to, looked up by receipts, copied."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from privacy.accounting.events import canonical_json
from privacy.errors import LedgerError
from privacy.ledger.commitment import Commitment, Settled
from privacy.ledger.database import explained
from privacy.ledger.entries import Books, Entry
from privacy.ledger.hash_chain import Chain, read_header
from privacy.ledger.places import key_file, ledger_file_of, ledger_key, receipts_file
from privacy.ledger.receipt import Receipt, read_receipts, record_receipt
from privacy.versions import installed_versions

PACKAGES = ("dpgan-tune", "dp-accounting", "opendp", "opacus", "torch")


class Journal:
    """The entries of an open ledger. Several processes may have the same one open; what they write is taken in turn.

    Args:
        chain: the file.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain, self.lock = chain, threading.RLock()
        self._books = Books(chain.header["public"])
        self.read_on()

    @classmethod
    def open(cls, file: Path, read_only: bool = False, copied_from: Path | None = None) -> Self:
        """A ledger that exists.

        Args:
            file: where it lies.
            read_only: only to print, check or copy it.
            copied_from: the ledger that it is a copy of, which has the key; by default the one in the folder for
                ledgers.

        Raises:
            LedgerError: when it does not exist or is damaged.
        """
        header = read_header(file)
        places = [key_file(file)]
        if read_only:  # a copy in a study has no key of its own; nothing may be added to it
            places.append(key_file(copied_from or ledger_file_of(header["cohort"])))
        return cls(Chain(file, ledger_key(header, *places), read_only))

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.chain.file

    @property
    def cohort(self) -> str:
        """Name of the cohort it was begun for."""
        return str(self.chain.header["cohort"])

    @property
    def public(self) -> bool:
        """Whether that cohort is public."""
        return bool(self.chain.header["public"])

    @property
    def books(self) -> Books:
        """What the entries say, those of other processes included."""
        with self.lock:
            self.read_on()
            return self._books

    @property
    def told_apart(self) -> frozenset[str]:
        """Cohorts whose participants are others than this ledger's, as a person said."""
        return frozenset(name for binding in self.books.bindings for name in binding.other_people)

    @property
    def receipt(self) -> Receipt | None:
        """Of the last entry; None in a ledger without entries."""
        return self.books.receipt

    @property
    def durable(self) -> bool:
        """Whether a charge is synced before it is acknowledged."""
        return self.chain.durable

    def settle(self, study: str, what: Settled, digest: str) -> Receipt:
        """Write down something that the study settles; its digest is kept under the ledger's key."""
        with self.lock, self.chain.alone():
            self.append_settled(study, what, digest)
        return self.catch_up()

    def append_settled(self, study: str, what: Settled, digest: str) -> None:
        """``settle`` as a part of what is written together inside ``chain.alone``; call ``catch_up`` after that."""
        self.read_on()
        self.append("commitment", [Commitment(study, what, self.chain.fingerprint([what, digest])).fields()])

    def catch_up(self) -> Receipt:
        """Read what was written, and keep a receipt of it beside the ledger."""
        with self.lock:
            self.read_on()
            receipt = self._books.receipt
        assert receipt is not None
        self._keep_receipt(receipt)
        return receipt

    def settled(self, study: str, what: Settled, digest: str) -> bool:
        """Whether this is what the study settled last."""
        return self.chain.fingerprint([what, digest]) in self.books.settled(study, what)[-1:]

    def ever_settled(self, study: str, what: Settled, digest: str) -> bool:
        """Whether this is among what the study settled."""
        return self.chain.fingerprint([what, digest]) in self.books.settled(study, what)

    def verify(self, receipts: Iterable[Receipt] = ()) -> None:
        """Read the whole file again and check everything that can be.

        Args:
            receipts: what trials, studies and releases were told.

        Raises:
            LedgerError: for a broken chain, a receipt that is not found, or an overspent budget.
        """
        with self.lock:
            self.chain.rewind()
            self._books = Books(self.public)
            self.read_on()
            self.require([*receipts, *self._own_receipts()])
            if self._books.faults:
                raise LedgerError(
                    f"The ledger {self.file} is whole, but {'; '.join(self._books.faults)}. Release nothing from it; "
                    "find out which program wrote these entries."
                )

    def copy_to(self, target: Path) -> None:
        """Write a copy of the entries into one file, whole or not at all."""
        with self.lock:
            self.chain.copy_to(target)

    def close(self) -> None:
        """Let go of the file."""
        self.chain.close()

    def read_on(self) -> None:
        """Take in what was written since; other processes write, too."""
        try:
            for row in self.chain.new_rows():
                self._books.take(Entry.from_row(row))
        except LedgerError:  # a row that was not taken in must be met again, not skipped
            self.chain.rewind()
            self._books = Books(self.public)
            raise

    def append(self, kind: str, contents: Sequence[dict[str, Any]]) -> None:
        """Write entries of one kind, inside ``chain.alone`` and after ``read_on``."""
        common = {
            "kind": kind,
            "time": datetime.now(UTC).isoformat(timespec="microseconds"),
            "versions": installed_versions(PACKAGES),
        }
        self.chain.append([canonical_json({**content, **common}) for content in contents])

    def _keep_receipt(self, receipt: Receipt) -> None:
        with explained(self.file):
            record_receipt(receipts_file(self.file), receipt)

    def _own_receipts(self) -> tuple[Receipt, ...]:
        file = receipts_file(self.file)
        return read_receipts(file) if file.exists() else ()

    def require(self, receipts: Iterable[Receipt]) -> None:
        """Raise LedgerError unless the ledger still holds what these receipts are of."""
        entries = self._books.entries
        for receipt in receipts:
            if receipt.count > len(entries):
                raise LedgerError(
                    f"The ledger {self.file} has {len(entries)} entries, but there is a receipt for {receipt.count}: "
                    "it was rolled back to an older copy, or its last entries were removed. Restore the newest copy."
                )
            if entries[receipt.count - 1].hash != receipt.head:
                raise LedgerError(
                    f"Entry {receipt.count} of the ledger {self.file} is not the one a receipt names: the file was "
                    "rolled back and then added to, or it is another cohort's. Restore the newest copy from a backup."
                )
