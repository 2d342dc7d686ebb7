"""Metadata in Croissant, which data repositories and search engines for data sets read.

Source: Croissant format specification 1.0, MLCommons, http://mlcommons.org/croissant/1.0.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from analysis.dataset.dictionary import Entry, entries
from cohorts import Schema

CROISSANT_FILE = "croissant.json"

FORMATS = {".csv": "text/csv", ".parquet": "application/x-parquet"}

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
            "transform",
        )
    },
}  # fmt: skip
"""The context that the specification gives."""


def croissant(schema: Schema, folder: Path, title: str, description: str, citation: str) -> dict[str, Any]:
    """The metadata of released tables; further CSV and Parquet files in their folder are listed, too.

    Args:
        schema: of the released files.
        folder: where they lie, as CSV and Parquet.
        title: of the data set, where the schema gives none.
        description: of the data set.
        citation: how to cite it, where the schema does not say.

    Returns:
        A JSON-LD document.
    """
    stated = schema.publication
    said = {
        "name": schema.name,
        "alternateName": stated.title or title,
        "description": description,
        "license": stated.licence_url,
        "citeAs": stated.citation or citation,
        "creator": {"@type": "Organization", "name": stated.creator} if stated.creator else "",
        "url": stated.url,
        "datePublished": stated.published.isoformat() if stated.published else "",
        "version": stated.version,
    }
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **{name: value for name, value in said.items() if value},
        "isLiveDataset": False,
        "distribution": [_file(file) for file in sorted(folder.iterdir()) if file.suffix in FORMATS],
        "recordSet": [_records(schema, folder, table) for table in schema.tables],
    }


def _file(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": f"{len(content)} B",
        "encodingFormat": FORMATS[file.suffix],
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _records(schema: Schema, folder: Path, table: str) -> dict[str, Any]:
    """A table, read from its Parquet file, which knows the types of its columns."""
    file = f"{schema.stem(table)}.parquet"
    types = pyarrow.parquet.read_schema(folder / file)
    described: dict[str, list[Entry]] = {}
    for entry in entries(schema, table):
        described.setdefault(entry.column, []).append(entry)
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{table}/{column}",
            "name": column,
            "description": "; ".join(_words(entry) for entry in about),
            "dataType": _type(types.field(column).type),
            "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
        }
        for column, about in described.items()
    ]
    return {"@type": "cr:RecordSet", "@id": table, "name": table, "field": fields}


def _words(entry: Entry) -> str:
    unit = f" ({entry.unit})" if entry.unit else ""
    parameter = f", where the parameter is {entry.parameter}" if entry.parameter else ""
    return f"{entry.meaning}{unit}{parameter}" + (f": {entry.values}" if entry.values else "")


def _type(stored: pa.DataType) -> str:
    if pa.types.is_integer(stored):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(stored) else "sc:Text"
