"""What the validator found, in words of a schema."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Collection, Sequence
from typing import Any

Details = dict[str, Any]

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of sensible size",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "list_type": "a list",
}
_LIMITS = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
}
_SHOWN = 60


def complaint(details: Sequence[Details], written: str | None) -> str:
    """What is wrong with one value, as a predicate: `must be a number (it is 'abc')`.

    Args:
        details: what the validator says of it, one for each type it might have had.
        written: how the value is spelled in the file, where it is a scalar.
    """
    first, value = details[0], details[0]["input"]
    kind, context = first["type"], first.get("ctx") or {}
    if kind == "value_error":
        return str(first["msg"]).removeprefix("Value error, ")
    if value is None:
        return "is empty; write a value, or leave the key out if you can do without it"
    if kind == "string_too_short":
        return "is an empty text; write a value"
    if kind == "string_too_long":
        return f"is too long; its greatest length is {context['max_length']}{_it_is(value, written)}"
    if kind in ("too_short", "too_long"):
        return _length(kind, context)
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"{words} {context[limit]:g}{_it_is(value, written)}"
    if kind == "literal_error":
        return _choice(value, str(context["expected"]), written)
    if kind == "string_pattern_mismatch":
        return (
            "may hold letters, digits, dots, dashes and underscores, and begins with a letter or a digit"
            f"{_it_is(value, written)}"
        )
    if kind == "recursion_loop":
        return "contains itself; write it out"
    return _type(details, value, written)


def suggestion(key: str, known_keys: Collection[str]) -> str:
    """The known key that a mistyped one resembles, as an addition in brackets; empty where none does."""
    if key in known_keys:
        return " (it belongs to another part of the schema; check the indentation)"
    close = difflib.get_close_matches(key, sorted(known_keys), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def items(number: int) -> str:
    """So many items, in words."""
    return f"{number} item" if number == 1 else f"{number} items"


def _length(kind: str, context: Details) -> str:
    if kind == "too_short":
        return f"needs at least {items(context['min_length'])}; it has {context['actual_length']}"
    return f"can have at most {items(context['max_length'])}; it has {context['actual_length']}"


def _choice(value: object, expected: str, written: str | None) -> str:
    choices = re.findall(r"'([^']*)'", expected)
    *others, last = choices
    close = suggestion(value, choices) if isinstance(value, str) else ""
    if not all(choice.isalnum() for choice in choices):
        *others, last = [f'"{choice}"' for choice in choices]
    return f"must be {', '.join(others)} or {last}{_it_is(value, written)}{close}"


def _type(details: Sequence[Details], value: object, written: str | None) -> str:
    expected = list(dict.fromkeys(_EXPECTED.get(each["type"], "") for each in details))
    if "a number" in expected and "a whole number" in expected:
        expected.remove("a whole number")
    if "text" in expected and isinstance(value, bool):
        word = written or str(value).lower()
        return f'YAML reads a bare {word} as a truth value; put it in quotes: "{word}"'
    if "text" in expected and isinstance(value, datetime.date):
        return f'YAML reads {written} as a date; put it in quotes: "{written}"'
    wanted = " or ".join(word for word in expected if word)
    return f"must be {wanted}{_it_is(value, written)}" if wanted else f"cannot be used{_it_is(value, written)}"


def _it_is(value: object, written: str | None) -> str:
    if isinstance(value, dict):
        return " (it is a mapping of keys to values)"
    if isinstance(value, list | tuple):
        return " (it is a list)"
    text = (repr(value) if isinstance(value, str) else written) or repr(value)
    return f" (it is {text if len(text) <= _SHOWN else text[:_SHOWN] + '...'})"
