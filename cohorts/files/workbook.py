"""XLSX, the workbooks of Excel and LibreOffice: one sheet, its first row the column names."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cohorts.errors import CohortError
from cohorts.files.format import Format
from cohorts.files.kind import Content, FileKind, doubles, text_of, texts_of


def _opened(path: Path) -> closing[Any]:
    import openpyxl  # takes half a second, and few trials are kept in workbooks

    return closing(openpyxl.load_workbook(path, read_only=True, data_only=True))


def _rows(path: Path, how: Format) -> Iterator[tuple[Any, ...]]:
    with _opened(path) as book:
        if how.sheet is not None and how.sheet not in book.sheetnames:
            raise CohortError(
                f"{path} has no sheet {how.sheet}; it has {', '.join(book.sheetnames)}. Correct `sheet` in the schema."
            )
        sheet = book[how.sheet] if how.sheet is not None else book.worksheets[0]
        sheet.reset_dimensions()  # what a program wrote about the sheet's size may be wrong
        yield from sheet.iter_rows(values_only=True)


def _header(path: Path, how: Format) -> list[str]:
    names = [text_of(cell) for cell in next(_rows(path, how), ())]
    while names and not names[-1]:
        names.pop()
    return names


def _why_absent(path: Path, how: Format) -> str:
    with _opened(path) as book:
        read = how.sheet if how.sheet is not None else book.worksheets[0].title
        others = [each.title for each in book.worksheets if each.title != read]
    if not others:
        return ""
    return (
        f"Only the sheet {read} of this workbook was read; it also has {', '.join(others)}. If the table is in another "
        f"sheet, name it in the schema (format: {{sheet: {json.dumps(others[0], ensure_ascii=False)}}})."
    )


def _read(path: Path, columns: Sequence[str], how: Format) -> Content:
    rows = _rows(path, how)
    header = [text_of(cell) for cell in next(rows, ())]
    places = [header.index(column) for column in columns]
    cells = [[row[place] if place < len(row) else None for place in places] for row in rows]
    while cells and all(cell is None for cell in cells[-1]):  # a sheet often ends with rows that are only formatted
        cells.pop()
    by_column = zip(*cells, strict=True) if cells else [()] * len(columns)
    read = {column: texts_of(list(values)) for column, values in zip(columns, by_column, strict=True)}
    return Content(read, first=2)


def _write(frame: pd.DataFrame, path: Path, how: Format) -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(how.sheet)
    sheet.append([_cell(sheet, str(name)) for name in frame.columns])
    for row in doubles(frame).itertuples(index=False):
        sheet.append([_cell(sheet, value) for value in row])
    made = io.BytesIO()
    book.save(made)
    with zipfile.ZipFile(made) as parts, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as timeless:
        for name in parts.namelist():  # a release says nothing of the clock, so neither may a file in it
            content = parts.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", b"1980-01-01T00:00:00Z", content)
            timeless.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _cell(sheet: Any, value: Any) -> Any:
    """A cell that holds text as text, even where it looks like a formula."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value=value.item() if isinstance(value, np.generic) else value)
    if isinstance(value, str):
        cell.data_type = "s"
    return cell


WORKBOOK = FileKind(
    "XLSX",
    (".xlsx", ".xlsm"),
    _header,
    _read,
    _write,
    ".xlsx",
    (zipfile.BadZipFile, KeyError),
    _why_absent,
)
