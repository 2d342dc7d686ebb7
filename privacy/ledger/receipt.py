"""Receipts: what a reader of participants keeps as proof of what the ledger said.

A ledger can be replaced by an older copy of itself, whose chain is whole. Whoever was told a later count and head
hash can tell. Trials keep receipts in their checkpoints, a study in ``study.db`` and in ``receipts.jsonl``, and a
release in its manifest.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from cohorts import storage
from privacy.errors import LedgerError

HASH_PATTERN = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class Receipt:
    """The ledger held ``count`` entries and the last one's hash was ``head``.

    Args:
        count: entries so far, at least 1.
        head: hash of the last one, 64 hexadecimal digits.
    """

    count: int
    head: str

    def __post_init__(self) -> None:
        """Raise LedgerError for what no ledger ever said."""
        if type(self.count) is not int or self.count < 1 or not HASH_PATTERN.fullmatch(str(self.head)):
            raise LedgerError(
                f"{self.count!r}:{self.head!r} is not a receipt of a ledger; a receipt is a count, a colon and 64 "
                "hexadecimal digits. Give it as it was written down."
            )

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        return f"{self.count}:{self.head}"

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Read back what ``str`` gave."""
        count, _, head = text.partition(":")
        return cls(int(count) if count.isdecimal() else 0, head)


def record_receipt(file: Path, receipt: Receipt, cohort: str | None = None) -> None:
    """Add a receipt to a file, synced, in one write that concurrent writers do not tear apart; the whole of it or none.

    Args:
        file: where receipts are kept.
        receipt: what a ledger said.
        cohort: whose ledger it is, where the file lies away from it.

    Raises:
        OSError: it cannot be written, for want of space, say.
    """
    whose = {} if cohort is None else {"cohort": cohort}
    line = json.dumps({**asdict(receipt), **whose}).encode() + b"\n"
    storage.begin_private_file(file)
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND)
    try:
        with contextlib.suppress(OSError):  # on a file system that cannot lock
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        end = _without_what_was_cut_short(descriptor)
        if os.write(descriptor, line) < len(line):
            os.ftruncate(descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _without_what_was_cut_short(descriptor: int) -> int:
    """Where a file of lines ends, after its last line was taken off if a crash or a full disk left it unfinished."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        end = os.pread(descriptor, end, 0).rfind(b"\n") + 1
        os.ftruncate(descriptor, end)
    return end


def read_receipts(file: Path) -> tuple[Receipt, ...]:
    """Every receipt in a file that ``record_receipt`` wrote; a last line cut short by a crash is left out.

    Raises:
        LedgerError: when the file cannot be read or holds something else.
    """
    try:
        lines = _whole_lines(file)
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"The receipts in {file} cannot be read ({error}). Restore the file.") from None
    receipts = []
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            receipts.append(Receipt(fields["count"], fields["head"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise LedgerError(
                f"Line {number} of {file} is not a receipt: someone edited the file. Restore it from a backup."
            ) from None
    return tuple(receipts)


def _whole_lines(file: Path) -> list[str]:
    """All lines but a last one that a crash cut short."""
    text = file.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def cohort_named(file: Path) -> str | None:
    """Whose ledger receipts are of, by a file that ``read_receipts`` can read; None where it names nobody's."""
    lines = _whole_lines(file)
    names = [name for line in lines if isinstance(name := json.loads(line).get("cohort"), str)]
    return names[-1] if names else None
