"""When two texts are the same category, code or column name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import numpy as np

WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
COMMA_NUMBER = r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?"


def tidy(text: object) -> str:
    """Text without spaces around it, letters with accents composed (Unicode's NFC): how names are compared."""
    return unicodedata.normalize("NFC", str(text).strip())


def canonical(text: object) -> str:
    """The one spelling of a category, visit code or label value.

    Example:
        >>> [canonical(text) for text in (1, 1.0, " 1 ", "01", "1.50", "week 4")]
        ['1', '1', '1', '1', '1.5', 'week 4']
    """
    stripped = tidy(text)
    try:
        number = float(stripped)
    except ValueError:
        return stripped
    if not np.isfinite(number) or "_" in stripped:
        return stripped
    return str(int(number)) if number.is_integer() else repr(number)


def speller(listed: Sequence[object]) -> Callable[[object], str]:
    """How the values that a schema lists and the texts of a file are spelled to be compared.

    As numbers if they are numbers, so that `1`, `"1"` and `01` are the same; but not where the schema lists two texts
    in quotes that differ and would be the same number, such as the wards "1E2" and "100": then as they stand.

    Example:
        >>> speller(["1E2", "2E1"])("100"), speller(["1E2", "100"])("1E2")
        ('100', '1E2')
    """
    texts = {tidy(item) for item in listed if isinstance(item, str)}
    if len({canonical(text) for text in texts}) == len(texts):
        return canonical
    return lambda item: tidy(item) if isinstance(item, str) else canonical(item)


def typed(items: Sequence[object]) -> np.ndarray:
    """Categories or codes as they are written: whole numbers if all are, numbers if all are, else text.

    A column of a file has one type, as Parquet wants it.

    Example:
        >>> [typed(items).tolist() for items in (["0", 12], [0.5, 1], ["01", 2])]
        [[0, 12], [0.5, 1.0], ['01', '2']]
    """
    if all(not isinstance(item, float) and WHOLE.fullmatch(str(item)) for item in items):
        return np.array([int(str(item)) for item in items], dtype=np.int64)
    if all(isinstance(item, int | float) for item in items):
        return np.array(items, dtype=np.float64)
    return np.array([str(item) for item in items], dtype=object)


def require_distinct(what: str, items: Iterable[object]) -> None:
    """Raise ValueError when two items mean the same."""
    listed = list(items)
    spell, seen = speller(listed), set[str]()
    for item in listed:
        if spell(item) in seen:
            raise ValueError(f"{what} {item!r} is given twice; each must differ from the others")
        seen.add(spell(item))


class Meanings:
    """Which of the values that a schema lists a text of a file means.

    Truth values mean 1 and 0 where just these two are listed, or true and false in whatever case they are listed.

    Args:
        values: listed values, each with the index of what it means.

    Example:
        >>> meanings = Meanings([(0, 0), (1, 1)])
        >>> [meanings.of(text) for text in ("1.0", "FALSE", "2")]
        [1, 0, -1]
    """

    def __init__(self, values: Sequence[tuple[object, int]]) -> None:
        self._spell = speller([value for value, _ in values])
        self._known = {self._spell(value): index for value, index in values}
        self._truths = {key.lower(): index for key, index in self._known.items() if key.lower() in ("true", "false")}
        if set(self._known) == {"0", "1"}:
            self._truths = {"false": self._known["0"], "true": self._known["1"]}

    def of(self, text: str, commas: bool = False) -> int:
        """The index, or -1; `commas` says whether a number may have a decimal comma."""
        found = self._known.get(self._spell(text), -1)
        if found < 0 and commas and re.fullmatch(COMMA_NUMBER, text):
            found = self._known.get(self._spell(text.replace(",", ".")), -1)
        return found if found >= 0 else self._truths.get(text.lower(), -1)
