"""When two texts are the same category, code or column name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np


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


def require_distinct(what: str, items: Iterable[object]) -> None:
    """Raise ValueError when two items have the same canonical spelling."""
    seen: set[str] = set()
    for item in items:
        if canonical(item) in seen:
            raise ValueError(f"{what} {item!r} is given twice; each must differ from the others")
        seen.add(canonical(item))
