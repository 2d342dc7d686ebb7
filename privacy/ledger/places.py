"""Where a ledger lies, with its key and its receipts beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cohorts import Schema
from cohorts.user_data import KEY_BYTES, user_data
from privacy.errors import LedgerError


def ledger_file(schema: Schema) -> Path:
    """Where a cohort's ledger is kept unless a person says otherwise: beside its split key."""
    return ledger_file_of(schema.name)


def ledger_file_of(cohort: str) -> Path:
    """The same by the cohort's name."""
    return user_data() / "cohorts" / cohort / "ledger.db"


def ledgers() -> list[Path]:
    """Every ledger in the data directory."""
    return sorted((user_data() / "cohorts").glob("*/ledger.db"))


def key_file(file: Path) -> Path:
    """Where the key of a private cohort's ledger is kept: beside it."""
    return file.with_name(file.name + ".key")


def receipts_file(file: Path) -> Path:
    """Where a ledger's receipts of internal readings and of what was settled are kept: beside it."""
    return file.with_name(file.name + ".receipts")


def ledger_key(header: Mapping[str, Any], *places: Path) -> bytes:
    """The key of a ledger: in the first of some places that has one, or made from a public cohort's name."""
    if header["public"]:
        name = f"dpgan-tune ledger of the public cohort {header['cohort']}"
        return hashlib.blake2b(name.encode(), digest_size=KEY_BYTES).digest()
    place = next((each for each in places if each.exists()), None)
    key = place.read_bytes() if place else b""
    if len(key) != KEY_BYTES:
        raise LedgerError(
            f"The key of the cohort {header['cohort']}'s ledger is {'damaged' if place else 'missing'}: it should be "
            f"{KEY_BYTES} bytes in {place or places[0]}. Without it there is no telling whether the ledger was edited, "
            "and nothing can be added. Restore it from a backup."
        )
    return key
