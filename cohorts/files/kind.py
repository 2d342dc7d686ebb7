"""What the loader and the writer ask of a file format, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pandas as pd

from cohorts.files.format import Format
from cohorts.spelling import canonical


@dataclass(frozen=True)
class Content:
    """Columns of a file as text.

    Args:
        columns: from a column's name in the file to its texts without spaces around them, object (rows,), empty where
            the file has no value. Dates are spelled 2020-01-31, truth values true and false.
        decimal: how numbers are spelled in these texts; None if with a comma or a point, the file does not say.
        place: what a row is called in messages.
        first: the number of the first row.
    """

    columns: dict[str, np.ndarray]
    decimal: str | None = "."
    place: str = "row"
    first: int = 0


@dataclass(frozen=True)
class FileKind:
    """One file format.

    Args:
        name: as in "not readable as NAME".
        suffixes: endings of its files' names, in lower case.
        header: the column names of a file, just as they stand there.
        read: the named columns of a file.
        write: a data frame to a file.
        written_as: ending of the files written.
        unreadable: what reading raises for a file that is none of this kind.
        why_absent: why a column may not be in a file that is sound, and what to do, in sentences; "" for no reason.
    """

    name: str
    suffixes: tuple[str, ...]
    header: Callable[[Path, Format], list[str]]
    read: Callable[[Path, Sequence[str], Format], Content]
    write: Callable[[pd.DataFrame, Path, Format], None]
    written_as: str
    unreadable: tuple[type[Exception], ...]
    why_absent: Callable[[Path, Format], str] = lambda path, how: ""


def text_of(value: object) -> str:
    """A cell that is no text, as text.

    Example:
        >>> [text_of(value) for value in (None, 2.0, True, datetime(2020, 1, 31), " a ")]
        ['', '2', 'true', '2020-01-31', 'a']
    """
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return canonical(value) if isinstance(value, float | np.floating) else str(value).strip()


def texts_of(column: pd.Series | Sequence[object]) -> np.ndarray:
    """The cells of a column as text: object (rows,)."""
    if isinstance(column, pd.Series) and pd.api.types.is_float_dtype(column.dtype):
        codes, numbers = pd.factorize(column, use_na_sentinel=False)
        spelled: np.ndarray = np.array([text_of(float(number)) for number in numbers], dtype=object)[codes]
        return spelled
    texts = np.empty(len(column), dtype=object)
    texts[:] = [text_of(value) for value in column]
    return texts


def doubles(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame with float32 as the float64 of the same shortest spelling: 12.3, and not 12.300000190734863."""
    short = {name: column.astype(str).astype(float) for name, column in frame.items() if column.dtype == np.float32}
    return frame.assign(**{str(name): column for name, column in short.items()})
