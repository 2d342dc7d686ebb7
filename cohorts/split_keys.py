"""The key that decides who of a cohort is in which split, and that its participants are sealed with."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from cohorts.errors import CohortError
from cohorts.schema import Schema
from cohorts.user_data import KEY_BYTES, is_there, ledgers_folders, write_once

KEY_FILE = "split.key"

# Drawn in this process for cohorts whose ledger is not begun yet: a command that is refused leaves no key behind.
_drawn: dict[Path, bytes] = {}


def split_key(schema: Schema) -> bytes:
    """The key of the split of a cohort whose ledger has the schema's name; see `split_key_of`."""
    return split_key_of(schema.name, schema.public)


def split_key_of(cohort: str, public: bool) -> bytes:
    """The key of a cohort's split.

    A public cohort's is derived from its name. A private one's is drawn once from the operating system, and kept from
    when its ledger is begun (`keep_split_key`).

    Raises:
        CohortError: when the kept one cannot be read or is damaged.
    """
    if public:
        return hashlib.blake2b(f"dpgan-tune public cohort {cohort}".encode(), digest_size=KEY_BYTES).digest()
    file = split_key_file(cohort)
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        return _drawn.setdefault(file, secrets.token_bytes(KEY_BYTES))
    except OSError as error:
        raise _unusable(cohort, file, error) from None
    if len(key) != KEY_BYTES:
        raise CohortError(
            f"The split key {file} is damaged: it has {len(key)} bytes, not {KEY_BYTES}. Restore it "
            "from a backup. With a new key participants would change splits, and earlier privacy charges "
            "would have to be summed over all of them."
        )
    return key


def keep_split_key(cohort: str, public: bool) -> None:
    """Keep a private cohort's key where every process and every later study finds it.

    Raises:
        CohortError: it cannot be written, or another process has just kept another.
    """
    if public:
        return
    file = split_key_file(cohort)
    key = _drawn.pop(file, None) or split_key_of(cohort, public)
    try:
        kept = write_once(file, key)
    except OSError as error:
        raise _unusable(cohort, file, error) from None
    if kept != key:
        raise CohortError(
            f"Another command has just kept the split key of the cohort {cohort}, in {file}. Run this one again, with "
            "that key."
        )


def split_key_file(cohort: str) -> Path:
    """Where a private cohort's key is kept: with its ledger; where there is none, in the first place for ledgers."""
    places = [folder / cohort / KEY_FILE for folder in ledgers_folders()]
    return next((place for place in places if is_there(place)), places[0])


def _unusable(cohort: str, file: Path, error: OSError) -> CohortError:
    return CohortError(
        f"The split key of the cohort {cohort} cannot be kept in {file} ({error.strerror}). "
        "Make that place writable, or set the environment variable DPGAN_TUNE_DATA."
    )
