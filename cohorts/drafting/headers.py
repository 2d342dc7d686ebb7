"""What a file says about its columns: names, types, labels and formats. Never a value of a participant."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet

from cohorts.errors import CohortError
from cohorts.files.quotes import open_quotes

Type = Literal["text", "number", "date", "unknown"]
SCHEMAS = (".yaml", ".yml")
LONGEST_HEADER_BYTES = 1_000_000
SEPARATORS = ",;\t|"
OPEN_IN_HEADER = "a quotation mark is opened in its first line and not closed there; close it, or remove it"
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")


@dataclass(frozen=True)
class Column:
    """A column of a file.

    Args:
        name: as the file has it, without spaces around it.
        type: what its cells hold, where the format of the file tells.
        label: what the file calls it in words.
        decimals: how many digits after the point its format shows.
        codes: its value labels, a code and what it means; part of the file's dictionary, not of its rows
            (unless a program made them from the rows, which the draft asks to be checked).
    """

    name: str
    type: Type = "unknown"
    label: str = ""
    decimals: int | None = None
    codes: tuple[tuple[object, str], ...] = ()


@dataclass(frozen=True)
class Header:
    """The columns of one file."""

    path: Path
    columns: tuple[Column, ...]


class ByteReader(Protocol):
    """A file that is read byte by byte."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes."""


def read_header(path: Path) -> Header:
    """Read the columns of a CSV, Parquet, XLSX, SAS, SPSS or Stata file, and nothing else of it.

    Raises:
        CohortError: when the file is absent, not readable in the format of its ending, or without names of columns.
    """
    if path.is_dir():
        raise CohortError(f"{path} is a folder; name the tables in it, each a file.")
    if not path.is_file():
        raise CohortError(f"The file {path} does not exist; check the path.")
    if path.suffix.lower() in SCHEMAS:
        raise CohortError(
            f"{path} is a schema, and a draft is made from tables; name those. To check a schema against its tables: "
            f"python -m cohorts {path}"
        )
    read = _READERS.get(path.suffix.lower(), _delimited)
    try:
        columns = read(path)
    except CohortError:
        raise
    except Exception as error:  # each library has errors of its own, some of them without a common ancestor
        raise CohortError(
            f"The columns of {path} cannot be read ({' '.join(str(error).split()).rstrip('.')}). Save the file again, "
            "as CSV for example, and give its name the ending of its format."
        ) from None
    named = tuple(replace(each, name=each.name.strip()) for each in columns if each.name.strip())
    if not named:
        raise CohortError(f"{path} has no names of columns in its first line; export it again with a header.")
    if _NUMBER.fullmatch(named[0].name) or any(_DATE.fullmatch(each.name) for each in named):
        raise CohortError(
            f"{path}: what stands in the first line are values (a number first, or a date), not names of columns, so "
            "it may be a participant's. Export the file with a header."
        )
    return Header(path, named)


def header_line(file: ByteReader) -> bytes:
    """The first line of a text file, read byte by byte, so that not even a buffer holds a participant.

    A line end inside double quotes belongs to a name.

    Raises:
        CohortError: when no line ends within a megabyte.
    """
    line, quoted = bytearray(), False
    while byte := file.read(1):
        if byte in b"\r\n" and not quoted:
            bare = bytes(line.strip(b"\xef\xbb\xbf \t"))
            if bare and not re.fullmatch(rb"sep=.", bare):
                return bytes(line)
            line.clear()  # an empty line before the header, or Excel's note of the separator
            continue
        quoted ^= byte == b'"'
        line += byte
        if len(line) > LONGEST_HEADER_BYTES:
            raise CohortError("its first line does not end within a megabyte, so it is not a table of text")
    if quoted:
        raise CohortError(OPEN_IN_HEADER)
    return bytes(line)


def names_in(line: bytes) -> list[str]:
    """The names of columns in the header of a text file, whose separator is the most frequent candidate."""
    if b"\x00" in line:
        raise CohortError("it is not a text in UTF-8; save it as CSV in UTF-8")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = line.decode("cp1252", errors="replace")
    bare = re.sub(r'"[^"]*"', "", text)
    separator = max(SEPARATORS, key=bare.count)
    if any(quote.swallows_lines for quote in open_quotes(io.StringIO(text, newline=""), separator)):
        raise CohortError(OPEN_IN_HEADER)
    return next(csv.reader([text], delimiter=separator), [])


def _delimited(path: Path) -> list[Column]:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb", buffering=0) as file:
            return [Column(name) for name in names_in(header_line(file))]
    except CohortError as error:
        raise CohortError(f"The columns of {path} cannot be read: {error}.") from None


def _parquet(path: Path) -> list[Column]:
    """From the footer alone; its statistics, which are values of participants, are not looked at."""
    schema = pyarrow.parquet.read_schema(path)
    return [Column(field.name, _arrow_type(field.type)) for field in schema if not _is_index(field.name)]


def _is_index(name: str) -> bool:
    return re.fullmatch(r"__index_level_\d+__", name) is not None


def _arrow_type(type_: pa.DataType) -> Type:
    if pa.types.is_temporal(type_):
        return "date"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    return "text" if pa.types.is_string(type_) or pa.types.is_large_string(type_) else "unknown"


def _workbook(path: Path) -> list[Column]:
    """From the first row of the first sheet; the rows below are not parsed."""
    import openpyxl

    if not zipfile.is_zipfile(path):
        raise CohortError(f"{path} is not an Excel workbook (.xlsx); save it as one, or as CSV.")
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        first = next(book.worksheets[0].iter_rows(max_row=1, values_only=True), ())
        read, *others = [each.title for each in book.worksheets]
        if others and not any(cell is not None for cell in first):
            raise CohortError(
                f"{path}: the sheet {read} has no names of columns in its first row, and of a workbook a draft reads "
                f"the first sheet alone. If the table is in another ({', '.join(others)}), save that as CSV and draft "
                "from it; or write the schema by hand, which may name a sheet (format: {sheet: ...})."
            )
        return [Column("" if cell is None else str(cell)) for cell in first]
    finally:
        book.close()


def _of_statistics(reader: str) -> Callable[[Path], list[Column]]:
    def read(path: Path) -> list[Column]:
        import pyreadstat

        _, about = getattr(pyreadstat, reader)(str(path), metadataonly=True)
        labels = dict(zip(about.column_names, about.column_labels or [], strict=False))
        return [_described(name, labels.get(name), about) for name in about.column_names]

    return read


def _described(name: str, label: str | None, about: Any) -> Column:
    shown = str(about.original_variable_types.get(name) or "").upper()
    text = about.readstat_variable_types.get(name) == "string"
    dated = re.search(r"DATE|TIME|YYMM|DDMM|MMDD|MMYY|MOYR|QYR|%T|%-?D|B8601|E8601|IS8601", shown)
    digits = re.fullmatch(r"F?\d+\.(\d)", shown)
    decimals = int(digits.group(1)) if digits and shown != "F8.2" else None  # F8.2 is what SPSS writes unasked
    codes = tuple((about.variable_value_labels.get(name) or {}).items())
    type_: Type = "text" if text else "date" if dated else "number"
    return Column(name, type_, " ".join((label or "").split()), decimals, codes)


_READERS: dict[str, Callable[[Path], list[Column]]] = {
    ".parquet": _parquet,
    ".pq": _parquet,
    ".xlsx": _workbook,
    ".xlsm": _workbook,
    ".sas7bdat": _of_statistics("read_sas7bdat"),
    ".xpt": _of_statistics("read_xport"),
    ".xport": _of_statistics("read_xport"),
    ".sav": _of_statistics("read_sav"),
    ".zsav": _of_statistics("read_sav"),
    ".dta": _of_statistics("read_dta"),
}
