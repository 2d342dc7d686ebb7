"""A linear support vector machine, for the report."""

from __future__ import annotations

from sklearn.svm import LinearSVC

from trainables.scoring.score import Classifier


def new(seed: int) -> LinearSVC:
    """One that knows nothing yet."""
    return LinearSVC(random_state=seed)


CLASSIFIER = Classifier("linear_svm", "linear SVM", "SVM", new)
