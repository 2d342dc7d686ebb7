"""Files in, the text of a first schema out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cohorts.drafting.headers import SCHEMAS, read_header
from cohorts.drafting.layout import lay_out
from cohorts.drafting.text import schema_text
from cohorts.errors import CohortError


def draft_schema(files: Sequence[Path], out: Path | None = None) -> str:
    """Draft a schema of some files from names, types, labels and formats of their columns.

    What is left to say is marked TODO, what is guessed is marked guess. No value of a participant is read: the result
    is the same whatever the rows hold, and however many there are.

    Args:
        files: at least one; CSV, Parquet, XLSX, SAS, SPSS or Stata.
        out: where the schema will lie (the working directory by default): it is named after it, and the paths of its
            tables are relative to it.

    Returns:
        A schema in YAML.

    Raises:
        CohortError: when a file is absent or unreadable, or two have the same name.
    """
    layout = lay_out([read_header(file) for file in files])
    stem = out.stem if out is not None else next(iter(layout.tables))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "trial"
    return schema_text(layout, name, out.parent if out is not None else Path())


def write_draft(files: Sequence[Path], out: Path) -> None:
    """Draft a schema into a new file; arguments as for `draft_schema`.

    Raises:
        CohortError: also when `out` exists, or cannot be written.
    """
    if out.is_dir():
        raise CohortError(f"{out} is a folder; name the schema to write, for example {out / 'my-trial.yaml'}.")
    if out.suffix.lower() not in SCHEMAS:
        raise CohortError(f"A schema's name ends in .yaml, and {out} does not; name it {out.stem}.yaml, for example.")
    if out.exists():
        raise CohortError(f"{out} exists already and is not overwritten; name another file, or remove it.")
    text = draft_schema(files, out)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CohortError(f"{out} cannot be written ({error.strerror}); name another place.") from None
