"""Labels of participants: numbers of the label's classes."""

from __future__ import annotations

import numpy as np

from cohorts import Schema


def require_labels(labels: np.ndarray, classes: int) -> None:
    """Raise ValueError where a label is none of 0 to ``classes - 1``; labels (n,) are sensitive and not named."""
    if not np.isin(labels, np.arange(classes)).all():
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}; nothing was released")


def labels_by_shares(schema: Schema, participants: int, randomness: np.random.Generator) -> np.ndarray:
    """Labels of participants who never lived: int64 (participants,), classes by public shares, in random order."""
    last_first = [each.share for each in reversed(schema.label.classes)]
    before = np.round(participants * np.cumsum(last_first))[
        :-1
    ]  # who comes before the class of each place but the last
    places = np.searchsorted(before, randomness.permutation(participants), side="right")
    return (len(last_first) - 1 - places).astype(np.int64)
