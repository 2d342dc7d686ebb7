"""Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from cohorts.files.format import Format
from cohorts.files.kind import Content, FileKind
from cohorts.spelling import canonical


def _header(path: Path, _: Format) -> list[str]:
    return list(pyarrow.parquet.read_schema(path).names)


def _read(path: Path, columns: Sequence[str], _: Format) -> Content:
    table = pyarrow.parquet.read_table(path, columns=list(columns))
    return Content({column: _texts(table.column(column)) for column in columns})


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    """Stripped text (rows,); a whole number is spelled without a point however Parquet stored it."""
    text = column.cast(pa.string())
    if pa.types.is_timestamp(column.type):
        text = pyarrow.compute.replace_substring_regex(text, r"(\.0+)?Z?$", "")
        text = pyarrow.compute.replace_substring_regex(text, r" 00:00:00$", "")
    codes, texts = pd.factorize(text.fill_null("").to_numpy())
    number = pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
    tidied: np.ndarray = np.array([_number(item) if number else item.strip() for item in texts], dtype=object)[codes]
    return tidied


def _number(text: str) -> str:
    return "" if text == "nan" else canonical(text)


def _write(frame: pd.DataFrame, path: Path, _: Format) -> None:
    frame.to_parquet(path, index=False)


PARQUET = FileKind("Parquet", (".parquet", ".pq"), _header, _read, _write, ".parquet", (pa.ArrowException,))
