"""All constraints of a schema together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohorts.constraints.conditions import fulfil, in_turn
from cohorts.constraints.grammar import Comparison, Condition, Limit, parsed
from cohorts.constraints.order import Order
from cohorts.constraints.vocabulary import Vocabulary


class Constraints:
    """What is true of every participant that is drawn.

    Args:
        said: sentences, as `grammar` has them.
        words: what they speak of.

    Raises:
        ValueError: one cannot be understood, they contradict each other, or limits leave them no room; the message
            quotes the sentence.
    """

    def __init__(self, said: Sequence[str], words: Vocabulary) -> None:
        rules = [rule for each in said for rule in parsed(each, words)]
        comparisons = [rule for rule in rules if isinstance(rule, Comparison)]
        self._order = Order(words, comparisons, [rule for rule in rules if isinstance(rule, Limit)])
        self._conditions = in_turn([rule for rule in rules if isinstance(rule, Condition)], self._order.cells)
        self._rows, self._visits = ([at[part] for at in self._order.cells] for part in (0, 1))

    def kept(self, values: np.ndarray) -> np.ndarray:
        """Values that keep all of them, near those that were drawn; rows do not depend on each other.

        Args:
            values: float32 (n, M, V), each one that its measure can have, NaN where it is missing.
        """
        if not self._rows and not self._conditions:
            return values
        kept = values.copy()
        if self._rows:
            kept[:, self._rows, self._visits] = self._order.of(values[:, self._rows, self._visits].astype(np.float64))
        fulfil(kept, self._conditions)
        return kept
