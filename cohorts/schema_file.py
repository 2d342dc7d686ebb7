"""From a YAML file to a mapping, and from pydantic's errors to one readable paragraph."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cohorts.errors import CohortError

HELP = "docs/cohorts.md explains every key."


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that does not let a key given twice silently replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for index, key in enumerate(scalars):
            if any(key.value == earlier.value for earlier in scalars[:index]):
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value} is given twice", key.start_mark)
        return super().construct_mapping(node, deep)


def read_schema_mapping(path: Path) -> dict[str, Any]:
    """Parse a YAML file whose top level is a mapping.

    Raises:
        CohortError: when the file is absent, not text, not YAML, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError:
        raise CohortError(f"The schema file {path} does not exist; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(f"The schema file {path} cannot be read ({error}); it must be a UTF-8 text file.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise CohortError(f"The schema file {path}{where} is not valid YAML: {problem}. {HELP}") from None
    if not isinstance(content, dict):
        found = "empty" if content is None else f"a {type(content).__name__}"
        raise CohortError(f"The schema file {path} is {found}; it must be a mapping of keys to values. {HELP}")
    return content


def schema_error(path: Path, error: ValidationError, known_keys: Collection[str]) -> CohortError:
    """One paragraph that names the file and every key in it that is wrong."""
    problems = "; ".join(_problem(dict(details), known_keys) for details in error.errors(include_url=False))
    return CohortError(f"The schema file {path} is not usable: {problems}. {HELP}")


def _problem(details: dict[str, Any], known_keys: Collection[str]) -> str:
    location = [part for part in details["loc"] if not _is_union_branch(part)]
    if details["type"] == "missing":
        return f"key {_dotted(location)} is missing"
    if details["type"] == "extra_forbidden":
        return f"unknown key {_dotted(location)}{_suggestion(str(location[-1]), known_keys)}"
    message = str(details["msg"]).removeprefix("Value error, ")
    where = f"key {_dotted(location)}: " if location else ""
    value = details["input"]
    shown = f" (it is {value!r})" if isinstance(value, str | int | float) else ""
    return f"{where}{message}{shown}"


def _is_union_branch(part: object) -> bool:
    """Pydantic puts the tried type into the location of a union (`str`, `int`); the reader did not write that."""
    return part in ("str", "int", "float")


def _dotted(location: list[Any]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _suggestion(key: str, known_keys: Collection[str]) -> str:
    close = difflib.get_close_matches(key, sorted(known_keys), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
