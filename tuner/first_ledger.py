"""Whether a private cohort has its ledger; if not, whether this may be the first study that ever reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import StudySettings
from analysis.study import SETTINGS_FILE
from cohorts import Schema
from privacy import LedgerError
from privacy.ledger.hash_chain import read_header
from privacy.ledger.places import has_been, ledger_file, missing
from privacy.ledger.study_record import COPY
from tuner.errors import StudyError


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

    def is_of(self, settings: StudySettings, schema: Schema) -> bool:
        """Whether it read a cohort: by what the schema said, where it stood, or whose ledger was copied."""
        digests = self.said.get("digests")
        if isinstance(digests, dict) and digests.get("cohort") == settings.digests["cohort"]:
            return True
        return self.said.get("cohort") == settings.cohort or self._cohort_of_copy() == schema.name

    def _cohort_of_copy(self) -> str | None:
        try:
            header = read_header(self.folder / COPY)
        except LedgerError:
            return None
        return None if header["public"] else str(header["cohort"])


def studies_in(out: Path) -> Iterator[EarlierStudy]:
    """Every study in a folder, whatever became of it."""
    for folder in sorted({file.parent for name in (SETTINGS_FILE, COPY) for file in out.glob(f"*/{name}")}):
        try:
            said = json.loads((folder / SETTINGS_FILE).read_bytes())
        except (OSError, ValueError, RecursionError):
            said = {}
        yield EarlierStudy(folder, said if isinstance(said, dict) else {})


def require_ledger(settings: StudySettings, schema: Schema, out: Path, new: bool) -> None:
    """Raise unless a private cohort's ledger is there, or may be begun; before anybody is read.

    Args:
        settings: of the study.
        schema: of its cohort.
        out: where studies are written; earlier ones of the same cohort are looked for there.
        new: whether a person said that the ledger is to be begun.

    Raises:
        LedgerError: it is not there.
        StudyError: it was to be begun, and is there.
    """
    if schema.public:
        return
    file = settings.ledger or ledger_file(schema)
    if file.exists():
        if new:
            raise StudyError(
                f"The cohort {schema.name} has a ledger at {file} already, and what it holds counts. Leave "
                "--new-ledger out."
            )
        return
    if has_been(file) or not new:
        raise LedgerError(missing(schema.name, file))
    earlier = next((each for each in studies_in(out) if each.is_of(settings, schema)), None)
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
