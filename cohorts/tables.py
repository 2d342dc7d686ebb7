"""One file of a trial, read as text so that every error can quote what the file says."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from cohorts.errors import CohortError
from cohorts.schema import canonical

MISSING = frozenset({"", ".", "na", "n/a", "nan", "null", "none"})
"""What a missing value looks like in the files of R, SAS, SQL and Python; compared in lower case."""


@dataclass(frozen=True)
class Table:
    """Needed columns of a file. Each column is an object array (rows,) of stripped text."""

    path: Path
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Rows, header excluded."""
        return len(next(iter(self.columns.values())))

    def line(self, row: int) -> str:
        """Where a row stands, as a text editor counts (CSV) or as a data frame does (Parquet)."""
        return f"row {row}" if is_parquet(self.path) else f"line {row + 2}"

    def missing(self, column: str) -> np.ndarray:
        """Which rows have no value in a column: bool (rows,)."""
        codes, texts = factorize(self.columns[column])
        missing: np.ndarray = np.array([text.lower() in MISSING for text in texts], dtype=bool)[codes]
        return missing

    def fail(self, column: str, row: int, problem: str, remedy: str, others: int = 0) -> NoReturn:
        """Raise the error that a value of this table deserves."""
        more = f" ({others} more like it)" if others else ""
        raise CohortError(f"{self.path}, {self.line(row)}, column {column}: {problem}{more}. {remedy}")


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name; anything else is CSV."""
    return path.suffix.lower() in (".parquet", ".pq")


def factorize(column: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Codes (rows,) into the column's distinct texts."""
    codes, texts = pd.factorize(column)
    return codes, [str(text) for text in texts]


def table_path(file: str, directory: Path, packaged: bool) -> Path:
    """Where a table lies: below `directory`, or in an installed package if it is said to and `packaged`.

    Raises:
        CohortError: for a package that is not installed.
    """
    if not file.startswith("package:"):
        return directory / file
    inside = Path(file.removeprefix("package:"))
    if not packaged:
        return directory / inside.name
    try:
        return Path(str(files(inside.parts[0]).joinpath(*inside.parts[1:])))
    except ModuleNotFoundError:
        raise CohortError(
            f"The table {file} lies in the Python package {inside.parts[0]}, which is not installed; "
            f"install it, or name a directory that holds {inside.name}."
        ) from None


def read_table(path: Path, columns: list[str]) -> Table:
    """Read the named columns of a CSV or Parquet file.

    Raises:
        CohortError: when the file is absent, empty, malformed, or lacks a column.
    """
    if not path.is_file():
        raise CohortError(
            f"The file {path} does not exist. Put it there, name another directory, or correct `tables` in the schema."
        )
    try:
        _require_columns(path, columns, _header(path))
        read = _read_parquet if is_parquet(path) else _read_csv
        table = Table(path, {name: _text(column) for name, column in read(path, columns).items()})
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        problem = " ".join(str(error).split()).rstrip(".")
        kind = "Parquet" if is_parquet(path) else "CSV (comma-separated, UTF-8, one header line)"
        raise CohortError(
            f"The file {path} is not readable as {kind}: {problem}. Save it again in that format."
        ) from None
    if not len(table):
        raise CohortError(f"The file {path} has a header but no rows; export it again with the participants in it.")
    return table


def _header(path: Path) -> list[str]:
    if is_parquet(path):
        return list(pyarrow.parquet.read_schema(path).names)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    if not header:
        raise CohortError(f"The file {path} is empty; export it again with a header line and the participants in it.")
    return header


def _require_columns(path: Path, columns: list[str], header: list[str]) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        raise CohortError(
            f"{path} has no column {missing[0]}; it has {', '.join(header)}. Correct the column's name "
            "in the schema, or export the file with it."
        )
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise CohortError(f"{path} has two columns named {twice[0]}; rename or remove one.")


def _read_csv(path: Path, columns: list[str]) -> dict[str, pa.ChunkedArray]:
    table = pyarrow.csv.read_csv(
        path,
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
        ),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
    )
    return {column: table.column(column) for column in columns}


def _read_parquet(path: Path, columns: list[str]) -> dict[str, pa.ChunkedArray]:
    table = pyarrow.parquet.read_table(path, columns=columns)
    return {column: table.column(column) for column in columns}


def _text(column: pa.ChunkedArray) -> np.ndarray:
    """Stripped text (rows,); a whole number is spelled without a point however Parquet stored it."""
    text = column.cast(pa.string()).fill_null("").to_numpy()
    codes, texts = factorize(text)
    tidy = canonical if pa.types.is_floating(column.type) else str.strip
    tidied: np.ndarray = np.array([tidy(item) for item in texts], dtype=object)[codes]
    return tidied
