"""What a study buys once and keeps in a file: paid for before, settled in the ledger, and free ever after."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cohorts import Cohort, storage
from cohorts.interrupts import finished_first
from privacy.errors import LedgerError, LedgerUnavailable
from privacy.ledger.charge import Purpose
from privacy.ledger.commitment import Settled
from privacy.ledger.ledger import Ledger
from privacy.ledger.reading import M, Reading
from privacy.policies.policy import Door

BOUGHT: Settled = "statistics bought"
MEASURED_FILE, MOMENTS_FILE = "measured.json", "surrogate.json"
ROOM = 2**26
"""Bytes that must be free before anything is bought: what is paid for and cannot be written is lost."""


def bought_once(
    door: Door, name: str, cohorts: Sequence[Cohort], mechanism: M, words: str, release: Callable[[Reading[M]], str]
) -> str:
    """The text of a file with what a study bought, now or when it began.

    A digest of it is settled in the ledger before it is written, so a study goes on with what it paid for and with
    nothing else: not with another study's file, nor with one that a ledger rolled back to before the payment ignores.
    From the charge until the file is kept, Ctrl-C waits, since a charge without a file is lost.

    Args:
        door: of the study, which declared a budget.
        name: of the file.
        cohorts: splits to read, as if they were one.
        mechanism: what to run on them, if that was not done.
        words: what for.
        release: runs it, and writes what it released as text.

    Raises:
        BudgetExhausted: it does not fit.
        LedgerError: it was bought before and is not there any more, or what is there was not bought.
        LedgerUnavailable: there is no room to keep it; nothing was charged.
    """
    ledger, file = door.ledger, door.kept / name
    if not any(charge.study == door.study and charge.purpose == words for _, charge in ledger.books.release_charges()):
        if file.exists():
            raise LedgerError(
                f"{file} is there, and the ledger {ledger.file} knows of no payment for it by the study {door.study}: "
                "the ledger is an older copy, or the file is another study's. Restore the newest ledger from a "
                "backup, or begin a study under another name."
            )
        if shutil.disk_usage(door.kept).free < ROOM:
            raise LedgerUnavailable(
                f"The disk of {door.kept} has less than {ROOM >> 20} MiB left, and what is paid for must be kept "
                "there. Nothing was charged, and nobody was read. Make room, and go on with --resume."
            )
        with finished_first():
            reading = ledger.read_together(cohorts, mechanism, Purpose(door.study, words))
            assert reading.receipt is not None
            door.keep(reading.receipt)
            text = release(reading)
            storage.write_text(_unsettled(file), text)
            door.keep(ledger.settle(door.study, BOUGHT, _digest(text)))
            _unsettled(file).replace(file)
    return _kept(ledger, door.study, file)


def require_as_bought(ledger: Ledger, study: str, folder: Path) -> None:
    """Find what a study bought in its folder, as it was bought.

    Raises:
        LedgerError: it is missing, or something else.
    """
    if ledger.books.settled(study, BOUGHT):
        _kept(ledger, study, next((each for each in _files(folder) if each.exists()), folder / MEASURED_FILE))
    elif found := [each for each in _files(folder) if each.exists()]:
        raise LedgerError(
            f"{found[0]} is there, and the ledger {ledger.file} does not know what the study {study} bought: the "
            "ledger is an older copy, or the file is another study's. Restore the newest ledger from a backup."
        )


def _unsettled(file: Path) -> Path:
    """Where what was bought lies until the ledger has its digest."""
    return file.with_name(f".{file.name}.unsettled")


def _files(folder: Path) -> tuple[Path, ...]:
    return folder / MEASURED_FILE, folder / MOMENTS_FILE


def _kept(ledger: Ledger, study: str, file: Path) -> str:
    unsettled = _unsettled(file)
    if not file.exists() and unsettled.exists() and ledger.settled(study, BOUGHT, _digest(unsettled.read_text())):
        unsettled.replace(file)
    if not file.exists():
        raise LedgerError(
            f"The study {study} has paid for its measurements, and {file}, which holds them, is not there. "
            "They cannot be bought twice within one budget: restore the file from a backup, or begin a study "
            "under another name, with a budget that leaves room for what was spent."
        )
    text = file.read_text()
    if not ledger.settled(study, BOUGHT, _digest(text)):
        raise LedgerError(
            f"{file} does not hold what the study {study} paid for: the file was changed, or is another study's. "
            "Restore it from a backup, or begin a study under another name."
        )
    return text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
