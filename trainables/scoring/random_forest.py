"""Random forest, the other classifier that steered the SPRINT paper's search."""

from __future__ import annotations

from sklearn.ensemble import RandomForestClassifier

from trainables.scoring.score import Classifier


def new(seed: int) -> RandomForestClassifier:
    """scikit-learn's default."""
    return RandomForestClassifier(random_state=seed)


def steering(seed: int) -> RandomForestClassifier:
    """Trees of a quarter of the participants take half the time.

    Their AUC is that of scikit-learn's default, on average and in its spread (benchmarks/scorers.py).
    """
    return RandomForestClassifier(n_estimators=100, max_samples=0.25, random_state=seed)


CLASSIFIER = Classifier("random_forest", "random forest", "forest", new, steering)
