"""CSV and its relatives: fields between commas, semicolons, tabs or bars, in any encoding, compressed or not."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from cohorts.errors import CohortError, details
from cohorts.files.format import Format
from cohorts.files.kind import Content, FileKind
from cohorts.files.quotes import open_quotes

SEPARATORS = (",", ";", "\t", "|")
COMPRESSED = (".gz", ".zip")
LONGEST_HEADER = 10_000_000  # characters
BYTE_ORDER_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's, so it comes first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class _Layout:
    """What was found or said about a file: `skipped` lines stand before the header."""

    separator: str
    encoding: str
    skipped: int
    header: list[str]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        with gzip.open(path, "rb") as packed:
            yield cast(IO[bytes], packed)
    elif suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            inside = [each for each in archive.namelist() if not each.endswith("/") and "__MACOSX" not in each]
            if len(inside) != 1:
                raise CohortError(f"{path} holds {len(inside)} files; unpack it, and name one of them in the schema.")
            with archive.open(inside[0]) as member:
                yield member
    else:
        with path.open("rb") as file:
            yield file


def _layout(path: Path, how: Format) -> _Layout:
    with _opened(path) as file:
        encoding = _encoding(path, file.read(4096), how)
    with _text(path, encoding) as text:
        record, skipped = _record(text), 0
        declared = how.separator
        if record.strip().lower().startswith("sep=") and len(record.strip("\r\n")) == len("sep=;"):
            declared = declared or record.strip("\r\n")[-1]  # Excel's way to say which separator follows
            record, skipped = _record(text), 1
    if not record.strip():
        raise CohortError(f"The file {path} is empty; export it again with a header line and the participants in it.")
    if declared is None:
        declared = max(SEPARATORS, key=lambda each: len(_fields(record, each)))
    header = _fields(record, declared)
    lines = 1 + sum(len(f"{name}.".splitlines()) - 1 for name in header)
    for quote in open_quotes(io.StringIO(record, newline=""), declared):
        if quote.swallows_lines and quote.line <= lines:  # participants are no names of columns
            raise CohortError(f"{path}, line {skipped + quote.line}: {quote.problem}")
    return _Layout(declared, encoding, skipped, header)


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The file's text, with its line ends as they are; what cannot be decoded is replaced."""
    with _opened(path) as file:
        yield io.TextIOWrapper(file, "utf-8-sig" if encoding == "utf-8" else encoding, "replace", newline="")


def _record(text: io.TextIOWrapper) -> str:
    """The first record: a line, or more if a name has a line break in its quotes."""
    record = text.readline(LONGEST_HEADER)
    while record.count('"') % 2 and len(record) < LONGEST_HEADER and (more := text.readline(LONGEST_HEADER)):
        record += more
    return record


def _fields(record: str, separator: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(record, newline=""), delimiter=separator), [])
    except csv.Error:  # a name longer than any: a quotation mark is not closed
        return record.splitlines()[0].split(separator)


def _encoding(path: Path, start: bytes, how: Format) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    if start.startswith(b"\x1f\x8b") or start.startswith(b"PK\x03\x04"):
        kind = ".gz" if start.startswith(b"\x1f") else ".zip or .xlsx"
        raise CohortError(f"{path} is no text file but a compressed one; give it its ending ({kind}), or unpack it.")
    encoding = codecs.lookup(how.encoding).name if how.encoding else "utf-8"
    if b"\0" in start and not encoding.startswith(("utf-16", "utf-32")):
        raise CohortError(
            f"{path} is no text in {encoding}: it holds zero bytes. If it is text in UTF-16, say so in the schema "
            "(format: {encoding: utf-16-le}); if it is of another format, give it that format's ending, or export it "
            "as CSV."
        )
    return encoding.removesuffix("-sig")


def _header(path: Path, how: Format) -> list[str]:
    return _layout(path, how).header


def _why_absent(path: Path, how: Format) -> str:
    if _header(path, how)[0].strip():
        return ""
    return (
        "Its first column has no name, as where R wrote it with the names of rows. Write it again with row.names = "
        "FALSE; if these names are the participants' ids, put them into a column of their own first."
    )


def _read(path: Path, columns: Sequence[str], how: Format) -> Content:
    layout = _layout(path, how)
    try:
        table = _table(path, list(columns), layout)
    except UnicodeDecodeError:
        _fail_undecodable(path, layout)
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            _fail_undecodable(path, layout)
        _fail_malformed(path, layout, error)
    if _has_a_quote(path):
        _require_closed_quotes(path, layout)
    decimal = how.decimal or ("." if layout.separator == "," else None)
    texts = {column: _texts(table.column(column)) for column in columns}
    return Content(texts, decimal, "line", first=2 + layout.skipped)


def _table(path: Path, columns: list[str], layout: _Layout, threads: bool = True, on_error: object = None) -> pa.Table:
    how = {
        "read_options": pyarrow.csv.ReadOptions(
            skip_rows=layout.skipped,
            encoding="utf8" if layout.encoding == "utf-8" else layout.encoding,
            use_threads=threads,
        ),
        "convert_options": pyarrow.csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
        ),
        "parse_options": pyarrow.csv.ParseOptions(
            delimiter=layout.separator, newlines_in_values=True, invalid_row_handler=on_error
        ),
    }
    if path.suffix.lower() not in COMPRESSED:
        return pyarrow.csv.read_csv(path, **how)
    with _opened(path) as file:
        return pyarrow.csv.read_csv(file, **how)


def _has_a_quote(path: Path) -> bool:
    with _opened(path) as file:
        return any(b'"' in part for part in iter(lambda: file.read(1 << 20), b""))


def _require_closed_quotes(path: Path, layout: _Layout, row: int | None = None) -> None:
    """Say at which line a quotation mark is opened that turns lines, or what is left of a wrong row, into text."""
    with _text(path, layout.encoding) as lines:
        for quote in open_quotes(lines, layout.separator, len(layout.header)):
            if quote.swallows_lines or quote.line == row:
                raise CohortError(f"{path}, line {quote.line}: {quote.problem}") from None


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    encoded = column.dictionary_encode().combine_chunks()  # a text is made once, however many cells have it
    stripped = np.array([item.strip() for item in encoded.dictionary.to_pylist()], dtype=object)
    cells: np.ndarray = stripped[encoded.indices.to_numpy()]
    return cells


def _fail_undecodable(path: Path, layout: _Layout) -> NoReturn:
    """Say at which line and column the bytes are none of the encoding."""
    where = ""
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode(layout.encoding)
            except UnicodeDecodeError as error:
                before = _fields(line[: error.start].decode("latin-1"), layout.separator) or [""]
                place = len(before) - 1
                name = layout.header[place].strip() if place < len(layout.header) else ""
                where = f", line {number}" + (f", column {name}" if name and number > 1 + layout.skipped else "")
                break
    raise CohortError(
        f"{path}{where}: this is not text in {layout.encoding.upper()}. Say what it is in the schema, for example "
        "format: {encoding: windows-1252} for a file from Windows or Excel, or format: {encoding: latin-1}; or save "
        "the file as UTF-8."
    ) from None


def _fail_malformed(path: Path, layout: _Layout, error: pa.ArrowInvalid) -> NoReturn:
    """Say which line has too many fields or too few, without its content."""
    wrong: list[pyarrow.csv.InvalidRow] = []

    def remember(row: pyarrow.csv.InvalidRow) -> str:
        wrong.append(row)
        return "error" if len(wrong) == 1 else "skip"

    with suppress(pa.ArrowInvalid):
        _table(path, [], layout, threads=False, on_error=remember)
    _require_closed_quotes(path, layout, wrong[0].number if wrong else None)
    if wrong:
        row = wrong[0]
        one_more = row.number == 2 + layout.skipped and row.actual_columns == row.expected_columns + 1
        from_r = " If R wrote the file, its first field is a row's name: write it again with row.names = FALSE."
        raise CohortError(
            f"{path}, line {row.number}: it has {row.actual_columns} fields where the header has "
            f"{row.expected_columns}{details(row.text)}. Put fields that hold the separator into quotes, or name "
            f'the separator in the schema (format: {{separator: ";"}}).{from_r if one_more else ""}'
        ) from None
    raise CohortError(
        f"The file {path} is not readable as CSV (one header line, fields separated by {layout.separator!r})"
        f"{details(error)}. Save it again in that format, or describe it under `format` in the schema."
    ) from None


def _write(frame: pd.DataFrame, path: Path, how: Format) -> None:
    separator = how.separator or ","
    decimal = how.decimal or ("," if separator == ";" else ".")
    frame.to_csv(path, index=False, sep=separator, decimal=decimal, encoding=how.encoding or "utf-8")


DELIMITED = FileKind(
    "CSV",
    (".csv", ".tsv", ".tab", ".txt", ".dat"),
    _header,
    _read,
    _write,
    ".csv",
    (pa.ArrowException, UnicodeError, csv.Error, zipfile.BadZipFile, zlib.error, EOFError),
    _why_absent,
)
