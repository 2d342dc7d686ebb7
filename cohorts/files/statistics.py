"""The files of SAS, SPSS and Stata. Values are read as they are stored; their labels are not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat

from cohorts.files.format import Format
from cohorts.files.kind import Content, FileKind, doubles, texts_of

Reader = Callable[..., tuple[pd.DataFrame, Any]]
HEADER_BYTES = 700
"""Within these the formats say when a file was written, which it must not tell: a release says nothing of the clock."""

TRANSPORT_STAMPS = ((rb"[0-9]{2}[A-Z]{3}[0-9]{2}(:[0-9]{2}){3}", b"01JAN80:00:00:00"),)
SPSS_STAMPS = ((rb"(?s)\A(.{92}).{17}", rb"\g<1>01 Jan 8000:00:00"),)
STATA_STAMPS = ((rb"(?s)(<timestamp>.).{17}", rb"\g<1>01 Jan 1980 00:00"),)
TRANSPORT_NAME = r"[A-Z_][A-Z0-9_]{0,7}"
LONGEST_TRANSPORT_TEXT = 200
"""What version 5 of the transport format holds, the one that authorities take: names so spelled, bytes of text."""

UNREADABLE = (pyreadstat.ReadstatError, pyreadstat.PyreadstatError)


def _header(reader: Reader, path: Path, how: Format) -> list[str]:
    _, about = reader(str(path), metadataonly=True, encoding=how.encoding)
    return list(about.column_names)


def _read(reader: Reader, path: Path, columns: Sequence[str], how: Format) -> Content:
    frame, _ = reader(str(path), usecols=list(columns), encoding=how.encoding)
    return Content({column: texts_of(frame[column]) for column in columns}, first=1)


def _write(
    writer: Callable[..., None], stamps: Sequence[tuple[bytes, bytes]], frame: pd.DataFrame, path: Path, _: Format
) -> None:
    writer(doubles(frame), str(path))
    with path.open("r+b") as file:
        start = file.read(HEADER_BYTES)
        for stamp, instead in stamps:
            start = re.sub(stamp, instead, start)
        file.seek(0)
        file.write(start)


def _write_transport(frame: pd.DataFrame, path: str) -> None:
    """In version 5 of the format if it can hold the table, else in version 8; the data set is called as the file."""
    texts = frame.select_dtypes(include=["object", "string"])
    longest = max((len(str(text).encode()) for name in texts for text in texts[name].unique()), default=0)
    named = all(re.fullmatch(TRANSPORT_NAME, str(name)) for name in frame.columns)
    stem = Path(path).stem.upper()
    pyreadstat.write_xport(
        frame,
        path,
        table_name=stem if re.fullmatch(TRANSPORT_NAME, stem) else None,
        file_format_version=5 if named and longest <= LONGEST_TRANSPORT_TEXT else 8,
    )


def _kind(
    name: str,
    suffixes: tuple[str, ...],
    reader: Reader,
    writer: Callable[..., None],
    as_: str,
    stamps: Sequence[tuple[bytes, bytes]],
) -> FileKind:
    return FileKind(
        name,
        suffixes,
        partial(_header, reader),
        partial(_read, reader),
        partial(_write, writer, stamps),
        as_,
        UNREADABLE,
    )


SAS = _kind("SAS", (".sas7bdat",), pyreadstat.read_sas7bdat, _write_transport, ".xpt", TRANSPORT_STAMPS)
"""No library writes these, so a synthetic cohort is written in SAS's transport format."""

TRANSPORT = _kind(
    "SAS transport", (".xpt", ".xport"), pyreadstat.read_xport, _write_transport, ".xpt", TRANSPORT_STAMPS
)
SPSS = _kind("SPSS", (".sav", ".zsav"), pyreadstat.read_sav, pyreadstat.write_sav, ".sav", SPSS_STAMPS)
STATA = _kind("Stata", (".dta",), pyreadstat.read_dta, pyreadstat.write_dta, ".dta", STATA_STAMPS)
