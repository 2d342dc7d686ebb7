"""Labels of participants: numbers of the label's classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohorts import Schema


def require_labels(labels: np.ndarray, classes: int) -> None:
    """Raise ValueError where a label is none of 0 to ``classes - 1``; labels (n,) are sensitive and not named."""
    if not np.isin(labels, np.arange(classes)).all():
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}; nothing was released")


def shares_of_classes(schema: Schema) -> tuple[float, ...]:
    """What the schema says of each class; public."""
    return tuple(each.share for each in schema.label.classes)


def labels_by_shares(shares: Sequence[float], participants: int, randomness: np.random.Generator) -> np.ndarray:
    """Labels of participants who never lived: int64 (participants,), classes by their shares, in random order."""
    last_first = np.array(shares)[::-1]
    # Who comes before the class of each place but the last.
    before = np.round(participants * np.cumsum(last_first / last_first.sum()))[:-1]
    places = np.searchsorted(before, randomness.permutation(participants), side="right")
    return (len(last_first) - 1 - places).astype(np.int64)
