"""Whether a private cohort has its ledger; if not, whether this may be the first study that ever reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohorts import Schema
from privacy.errors import LedgerError
from privacy.ledger.hash_chain import read_header
from privacy.ledger.places import has_been, ledger_file, missing
from privacy.ledger.study_record import COPY, SETTINGS

RUN = "run.json"  # what the paper's command was asked for


@dataclass(frozen=True)
class EarlierStudy:
    """A study that lies in a folder of studies.

    Args:
        folder: its own.
        said: its settings, as far as they can be read: another version may have written them.
    """

    folder: Path
    said: dict[str, Any]

    @property
    def ledger(self) -> Path | None:
        """The ledger that it was charged to, where one was named and is there."""
        named = self.said.get("ledger")
        try:
            return Path(named) if isinstance(named, str) and Path(named).is_file() else None
        except (OSError, ValueError):  # no file can be called so
            return None

    def is_of(self, cohort: str, schema: Schema, digest: str | None) -> bool:
        """Whether it read a cohort: by what the schema said, where it stood, or whose ledger was copied."""
        digests = self.said.get("digests")
        if digest is not None and isinstance(digests, dict) and digests.get("cohort") == digest:
            return True
        return self.said.get("cohort") == cohort or self._cohort_of_copy() == schema.name

    def _cohort_of_copy(self) -> str | None:
        try:
            header = read_header(self.folder / COPY)
        except LedgerError:
            return None
        return None if header["public"] else str(header["cohort"])


def studies_in(out: Path) -> Iterator[EarlierStudy]:
    """Every study in a folder, and every run of the paper's command, whatever became of it."""
    for folder in sorted({file.parent for name in (SETTINGS, RUN, COPY) for file in out.glob(f"*/{name}")}):
        said = (_said(folder / name) for name in (SETTINGS, RUN))
        yield EarlierStudy(folder, next((each for each in said if each), {}))


def _said(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def ledgers_named_in(out: Path) -> tuple[Path, ...]:
    """Ledgers that studies in a folder were charged to, wherever they lie."""
    return tuple(named for each in studies_in(out) if (named := each.ledger))


def require_ledger(
    cohort: str, schema: Schema, named: Path | None, out: Path, new: bool, digest: str | None = None
) -> None:
    """Raise unless a private cohort's ledger is there, or may be begun; before anybody is read.

    Args:
        cohort: a study's, as it was named.
        schema: of it.
        named: the ledger, where it is not in the folder for ledgers.
        out: where studies are written; earlier ones of the same cohort are looked for there.
        new: whether a person said that the ledger is to be begun.
        digest: of what the schema says, where studies write it down.

    Raises:
        LedgerError: it is not there; or it was to be begun, and is.
    """
    if schema.public:
        return
    file = named or ledger_file(schema)
    if file.exists():
        if new:
            raise LedgerError(
                f"The cohort {schema.name} has a ledger at {file} already, and what it holds counts. Leave "
                "--new-ledger out."
            )
        return
    if has_been(file) or not new:
        raise LedgerError(missing(schema.name, file))
    earlier = next((each for each in studies_in(out) if each.is_of(cohort, schema, digest)), None)
    if earlier is None:
        return
    where = (
        f"name it with --ledger {earlier.ledger}"
        if earlier.ledger
        else ("restore it from a backup (python -m privacy restore FILE), or say where it is with --ledger FILE")
    )
    raise LedgerError(
        f"{earlier.folder} holds an earlier study of the cohort {schema.name}, so there was a ledger before, and it is "
        f"not at {file}. What that study read still counts: {where}. If it was of other people under the same schema, "
        "move its folder elsewhere first."
    )
