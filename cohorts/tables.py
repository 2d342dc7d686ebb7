"""One file of a trial, read as text so that every error can quote what the file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from cohorts.errors import CohortError, about, values_are_shown
from cohorts.files import Content, Format, kind_of
from cohorts.spelling import Meanings, canonical, tidy

MISSING = frozenset({"", ".", "na", "n/a", "nan", "null", "none"})
"""What a missing value looks like in the files of R, SAS, SQL and Python; compared in lower case."""


@dataclass(frozen=True)
class Table:
    """Needed columns of a file, under the names that the schema has for them.

    Args:
        path: the file.
        content: its columns.
        missing_values: what stands for a missing value in any of them.
        places: which rows of the file these are, int (rows,); None if they are all.
        left_out: how many others the file has.
    """

    path: Path
    content: Content
    missing_values: tuple[object, ...] = ()
    places: np.ndarray | None = None
    left_out: int = 0

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Each column as an object array (rows,) of stripped text."""
        return self.content.columns

    def __len__(self) -> int:
        """Rows, header excluded."""
        return len(next(iter(self.columns.values())))

    def line(self, row: int) -> str:
        """Where a row stands, as the programs count that show such files: lines of a text, rows of a sheet."""
        place = row if self.places is None else int(self.places[row])
        return f"{self.content.place} {self.content.first + place}"

    def only(self, where: Mapping[str, object]) -> Table:
        """The rows in which each of these columns has this value.

        Raises:
            CohortError: when there are none.
        """
        keep = np.ones(len(self), dtype=bool)
        for column, value in where.items():
            codes, texts = factorize(self.columns[column])
            known = Meanings([(value, 0)])
            keep &= np.array([known.of(text, self.commas) == 0 for text in texts])[codes]
            if not keep.any():
                raise CohortError(
                    f"{self.path}, column {column}: no row has {value!r}, which `where` in the schema asks for. "
                    "Correct the value, or remove it from `where`."
                )
        if keep.all():
            return self
        content = replace(self.content, columns={name: cells[keep] for name, cells in self.columns.items()})
        return replace(self, content=content, places=np.flatnonzero(keep), left_out=int((~keep).sum()))

    @property
    def commas(self) -> bool:
        """Whether a number may have a decimal comma."""
        return self.content.decimal != "."

    def missing(self, column: str, codes: Sequence[object] = ()) -> np.ndarray:
        """Which rows have no value in a column: bool (rows,).

        Args:
            column: which.
            codes: what stands for a missing value in this column alone.
        """
        missing = {canonical(code) for code in (*self.missing_values, *codes)}
        places, texts = factorize(self.columns[column])
        have_none = [text.lower() in MISSING or (bool(missing) and canonical(text) in missing) for text in texts]
        by_row: np.ndarray = np.array(have_none, dtype=bool)[places]
        return by_row

    def fail(self, column: str, row: int, problem: str, remedy: str, others: int = 0) -> NoReturn:
        """Raise the error that a value of this table deserves.

        Args:
            column: where it stands.
            row: where it stands, from 0.
            problem: a clause that names no participant's value or id but through `errors.quoted`.
            remedy: what to do, whole sentences.
            others: how many more rows have the same problem.
        """
        more = f" ({about(others)} more like it)" if others else ""
        shown = "" if values_are_shown() else " (`python -m cohorts` shows the cell with --show-values.)"
        raise CohortError(f"{self.path}, {self.line(row)}, column {column}: {problem}{more}. {remedy}{shown}")


def factorize(column: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Codes (rows,) into the column's distinct texts."""
    codes, texts = pd.factorize(column)
    return codes, [str(text) for text in texts]


def table_path(file: str, directory: Path, packaged: bool) -> Path:
    """Where a table lies: below `directory`, or in an installed package if it is said to and `packaged`.

    Raises:
        CohortError: for a package that is not installed, or has no such file.
    """
    if not file.startswith("package:"):
        return directory / file
    inside = Path(file.removeprefix("package:"))
    if not packaged:
        return directory / inside.name
    package = inside.parts[0] if inside.parts else ""
    found = find_spec(package) if package.isidentifier() else None  # nothing that a schema names is imported
    for place in (found and found.submodule_search_locations) or ():
        if (path := Path(place, *inside.parts[1:])).is_file():
            return path
    raise CohortError(
        f"The table {file} lies in the Python package {package}, which is not installed or does not hold it; "
        f"install it, or name a directory that holds {inside.name}."
    )


def read_table(path: Path, columns: list[str], how: Format) -> Table:
    """Read the named columns of a file.

    Args:
        path: the file; the ending of its name tells the format.
        columns: names as the schema spells them; spaces around those in the file do not count.
        how: what the schema says about the file.

    Raises:
        CohortError: when the file is absent, empty, malformed, or lacks a column.
    """
    try:
        there = path.is_file()
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise CohortError(
            f"{str(path)[:100]!r} cannot be a file ({problem}). Correct `tables` in the schema."
        ) from None
    if not there:
        raise CohortError(
            f"The file {path} does not exist. Put it there, name another directory, or correct `tables` in the schema."
        )
    kind = kind_of(path)
    unreadable: tuple[type[Exception], ...] = (OSError, *kind.unreadable)
    try:
        header = kind.header(path, how)
        if any(tidy(column) not in map(tidy, header) for column in columns):
            raise _absent(path, columns, header, kind.why_absent(path, how))
        in_file = _columns_in_file(path, columns, header)
        content = kind.read(path, list(in_file.values()), how)
    except unreadable as error:
        problem = " ".join(str(error).split()).rstrip(".")  # of the file as a whole, no cell is quoted
        raise CohortError(
            f"The file {path} is not readable as {kind.name}: {problem}. Save it again in that format, or give "
            "its name the ending of the format that it has."
        ) from None
    columns_read = {name: content.columns[raw] for name, raw in in_file.items()}
    table = Table(path, replace(content, columns=columns_read), how.missing_values)
    if not len(table):
        raise CohortError(f"The file {path} has a header but no rows; export it again with the participants in it.")
    return table


def _absent(path: Path, columns: list[str], header: list[str], why: str) -> CohortError:
    """What is said of a file that lacks columns."""
    spelled = [tidy(name) for name in header]
    missing = [column for column in columns if tidy(column) not in spelled]
    why = f" {why}" if why else ""
    if len(missing) == len(columns) and not values_are_shown():  # without a header they would be a participant's
        return CohortError(
            f"{path} has no column {missing[0]}, nor any other that the schema names. Does its first line hold the "
            f"columns' names? If so, correct them in the schema, else export the file with them.{why} "
            "(`python -m cohorts` shows that line with --show-values.)"
        )
    return CohortError(
        f"{path} has no column {missing[0]}; it has {', '.join(filter(None, spelled))}. Correct the column's name "
        f"in the schema, or export the file with it.{why}"
    )


def _columns_in_file(path: Path, columns: list[str], header: list[str]) -> dict[str, str]:
    """How the file spells each column."""
    spelled = [tidy(name) for name in header]
    twice = [column for column in columns if spelled.count(tidy(column)) > 1]
    if twice:
        raise CohortError(f"{path} has two columns named {twice[0]}; rename or remove one.")
    return {column: header[spelled.index(tidy(column))] for column in columns}
