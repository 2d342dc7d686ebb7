"""Where a ledger lies, with its key and its receipts beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cohorts import Schema
from cohorts.user_data import KEY_BYTES, is_there, ledgers_folders
from privacy.errors import LedgerError

LEDGER, KEY_ENDING = "ledger.db", ".key"


def ledger_file(schema: Schema) -> Path:
    """Where a cohort's ledger is kept unless a person says otherwise: beside its split key."""
    return ledger_file_of(schema.name)


def ledger_file_of(cohort: str) -> Path:
    """The same by the cohort's name: where there is one, or else in the first folder for ledgers."""
    places = [folder / cohort / LEDGER for folder in ledgers_folders()]
    return next((place for place in places if is_there(place) or has_been(place)), places[0])


def has_been(file: Path) -> bool:
    """Whether a private cohort's ledger was there once, by what lies beside it."""
    return is_there(key_file(file)) or is_there(receipts_file(file))


def a_folder(file: Path) -> str:
    """What is to be said of a folder that was named for a ledger."""
    return f"{file} is a folder, and a ledger is a file, mostly {LEDGER}; name that."


def missing(cohort: str, file: Path) -> str:
    """What is to be said of a private cohort's ledger that is not there."""
    if has_been(file):
        return (
            f"The ledger {file} is missing though its key is there, or its receipts: someone removed it. It records "
            "what was already read of the participants, so nothing may be read without it. Restore it from a backup "
            "(python -m privacy restore FILE)."
        )
    return (
        f"The cohort {cohort} has no ledger at {file}. A ledger records everything that is ever read of the "
        "participants, by whoever reads it. If this study is the first that reads them, begin it with --new-ledger. If "
        "there was another, its ledger still counts: name it with --ledger FILE, or restore it from a backup (python "
        "-m privacy restore FILE)."
    )


def ledgers() -> list[Path]:
    """Every ledger in the folders for ledgers."""
    return [file for folder in ledgers_folders() for file in sorted(folder.glob(f"*/{LEDGER}"))]


def key_file(file: Path) -> Path:
    """Where the key of a private cohort's ledger is kept: beside it."""
    return file.with_name(file.name + KEY_ENDING)


def receipts_file(file: Path) -> Path:
    """Where a ledger's receipts of every charge and of what was settled are kept: beside it."""
    return file.with_name(file.name + ".receipts")


def ledger_key(header: Mapping[str, Any], *places: Path) -> bytes:
    """The key of a ledger: in the first of some places that has one, or made from a public cohort's name."""
    if header["public"]:
        name = f"dpgan-tune ledger of the public cohort {header['cohort']}"
        return hashlib.blake2b(name.encode(), digest_size=KEY_BYTES).digest()
    place = next((each for each in places if each.exists()), None)
    own = places[-1].with_name(places[-1].name.removesuffix(KEY_ENDING))
    if place is None and len(places) > 1 and not is_there(own):
        raise LedgerError(
            f"The ledger of the cohort {header['cohort']}, {own}, is missing, and its key with it, so a study's copy "
            "of it cannot be checked. Restore it from a backup (python -m privacy restore FILE), or name where it lies "
            "with --ledger FILE."
        )
    key = place.read_bytes() if place else b""
    if len(key) != KEY_BYTES:
        raise LedgerError(
            f"The key of the cohort {header['cohort']}'s ledger is {'damaged' if place else 'missing'}: it should be "
            f"{KEY_BYTES} bytes in {place or places[0]}. Without it there is no telling whether the ledger was edited, "
            "and nothing can be added. Restore it from a backup."
        )
    return key
