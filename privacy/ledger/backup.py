"""Ledgers with their keys in one private file, and back to where they belong: never back in time."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from cohorts import storage
from cohorts.split_keys import split_key_file
from cohorts.user_data import ledgers_folders, write_once
from privacy.errors import LedgerError, LedgerUnavailable, Misnamed
from privacy.ledger.database import connect, explained, files_of
from privacy.ledger.hash_chain import Chain
from privacy.ledger.journal import Journal
from privacy.ledger.places import LEDGER, key_file, ledger_file_of, ledger_key, receipts_file
from privacy.ledger.receipt import Receipt, read_receipts, record_receipt

FORMAT, MANIFEST, SPLIT_KEY = 1, "backup.json", "split.key"
PARTS = (LEDGER, f"{LEDGER}.key", f"{LEDGER}.receipts", SPLIT_KEY)
NEWER = "Restore a newer backup; what was read since this one was made would be forgotten."


@dataclass(frozen=True)
class Held:
    """One ledger as a backup holds it, or as it was restored.

    Args:
        cohort: whose.
        file: where it lies.
        entries: how many it has.
        changed: whether anything had to be written.
    """

    cohort: str
    file: Path
    entries: int
    changed: bool = True


def write_backup(target: Path, files: Sequence[Path]) -> list[Held]:
    """Write ledgers, each checked, with their keys and receipts into one file for this user alone.

    Args:
        target: a file that does not exist; it is written whole or not at all.
        files: the ledgers.

    Raises:
        Misnamed: there is nothing to write, or the file is there.
        LedgerError: one of them does not pass its check.
        LedgerUnavailable: the file cannot be written.
    """
    if target.exists():
        raise Misnamed(f"{target} is there already, and an older backup is not written over. Name another file.")
    if not target.parent.is_dir():
        raise Misnamed(f"The folder {target.parent} does not exist. Make it first, or name a file in another folder.")
    if not files:
        raise Misnamed(f"There is no ledger in {', '.join(map(str, ledgers_folders()))}, so nothing to back up.")
    archive, held = BytesIO(), []
    with TemporaryDirectory() as folder, zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number, file in enumerate(files):
            with contextlib.closing(Journal.open(file, read_only=True)) as journal:
                journal.verify()
                copy = Path(folder) / str(number)
                journal.chain.copy_to(copy, whole=True)
                held.append(Held(journal.cohort, file, len(journal.books.entries)))
                parts = {LEDGER: copy, **_beside(file, journal)}
            for name, part in parts.items():
                zipped.writestr(f"{number}/{name}", part.read_bytes())
        zipped.writestr(MANIFEST, json.dumps({"format": FORMAT, "ledgers": len(held)}))
    with explained(target):
        storage.write_bytes(target, archive.getvalue(), private=True)
    return held


def restore(backup: Path, file: Path | None = None, told: Sequence[tuple[str, Receipt]] = ()) -> list[Held]:
    """Put the ledgers of a backup where they belong; all of them or, where one may not be, none.

    Args:
        backup: from ``write_backup``.
        file: where to put the one ledger it holds; in the folder for ledgers by default.
        told: receipts of studies, each with its cohort's name, that the ledgers must contain.

    Raises:
        Misnamed: it is no backup, or holds several ledgers for one file.
        LedgerError: a ledger would forget entries that it, its receipts or studies know of.
    """
    with TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        files = list(_unpacked(backup, Path(folder)))
        held = [opened.enter_context(contextlib.closing(Journal.open(each))) for each in files]
        if file and len(held) != 1:
            raise Misnamed(f"{backup} holds {len(held)} ledgers, which cannot all be put into {file}.")
        for journal in held:
            journal.verify([receipt for cohort, receipt in told if cohort == journal.cohort])
        targets = [file or ledger_file_of(journal.cohort) for journal in held]
        standing = [_standing(journal, target) for journal, target in zip(held, targets, strict=True)]
        return [_put(*each) for each in zip(held, targets, standing, strict=True)]


def _beside(file: Path, journal: Journal) -> dict[str, Path]:
    """What belongs to a ledger besides its file, as far as it is there."""
    parts = {f"{LEDGER}.key": key_file(file), f"{LEDGER}.receipts": receipts_file(file)}
    if not journal.public:
        parts[SPLIT_KEY] = split_key_file(journal.cohort)
    return {name: part for name, part in parts.items() if part.exists()}


def _unpacked(backup: Path, folder: Path) -> Iterator[Path]:
    """The ledgers of a backup, each in a folder of its own with what belongs to it."""
    try:
        with zipfile.ZipFile(backup) as zipped:
            said = json.loads(zipped.read(MANIFEST))
            if said["format"] != FORMAT:
                raise ValueError(said["format"])
            for number in range(said["ledgers"]):
                place = folder / str(number)
                place.mkdir(mode=0o700)
                for name in {*PARTS} & {each.partition("/")[2] for each in zipped.namelist()}:
                    with contextlib.suppress(KeyError):  # another ledger's
                        storage.write_bytes(place / name, zipped.read(f"{number}/{name}"), private=True)
                yield place / LEDGER
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError, NotImplementedError) as error:
        problem = getattr(error, "strerror", None) or "it is none"
        raise Misnamed(
            f"{backup} cannot be read as a backup of ledgers: {problem[0].lower()}{problem[1:]}. Give a file that "
            "`python -m privacy backup` wrote with this version."
        ) from None


Standing = Literal["missing", "damaged", "behind", "the same"]


def _standing(journal: Journal, target: Path) -> Standing:
    """How what stands in a ledger's place compares with a backup's.

    Raises:
        LedgerError: the backup's may not take its place.
    """
    _require_same_key(journal, key_file(target), key_file(journal.file))
    if not journal.public:
        _require_same_key(journal, split_key_file(journal.cohort), journal.file.with_name(SPLIT_KEY))
    if receipts_file(target).exists():
        _require_known(journal, read_receipts(receipts_file(target)), receipts_file(target))
    if not target.exists():
        return "missing"
    try:
        # Its key may be missing, which the backup has.
        standing = Journal(Chain(target, ledger_key(journal.chain.header, key_file(journal.file)), read_only=True))
    except LedgerUnavailable:
        raise
    except LedgerError:
        return "damaged"
    with contextlib.closing(standing):
        last = standing.receipt
    _require_known(journal, [last] if last else [], target)
    return "the same" if last == journal.receipt else "behind"


def _require_same_key(journal: Journal, standing: Path, kept: Path) -> None:
    if standing.exists() and kept.exists() and standing.read_bytes() != kept.read_bytes():
        raise LedgerError(
            f"{standing} is not the key that the backup holds for the cohort {journal.cohort}: there is another ledger "
            "of that name. Restore to another place with --ledger FILE, or under another DPGAN_TUNE_DATA."
        )


def _require_known(journal: Journal, receipts: Sequence[Receipt], where: Path) -> None:
    """Raise LedgerError unless a backup's ledger holds everything that another place knows of."""
    try:
        journal.require(receipts)
    except LedgerError:
        most = max(receipt.count for receipt in receipts)
        raise LedgerError(
            f"The backup holds {len(journal.books.entries)} entries of the ledger of {journal.cohort}, and {where} "
            f"knows of {most} or of others. {NEWER}"
        ) from None


def _put(journal: Journal, target: Path, standing: Standing) -> Held:
    """Put one ledger and what belongs to it in place; what is there already stays."""
    held = Held(journal.cohort, target, len(journal.books.entries), standing != "the same")
    with explained(target):
        storage.make_private_folder(target.parent)
        for part, place in (
            (journal.file.with_name(SPLIT_KEY), split_key_file(journal.cohort)),
            (key_file(journal.file), key_file(target)),
        ):
            if part.exists():
                write_once(place, part.read_bytes())
        if standing == "damaged":
            target.rename(target.with_name(f"{target.name}.damaged-{datetime.now(UTC):%Y%m%d%H%M%S}"))
        if standing in ("missing", "damaged"):
            _copy_new(journal, target)
        elif standing == "behind":  # in its own file, which others may have open
            with contextlib.closing(connect(target, "rw")) as database:
                journal.chain.copy_into(database)
        known = set(read_receipts(receipts_file(target))) if receipts_file(target).exists() else set()
        own = receipts_file(journal.file)
        for receipt in [each for each in (read_receipts(own) if own.exists() else ()) if each not in known]:
            record_receipt(receipts_file(target), receipt)
    return held


def _copy_new(journal: Journal, target: Path) -> None:
    for left in files_of(target)[:-1]:  # of a file that is no longer there
        left.unlink(missing_ok=True)
    journal.chain.copy_to(target, whole=True)
