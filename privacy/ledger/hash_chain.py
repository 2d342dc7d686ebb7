"""The ledger's file: rows in SQLite that are only ever added, each hashed over the one before with a secret key.

A row is on disk before ``append`` returns: write-ahead log, every commit synced. Whoever edits, inserts, reorders or
swaps rows without the key is caught when the chain is read; whoever removes the last rows, by whoever holds a receipt.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohorts import storage
from cohorts.user_data import KEY_BYTES, write_once
from privacy.accounting.events import canonical_json
from privacy.errors import LedgerError, Misnamed
from privacy.ledger.database import connect, explained, files_of, is_durable, make_durable
from privacy.ledger.places import a_folder, key_file

FORMAT = 1
COHORT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")  # it also names a folder

TABLES = """
CREATE TABLE header (content TEXT NOT NULL);
CREATE TABLE entries (number INTEGER PRIMARY KEY, content TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TRIGGER entries_stay BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are only ever added'); END;
CREATE TRIGGER entries_last BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are only ever added'); END;
"""

# Besides the chain: whom the ledger knows, and secrets of searches under way.
# No study's copy has them.
SIDE_TABLES = """
CREATE TABLE IF NOT EXISTS participants (fingerprint TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secrets (study TEXT, number INTEGER, content TEXT NOT NULL, PRIMARY KEY (study, number));
"""
SECRETS = "secrets"
FINGERPRINTS = ("participants", "respelled")  # the second is of ledgers that were begun before November 2026


@dataclass(frozen=True)
class Row:
    """One row of the chain: its number (from 1), its content as it was hashed, and its hash."""

    number: int
    content: str
    hash: str


class Chain:
    """An open ledger file.

    Args:
        file: where it lies.
        key: what rows are hashed with.
        read_only: open for reading alone, as a copy in a study is.
    """

    def __init__(self, file: Path, key: bytes, read_only: bool = False) -> None:
        self.file, self._key = file, key
        with explained(file):
            self._database = connect(file, "ro" if read_only else "rw")
            if not read_only:
                make_durable(self._database, file)
                for statement in SIDE_TABLES.strip().splitlines():
                    self._database.execute(statement)
            self._inode = file.stat().st_ino
            self.header: dict[str, Any] = read_header(file)
            self._genesis = self._hash("", 0, canonical_json(self.header))
        self.count, self.head = 0, self._genesis

    def new_rows(self) -> list[Row]:
        """Rows that anyone added since the last call, verified.

        Raises:
            LedgerError: when what was read before is no longer there, or a row does not follow from the one before.
        """
        with explained(self.file):
            self._require_same_file()
            select = "SELECT number, content, hash FROM entries WHERE number >= ? ORDER BY number"
            rows = [Row(*row) for row in self._database.execute(select, (max(self.count, 1),))]
        if self.count and (not rows or (rows[0].number, rows[0].hash) != (self.count, self.head)):
            raise LedgerError(
                f"The ledger {self.file} changed under this process: entry {self.count}, which was read before, is "
                "missing or different. Someone replaced or rolled back the file; restore the newest copy from a backup."
            )
        fresh = rows[1:] if self.count else rows
        self._require_links(fresh)
        if fresh:
            self.count, self.head = fresh[-1].number, fresh[-1].hash
        return fresh

    def rewind(self) -> None:
        """Have ``new_rows`` read the whole file again."""
        self.count, self.head = 0, self._genesis

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other writers out of the block; what it appends is written whole and synced, or not at all."""
        with explained(self.file):
            self._require_same_file()
            self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with explained(self.file):
                self._database.execute("ROLLBACK")
            raise
        with explained(self.file):
            try:
                self._database.execute("COMMIT")
            except sqlite3.Error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            self._require_same_file()

    def append(self, contents: Sequence[str]) -> None:
        """Add rows, inside ``alone`` and after ``new_rows``; the next ``new_rows`` gives them back."""
        number, head = self.count, self.head
        with explained(self.file):
            for content in contents:
                number, head = number + 1, self._hash(head, number + 1, content)
                self._database.execute("INSERT INTO entries VALUES (?, ?, ?)", (number, content, head))

    def copy_into(self, database: sqlite3.Connection) -> None:
        """Have another database hold the same, at once."""
        self._database.backup(database)

    def copy_to(self, target: Path, whole: bool = False) -> None:
        """Write everything into one new file for this user alone, whole or not at all.

        Args:
            target: to write.
            whole: with the fingerprints of participants, of which there are as many as people; else the entries alone,
                which are public. Searches under way leave their secrets here: what their runs may still do would be
                what it was when the copy was made.
        """
        partial = target.with_name(target.name + ".partial")
        with explained(target):
            partial.unlink(missing_ok=True)
            storage.begin_private_file(partial)
            copy = sqlite3.connect(partial, isolation_level=None)
            self.copy_into(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            for table in (SECRETS, *(() if whole else FINGERPRINTS)):
                copy.execute(f"DROP TABLE IF EXISTS {table}")
            copy.execute("VACUUM")  # what was dropped is not left in free pages
            copy.close()
            storage.sync(partial)
            partial.replace(target)
            storage.sync(target.parent)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @property
    def participants(self) -> set[str]:
        """Fingerprints of everybody the ledger was ever bound to; empty in one that version 0.1 began."""
        found: set[str] = set()
        with explained(self.file):
            for table in FINGERPRINTS:
                if self._has(table):
                    found |= {str(each) for (each,) in self._database.execute(f"SELECT fingerprint FROM {table}")}
        return found

    def remember(self, fingerprints: Sequence[str]) -> None:
        """Know further participants; inside ``alone``."""
        with explained(self.file):
            insert = "INSERT OR IGNORE INTO participants VALUES (?)"
            self._database.executemany(insert, ((each,) for each in fingerprints))

    def secrets(self, study: str) -> dict[int, Any]:
        """What ``keep_secrets`` kept for a study, by number."""
        with explained(self.file):
            select = "SELECT number, content FROM secrets WHERE study = ? ORDER BY number"
            rows = self._database.execute(select, (study,)).fetchall()
        return {int(number): self._unsealed(study, int(number), str(content)) for number, content in rows}

    def keep_secrets(self, study: str, contents: Mapping[int, Any]) -> None:
        """Keep or replace some of a study's secrets; inside ``alone``."""
        with explained(self.file):
            rows = ((study, number, self._sealed(study, number, content)) for number, content in contents.items())
            self._database.executemany("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?)", rows)

    def forget_secrets(self, study: str) -> None:
        """Remove a study's secrets for good; inside ``alone``."""
        with explained(self.file):
            self._database.execute("DELETE FROM secrets WHERE study = ?", (study,))

    def _sealed(self, study: str, number: int, content: Any) -> str:
        seal = self.fingerprint(["secret", study, number, content])
        return canonical_json({"content": content, "seal": seal})

    def _unsealed(self, study: str, number: int, text: str) -> Any:
        try:
            kept = json.loads(text)
            content, seal = kept["content"], str(kept["seal"])
        except (ValueError, TypeError, KeyError, RecursionError):
            content, seal = None, ""
        if not _alike(seal, self.fingerprint(["secret", study, number, content])):
            raise LedgerError(
                f"What the ledger {self.file} keeps of the search of the study {study} was edited, or is of an earlier "
                "version. No participant may be read for it: begin a new study."
            )
        return content

    def _has(self, table: str) -> bool:
        found = self._database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
        return found.fetchone() is not None

    @property
    def durable(self) -> bool:
        """Whether a commit returns only after the row is synced."""
        return is_durable(self._database, self.file)

    def fingerprint(self, what: Any) -> str:
        """Keyed hash of anything JSON knows: the same value gives the same, and nobody without the key can guess."""
        return hmac.new(self._key, b"fingerprint\n" + canonical_json(what).encode(), hashlib.sha256).hexdigest()

    def _hash(self, previous: str, number: int, content: str) -> str:
        return hmac.new(self._key, f"{previous}\n{number}\n{content}".encode(), hashlib.sha256).hexdigest()

    def _require_links(self, rows: Sequence[Row]) -> None:
        number, head = self.count, self.head
        for row in rows:
            number, head = number + 1, self._hash(head, number + 1, str(row.content))
            if row.number != number or not _alike(str(row.hash), head):
                where = "was not written with its key" if number == 1 else f"is broken at entry {number}"
                raise LedgerError(
                    f"The ledger {self.file} {where}: an entry was edited, added, removed or reordered, or the file "
                    "was swapped with another cohort's. Restore the newest copy from a backup."
                )

    def _require_same_file(self) -> None:
        try:
            same = self.file.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        if not same:
            raise LedgerError(
                f"The ledger {self.file} was removed or replaced while it was in use. Restore the newest copy from a "
                "backup; nothing further may be read without it."
            )


def _alike(one: str, other: str) -> bool:
    """Whether two hashes are the same; what somebody put in the place of one may be any text."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


def create_chain(file: Path, header: dict[str, Any], keep_key: bool) -> None:
    """Create an empty ledger file with its header, unless there is one; of several creators the first wins.

    Args:
        file: where; the folder is made.
        header: what the first hash is made of.
        keep_key: draw a key from the operating system and keep it in ``key_file``. A header without a key, or the
            other way round, is what a crash in mid-creation leaves at worst.
    """
    with explained(file):
        storage.make_private_folder(file.parent)
        made = storage.begin_private_file(file)
        try:
            with contextlib.closing(connect(file, "rw")) as database:
                _begin(database, file, {"format": FORMAT, **header}, keep_key)
        except BaseException:
            if made:  # a disk that is full, say: nobody has charged anything to it
                for part in (key_file(file), *files_of(file)):
                    part.unlink(missing_ok=True)
            raise


def _begin(database: sqlite3.Connection, file: Path, header: dict[str, Any], keep_key: bool) -> None:
    make_durable(database, file)
    database.execute("BEGIN IMMEDIATE")
    if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
        if keep_key:
            write_once(key_file(file), os.urandom(KEY_BYTES))
        for statement in TABLES.strip().splitlines():
            database.execute(statement)
        database.execute("INSERT INTO header VALUES (?)", (canonical_json(header),))
    database.execute("COMMIT")


def read_header(file: Path) -> dict[str, Any]:
    """A ledger's header; what it says is true only if the chain holds.

    Raises:
        LedgerError: when there is no ledger.
    """
    if file.is_dir():
        raise Misnamed(a_folder(file))
    if not file.is_file():
        raise LedgerError(
            f"There is no ledger at {file}. It records what was already read of the participants, so nothing may be "
            "read or released without it: restore it from a backup, or say where it is."
        )
    with explained(file):
        database = connect(file, "ro")
        try:
            (content,) = database.execute("SELECT content FROM header").fetchone() or ("{}",)
        finally:
            database.close()
    try:
        header = json.loads(content)
        named = COHORT_NAME.fullmatch(header["cohort"]) is not None
        known = header["format"] == FORMAT and named and isinstance(header["public"], bool)
    except (ValueError, TypeError, KeyError, RecursionError):
        known = False
    if not known:
        raise LedgerError(
            f"{file} is not a ledger that this version knows. Restore it from a backup, or use the version that wrote "
            "it."
        )
    return dict(header)
