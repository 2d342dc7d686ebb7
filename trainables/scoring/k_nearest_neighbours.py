"""The nearest neighbours' classes, for the report."""

from __future__ import annotations

from sklearn.neighbors import KNeighborsClassifier

from trainables.scoring.score import Classifier


def new(seed: int) -> KNeighborsClassifier:
    """One that knows nothing yet; it draws no random numbers."""
    return KNeighborsClassifier()


CLASSIFIER = Classifier("k_nearest_neighbours", "k-nearest neighbours", "neighbours", new)
