"""SQLite as the ledger needs it: every commit synced before it returns, and every error said in a paragraph."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from privacy.errors import LedgerError, LedgerUnavailable

WAIT_FOR_OTHERS_S = 60.0
FULL, EXTRA = 2, 3  # what SQLite answers for synchronous

PRIMARY = 0xFF  # of an error code; the rest says more of the same
PASSING = {
    sqlite3.SQLITE_BUSY: "another process holds it; wait for it to end",
    sqlite3.SQLITE_LOCKED: "another process holds it; wait for it to end",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_READONLY: "make the file, its folder and its disk writable for you",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder readable and writable for you",
    sqlite3.SQLITE_PERM: "make the file and its folder readable and writable for you",
    sqlite3.SQLITE_IOERR: "check its disk, which may be full",
}
"""What is to be done about SQLite's errors that pass."""

PASSING_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""The operating system's."""

MOUNTS = Path("/proc/self/mountinfo")
SHARED_BY_MACHINES = (
    "nfs",
    "cifs",
    "smb",
    "fuse",
    "9p",
    "afs",
    "ceph",
    "lustre",
    "gpfs",
    "gfs",
    "ocfs",
    "beegfs",
    "pvfs",
)
"""How the names of file systems begin on which several machines may have the same file open."""


@contextlib.contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say about a file into a LedgerError.

    Raises:
        LedgerUnavailable: it may work later.
        LedgerError: it will not.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if not hasattr(error, "sqlite_errorcode"):  # said by Python's module: of text that is no UTF-8, with all of it
            raise LedgerError(
                f"The ledger {file} is damaged (an entry is no text). Restore the newest copy from a backup."
            ) from None
        hint = PASSING.get(error.sqlite_errorcode & PRIMARY)
        if hint:
            raise LedgerUnavailable(
                f"The ledger {file} cannot be used just now ({error}): {hint}. Nothing may be read until then."
            ) from None
        raise LedgerError(
            f"The ledger {file} cannot be used ({error}): it is empty or not a ledger; restore it from a backup (or, "
            "if its very first creation was interrupted, remove it and its key)."
        ) from None
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise LedgerError(
                f"{file} is no ledger, or one whose beginning is damaged ({error}). Restore the newest copy from "
                "a backup, or name a ledger."
            ) from None
        raise LedgerError(f"The ledger {file} is damaged ({error}). Restore the newest copy from a backup.") from None
    except OSError as error:
        kind = LedgerUnavailable if error.errno in PASSING_ERRORS else LedgerError
        raise kind(
            f"The ledger cannot be kept in {file} ({error.strerror}). Make that place usable, or name another one."
        ) from None


def connect(file: Path, mode: str) -> sqlite3.Connection:
    """A connection to a file that exists, which waits for others to finish writing.

    Args:
        file: where.
        mode: ``ro`` or ``rw``.
    """
    address = f"file:{quote(str(file.absolute()))}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=WAIT_FOR_OTHERS_S, isolation_level=None, check_same_thread=False)


def holds_a_ledger(file: Path) -> bool:
    """Whether a file is a database with a ledger's header, or one that cannot be read just now or is damaged."""
    try:
        with contextlib.closing(connect(file, "ro")) as database:
            return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'header'").fetchone() is not None
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB


def files_of(file: Path) -> tuple[Path, ...]:
    """A database's file and those that SQLite may keep beside it, the file last."""
    return (*(file.with_name(file.name + ending) for ending in ("-wal", "-shm", "-journal")), file)


def make_durable(database: sqlite3.Connection, file: Path) -> None:
    """Have every commit return only after it is on disk, and nothing deleted stay in the file.

    A write-ahead log is the quicker way, but the machines that share a network file system do not share the memory
    that it is read by. There the rollback journal is used, which needs no more than the file system's locks.
    """
    database.execute(f"PRAGMA journal_mode = {'DELETE' if is_shared_by_machines(file) else 'WAL'}")
    database.execute(f"PRAGMA synchronous = {EXTRA}")  # a journal's removal is synced, too
    database.execute("PRAGMA secure_delete = ON")


def is_durable(database: sqlite3.Connection, file: Path) -> bool:
    """Whether ``make_durable`` was heeded."""
    (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
    (journal,) = database.execute("PRAGMA journal_mode").fetchone()
    return bool(synchronous >= FULL and journal == ("delete" if is_shared_by_machines(file) else "wal"))


def is_shared_by_machines(file: Path) -> bool:
    """Whether a file lies on a network file system, as far as the system says."""
    return file_system(file).startswith(SHARED_BY_MACHINES)


def file_system(file: Path) -> str:
    """The type of the file system that a file lies on, such as ``ext4``; empty where the system does not say."""
    device = file.stat().st_dev
    try:
        mounts = MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    here = f"{os.major(device)}:{os.minor(device)}"
    return next((line.split(" - ")[1].split()[0] for line in mounts if line.split()[2] == here), "")
