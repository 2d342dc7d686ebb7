"""Numbers at which something begins or stops to hold, found by halving."""

from __future__ import annotations

from collections.abc import Callable

Holds = Callable[[float], bool]


def bracket(holds: Holds, start: float, limit: float) -> tuple[float, float] | None:
    """Double a number until something holds for it.

    Args:
        holds: if it does for a number, so it does for every larger one.
        start: the first number tried, above 0.
        limit: no number above twice this is tried.

    Returns:
        (last number for which it did not hold, first for which it did); the two are equal where it holds from the
        start. None where it did not hold up to the limit.
    """
    before, number = start, start
    while not holds(number):
        if number >= limit:
            return None
        before, number = number, 2 * number
    return before, number


def halve(holds: Holds, inside: float, outside: float, precision: float = 0.0) -> float:
    """The number next to where something stops to hold, on the side where it does.

    Args:
        holds: between the two ends it changes once.
        inside: an end for which it holds.
        outside: an end for which it does not, or ``inside`` itself.
        precision: largest relative distance of the two ends of what is left; 0 for neighbouring floats.
    """
    while abs(outside - inside) > precision * abs(inside):
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside
