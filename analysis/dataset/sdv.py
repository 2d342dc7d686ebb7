"""Metadata for SDV, the Synthetic Data Vault, and its SDMetrics: `Metadata.load_from_json`.

Source: docs.sdv.dev, Metadata JSON, specification V1.
"""

from __future__ import annotations

from typing import Any

from analysis.dataset.dictionary import Entry, Kind, entries
from cohorts import Schema

SDV_FILE = "sdv_metadata.json"

SDTYPES: dict[Kind, dict[str, str]] = {
    "id": {"sdtype": "id"},
    "category": {"sdtype": "categorical"},
    "ordered category": {"sdtype": "categorical"},
    "integer": {"sdtype": "numerical"},
    "number": {"sdtype": "numerical"},
    "date": {"sdtype": "datetime", "datetime_format": "%Y-%m-%d"},
}


def sdv_metadata(schema: Schema) -> dict[str, Any]:
    """Types of all columns, keys, and which table's participants the others are about.

    A table with a row per participant has a primary key; one by visits is its child, or, alone, a set of sequences.
    SDV knows keys of one column only, so participants whose id is several columns have none.
    """
    whole = [table for table in schema.tables if not schema.all_row_kinds(table)]
    parent = whole[0] if whole and len(schema.id_columns) == 1 else None
    key = schema.id_columns[0]
    tables: dict[str, dict[str, Any]] = {
        table: {"columns": _columns(entries(schema, table))} for table in schema.tables
    }
    if parent is not None:
        tables[parent]["primary_key"] = key
    elif len(tables) == 1 and len(schema.id_columns) == 1:
        next(iter(tables.values()))["sequence_key"] = key
    children = [table for table in tables if parent is not None and table != parent]
    return {
        "METADATA_SPEC_VERSION": "V1",
        "tables": tables,
        "relationships": [
            {
                "parent_table_name": parent,
                "child_table_name": child,
                "parent_primary_key": key,
                "child_foreign_key": key,
            }
            for child in children
        ],
    }


def _columns(found: list[Entry]) -> dict[str, Any]:
    """Type by column; a column of several parameters holds numbers where all of them are numbers."""
    kinds: dict[str, set[Kind]] = {}
    for entry in found:
        kinds.setdefault(entry.column, set()).add(entry.kind)
    numbers: set[Kind] = {"integer", "number"}
    return {
        column: SDTYPES["number" if own <= numbers else own.pop() if len(own) == 1 else "category"]
        for column, own in kinds.items()
    }
