"""Files of every format a trial comes in, found by the ending of their names."""

from __future__ import annotations

from pathlib import PurePath

from cohorts.files.delimited import COMPRESSED, DELIMITED
from cohorts.files.format import Format
from cohorts.files.kind import Content, FileKind
from cohorts.files.parquet import PARQUET
from cohorts.files.statistics import SAS, SPSS, STATA, TRANSPORT
from cohorts.files.workbook import WORKBOOK

KINDS: tuple[FileKind, ...] = (DELIMITED, PARQUET, WORKBOOK, SAS, TRANSPORT, SPSS, STATA)
"""Every format that is read and written."""

NOT_READ = {
    ".xls": "Save it as .xlsx.",
    ".ods": "Save it as .xlsx.",
    ".rds": "Save it as CSV or Parquet.",
    ".rda": "Save it as CSV or Parquet.",
    ".rdata": "Save it as CSV or Parquet.",
    ".por": "Save it as .sav.",
    ".feather": "Save it as Parquet.",
    ".json": "Save it as CSV or Parquet.",
}
"""Formats that are told from their ending but not read, and what to do."""


def kind_of(file: PurePath | str) -> FileKind:
    """The format of a file, by its name; one of an unknown ending, or none, is a text file such as CSV.

    Example:
        >>> [kind_of(file).name for file in ("a.csv.gz", "b.SAV", "c.parquet", "extract_2020.asc")]
        ['CSV', 'SPSS', 'Parquet', 'CSV']
    """
    suffix = PurePath(file).suffix.lower()
    return next((kind for kind in KINDS if suffix in kind.suffixes), DELIMITED)


def stem_of(file: PurePath | str) -> str:
    """What a file is called, without folder, ending and the ending of its compression.

    Example:
        >>> [stem_of(file) for file in ("old/a.csv.gz", "b.zip", "c.v2.sav")]
        ['a', 'b', 'c.v2']
    """
    path = PurePath(file)
    if path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
        return path.stem if path.suffix.lower() in DELIMITED.suffixes else path.name
    return path.stem


__all__ = ["Content", "DELIMITED", "FileKind", "Format", "KINDS", "NOT_READ", "PARQUET", "kind_of", "stem_of"]
