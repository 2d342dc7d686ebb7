"""From a YAML file to a mapping, and from a validator's errors to one readable paragraph."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cohorts.errors import CohortError
from cohorts.schema_lines import Place, SchemaLines, dotted
from cohorts.schema_words import Details, complaint, items, suggestion
from cohorts.schema_yaml import SchemaLoader, SchemaProblem, yaml_problem

HELP = "docs/cohorts.md explains every key."
MOST_SHOWN = 8
"""So many problems of a schema are told at once."""


def read_schema_mapping(path: Path) -> dict[str, Any]:
    """Parse a YAML file whose top level is a mapping.

    Raises:
        CohortError: when the file is absent, not text, not YAML (with the line), or not a mapping.
    """
    text = _text(path)
    try:
        content = yaml.load(text, Loader=SchemaLoader)
    except yaml.YAMLError as error:
        line, problem = yaml_problem(text, error)
        where = "" if line is None else f", line {line}"
        said = "" if isinstance(error, SchemaProblem) else "this is not valid YAML: "
        raise CohortError(f"{path}{where}: {said}{problem}. {HELP}") from None
    except RecursionError:
        raise CohortError(f"The schema file {path} is nested too deeply to be a schema. {HELP}") from None
    if not isinstance(content, dict):
        if content is None:
            raise CohortError(f"The schema file {path} is empty; it must be a mapping of keys to values. {HELP}")
        found = "a list" if isinstance(content, list) else "a single value"
        raise CohortError(f"{path}, line 1: this is {found}; a schema is a mapping of keys to values. {HELP}")
    return content


def schema_error(path: Path, error: ValidationError, known_keys: Collection[str]) -> CohortError:
    """One paragraph that names the file and, line by line, every part of it that is wrong."""
    lines = SchemaLines(_text(path))
    together: dict[tuple[str | int, ...], list[tuple[Place, Details]]] = {}
    errors: list[Details] = [dict(each) for each in error.errors(include_url=False)]
    for details in errors:
        if _only_follows(details, errors):
            continue
        place = lines.find(details["loc"])
        one = (*place.path, *place.rest) if details["type"] == "missing" else place.path
        together.setdefault(_without_index(one, details), []).append((place, details))
    problems = sorted(_problem(lines, group, known_keys) for group in together.values())
    told = "; ".join(f"line {line}: {problem}" for line, problem in problems[:MOST_SHOWN])
    more = f"; and {len(problems) - MOST_SHOWN} more" if len(problems) > MOST_SHOWN else ""
    return CohortError(f"{path}, {told}{more}. {HELP}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CohortError(f"The schema file {path} does not exist; check the path.") from None
    except IsADirectoryError:
        raise CohortError(f"{path} is a folder; give the path of a schema, a file that ends in .yaml.") from None
    except OSError as error:
        raise CohortError(f"The schema file {path} cannot be read ({error.strerror}); check its permissions.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CohortError(
            f"{path}, line {line}: this is not text in UTF-8; save the schema again with the encoding UTF-8."
        ) from None


def _only_follows(details: Details, errors: Sequence[Details]) -> bool:
    """Whether a problem goes away with the others: it is not one that the reader can see in the file."""
    if details["type"] == "missing" and details["loc"][-1] == "table":
        return any(each["loc"][:1] == ("tables",) for each in errors)  # a single table need not be named
    if isinstance(details["input"], dict) and details["type"] in ("bool_type", "string_type"):
        part = details["loc"][:-1]  # the other type that it may have is the one that was meant
        return any(each["loc"][: len(part)] == part and len(each["loc"]) > len(part) + 1 for each in errors)
    # The validator does not count items that are wrong in themselves.
    return bool(details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"])


def _without_index(location: tuple[str | int, ...], details: Details) -> tuple[str | int, ...]:
    """Items missing from one list are one problem."""
    return location[:-1] if details["type"] == "missing" and isinstance(location[-1], int) else location


def _problem(
    lines: SchemaLines, group: Sequence[tuple[Place, Details]], known_keys: Collection[str]
) -> tuple[int, str]:
    """A line, and what is wrong there."""
    place, details = group[0]
    kind = details["type"]
    if kind == "missing":
        return place.line, _missing([each for each, _ in group])
    if kind in ("extra_forbidden", "invalid_key") or place.rest[-1:] == ("[key]",):
        key = str(place.key.value if place.key is not None else details["input"])
        if kind == "extra_forbidden":
            return place.line, f"{_where(place, 'unknown key')}{suggestion(key, known_keys)}"
        return place.line, f"{_where(place, 'key')} is not read as text; put the key {key} in quotes"
    line = place.line
    if kind == "value_error":
        line = lines.mentioned(place, complaint([details], None))
    todo = lines.todo(line)
    if todo is not None and (place.empty or lines.empty_at(line)):
        return line, f"{_where(place, 'key')}: still to do: {todo.rstrip('.')}".removeprefix(": ")
    said = complaint([each for _, each in group], place.written)
    if kind == "value_error":
        return line, f"{_where(place, 'key')}: {said}".removeprefix(": ")
    separator = ": " if said.startswith("YAML") else " "
    return line, f"{_where(place, 'key')}{separator}{said}"


def _missing(places: Sequence[Place]) -> str:
    missing = places[-1].rest[-1]
    if isinstance(missing, int):
        return f"{_where(places[0], 'key')} needs at least {items(missing + 1)}; it has {places[0].rest[-1]}"
    inside = Place(places[0].node, None, (*places[0].path, missing), (), places[0].item, places[0].item_depth)
    return f"{_where(inside, 'key')} is missing"


def _where(place: Place, noun: str) -> str:
    """`measures[2] (SBP): key upper`, `key nominal_size`, `visits.codes[1]`, or nothing for the whole file."""
    if not place.path:
        return ""
    if place.item:
        inner = dotted(place.path[place.item_depth :])
        return f"{place.item}: {noun} {inner}" if inner else place.item
    whole = dotted(place.path)
    return whole if isinstance(place.path[-1], int) else f"{noun} {whole}"
