"""The nearest numbers to noisy ones that could have been true: none below 0, with a known sum."""

from __future__ import annotations

import numpy as np


def onto_simplex(noisy: np.ndarray, total: float = 1.0) -> np.ndarray:
    """Euclidean projection of numbers (b,) onto those that are none below 0 and add up to ``total``.

    All are lowered by the one number that leaves, once negative ones are set to 0, that sum.

    Source: Duchi et al., "Efficient Projections onto the l1-Ball", 2008, algorithm of figure 1.
    """
    descending = np.sort(noisy)[::-1]
    lowered_by = (np.cumsum(descending) - total) / np.arange(1, len(noisy) + 1)
    kept = int(np.flatnonzero(descending > lowered_by)[-1])
    nearest: np.ndarray = np.clip(noisy - lowered_by[kept], 0, None)
    return nearest
