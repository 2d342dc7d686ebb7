"""Values that are there only under a condition."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from graphlib import CycleError, TopologicalSorter

import numpy as np

from cohorts.constraints.grammar import Condition
from cohorts.constraints.vocabulary import At


def in_turn(conditions: Sequence[Condition], compared: Collection[At]) -> tuple[Condition, ...]:
    """Conditions in an order in which no later one changes what an earlier one was about.

    Args:
        conditions: any.
        compared: values that take part in comparisons.

    Raises:
        ValueError: two ask for different values of the same measure, they go round in a circle, or a value that is
            compared with others would be replaced by another one.
    """
    instead: dict[At, Condition] = {}
    for each in conditions:
        if np.isnan(each.otherwise):
            continue
        if each.at in compared:
            raise ValueError(
                f"constraints: {each.said!r}: the measure is compared with another one, too, which its value after "
                "`else` may contradict; leave `else` out, so that it is then missing, or remove the comparison"
            )
        other = instead.setdefault(each.at, each)
        if other.otherwise != each.otherwise:
            raise ValueError(f"constraints: {each.said!r} says another value after `else` than {other.said!r}")
    sorter: TopologicalSorter[At] = TopologicalSorter()
    for each in conditions:
        sorter.add(each.at, each.of)
    try:
        turns = {at: turn for turn, at in enumerate(sorter.static_order())}
    except CycleError as error:
        said = " and ".join(repr(each.said) for each in conditions if each.at in error.args[1])
        raise ValueError(f"constraints: {said} go round in a circle; remove one") from None
    return tuple(sorted(conditions, key=lambda each: turns[each.at]))


def fulfil(values: np.ndarray, conditions: Sequence[Condition]) -> None:
    """Replace, in values (n, M, V), those whose condition is not met; one that is missing stays so."""
    for each in conditions:
        known = values[:, *each.of]
        unmet = ~np.isnan(known) & (known != each.value) & ~np.isnan(values[:, *each.at])
        values[unmet, *each.at] = each.otherwise
