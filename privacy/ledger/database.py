"""SQLite as the ledger needs it: every commit synced before it returns, and every error said in a paragraph."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from privacy.errors import LedgerError

WAIT_FOR_OTHERS_S = 60.0
FULL = 2  # what SQLite answers for synchronous = FULL


@contextlib.contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say about a file into a LedgerError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        hint = "check the disk and its permissions"
        if "locked" in str(error):
            hint = "another process holds it; wait for it to end"
        elif "no such table" in str(error):
            hint = (
                "it is empty or not a ledger; restore it from a backup (or, if its very first creation was "
                "interrupted, remove it and its key)"
            )
        raise LedgerError(f"The ledger {file} cannot be used ({error}): {hint}. Nothing was charged.") from None
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"The ledger {file} is damaged ({error}). Restore the newest copy from a backup.") from None
    except OSError as error:
        raise LedgerError(
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


def make_durable(database: sqlite3.Connection) -> None:
    """Have every commit return only after it is on disk, and nothing deleted stay in the file."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {FULL}")
    database.execute("PRAGMA secure_delete = ON")


def is_durable(database: sqlite3.Connection) -> bool:
    """Whether ``make_durable`` was heeded."""
    (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
    (journal,) = database.execute("PRAGMA journal_mode").fetchone()
    return bool(synchronous == FULL and journal == "wal")
