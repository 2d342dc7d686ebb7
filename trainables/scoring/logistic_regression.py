"""Logistic regression, one of the two classifiers that steered the SPRINT paper's search."""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression

from trainables.scoring.score import Classifier


def new(seed: int) -> LogisticRegression:
    """One that knows nothing yet."""
    return LogisticRegression(max_iter=1000, random_state=seed)


CLASSIFIER = Classifier("logistic_regression", "logistic regression", "logistic", new, steering=new)
