"""What a schema may leave out, filled in before it is checked: mappings in, mappings out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

VALUE = "AVAL"
PARAMETER = "PARAMCD"
"""ADaM's names of the columns with a value and with the code of what was measured."""

BY_TABLE = ("format", "parameters", "where")
"""Keys that are said by table, or once for all tables."""


def filled_in(given: Any) -> Any:
    """A schema's mapping with some label, every part's table, what is said of all tables, and columns of parameters.

    What is no mapping of the right shape stays as it is: the validator complains of it.
    """
    if not isinstance(given, dict):
        return given
    return _with_value_columns(_by_table(_with_only_table(_with_some_label(given))))


def _with_some_label(given: dict[str, Any]) -> dict[str, Any]:
    """Without a label the first table says who is enrolled."""
    tables = given.get("tables")
    if "label" in given or not isinstance(tables, dict) or not tables:
        return given
    return {**given, "label": {"kind": "none", "table": next(iter(tables))}}


def _with_only_table(given: dict[str, Any]) -> dict[str, Any]:
    """With a single table, nobody needs to name it in every measure."""
    tables = given.get("tables")
    if not isinstance(tables, dict) or len(tables) != 1:
        return given
    default = {"table": next(iter(tables))}

    def filled(part: Any) -> Any:
        return {**default, **part} if isinstance(part, dict) else part

    lists = {
        key: [filled(part) for part in given[key]]
        for key in ("measures", "covariates")
        if isinstance(given.get(key), list | tuple)
    }
    return {**given, **lists, "label": filled(given.get("label"))} if "label" in given else {**given, **lists}


def _by_table(given: dict[str, Any]) -> dict[str, Any]:
    """What names no tables is said of every table."""
    tables = given.get("tables")
    if not isinstance(tables, dict):
        return given
    mappings = {key: given[key] for key in BY_TABLE if isinstance(given.get(key), dict)}
    of_all = {
        key: dict.fromkeys(tables, said) if said else {}
        for key, said in mappings.items()
        if not said or not all(isinstance(value, dict | BaseModel) for value in said.values())
    }
    return {**given, **of_all}


def _with_value_columns(given: dict[str, Any]) -> dict[str, Any]:
    """What has a parameter stands in the table's column of values unless it names another."""
    said = given.get("parameters")

    def filled(part: Any) -> Any:
        if not isinstance(part, dict) or part.get("parameter") is None or not {"column", "columns"}.isdisjoint(part):
            return part
        of_table = said.get(part.get("table"), {}) if isinstance(said, dict) else {}
        value = of_table.get("value", VALUE) if isinstance(of_table, dict) else of_table.value
        return {**part, "column": value}

    lists = [key for key in ("measures", "covariates") if isinstance(given.get(key), list | tuple)]
    return given | {key: [filled(part) for part in given[key]] for key in lists}
