"""Numbers as a reader wants them: as many decimals as an interval deserves, and a minus that is one."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"


def interval(value: float, lower: float, upper: float, decimals: int | None = None) -> str:
    """An estimate and its interval.

    Example:
        >>> interval(134.23, 131.0, 137.4), interval(0.114, 0.055, 0.1725, decimals=2)
        ('134.2 (131.0 to 137.4)', '0.11 (0.06 to 0.17)')
    """
    if not math.isfinite(value):
        return "unknown"
    places = decimals_for(upper - lower) if decimals is None else decimals
    return f"{number(value, places)} ({number(lower, places)} to {number(upper, places)})"


def number(value: float, decimals: int) -> str:
    """A number with so many decimals; nothing is said to be minus zero.

    Example:
        >>> number(-0.0001, 2)
        '0.00'
    """
    if not math.isfinite(value):
        return "unknown"
    text = f"{value:.{decimals}f}"
    return text.replace("-", MINUS if float(text) else "")


def decimals_for(width: float) -> int:
    """Decimals that an interval of this width deserves: two digits of it, or more where that is whole numbers."""
    return next((decimals for decimals in range(5) if width * 10**decimals >= 10), 5)
