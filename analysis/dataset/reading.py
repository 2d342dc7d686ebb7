"""The lines by which somebody who was given the files reads them."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from cohorts import Schema
from cohorts.files import Format

TEXT = """\
In R:

```r
{r}
```

In Python, with pandas:

```python
{python}
```

Parquet files know the types of their columns: `arrow::read_parquet("{parquet}")` in R, `pd.read_parquet("{parquet}")`
in Python. In CSV an empty cell is a missing value and text such as NA is text, which the lines above say."""


def reading_lines(schema: Schema) -> str:
    """How to read every table with R and pandas, in Markdown."""
    return TEXT.format(
        r="\n".join(_in_r(schema)), python="\n".join(in_python(schema)), parquet=_files(schema)[0][1] + ".parquet"
    )


def in_python(schema: Schema) -> Iterable[str]:
    """Lines of Python that read each table as CSV."""
    yield "import pandas as pd"
    for name, stem, how in _files(schema):
        options = {"sep": _separator(how), "decimal": _decimal(how), "encoding": how.encoding}
        said = "".join(f", {key}={value!r}" for key, value in options.items() if value)
        yield f'{name} = pd.read_csv("{stem}.csv", keep_default_na=False, na_values=[""]{said})'.replace("'", '"')


def _in_r(schema: Schema) -> Iterable[str]:
    for name, stem, how in _files(schema):
        yield f'{name} <- read.csv("{stem}.csv", {options_in_r(how)})'


def options_in_r(how: Format) -> str:
    """What `read.csv` must be told to read a table's files."""
    options = {"sep": _separator(how), "dec": _decimal(how), "fileEncoding": _encoding_in_r(how)}
    said = "".join(f', {key} = "{value}"' for key, value in options.items() if value)
    return 'na.strings = "", check.names = FALSE' + said.replace("\t", "\\t")


def _files(schema: Schema) -> list[tuple[str, str, Format]]:
    """Of each table a name that R and Python take, what its files are called, and what is said of them."""
    names = ["".join(letter if letter.isalnum() else "_" for letter in table) for table in schema.tables]
    safe = [name if name[0].isalpha() else f"table_{name}" for name in names]
    return [
        (name, schema.stem(table), schema.format_of(table)) for name, table in zip(safe, schema.tables, strict=True)
    ]


def _encoding_in_r(how: Format) -> str | None:
    """R leaves names to the system's iconv, which knows fewer than Python."""
    name = codecs.lookup(how.encoding).name if how.encoding else None
    return "UTF-8-BOM" if name == "utf-8-sig" else name


def _separator(how: Format) -> str | None:
    return None if how.separator in (None, ",") else how.separator


def _decimal(how: Format) -> str | None:
    written = how.decimal or ("," if how.separator == ";" else ".")
    return None if written == "." else written
