"""How good synthetic participants are: train a classifier on them, let it predict real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from cohorts import Cohort, Encoding

CLASSIFIERS: dict[str, Callable[[int], Any]] = {
    "logistic_regression": lambda seed: LogisticRegression(max_iter=1000, random_state=seed),
    "random_forest": lambda seed: RandomForestClassifier(random_state=seed),
    "linear_svm": lambda seed: LinearSVC(random_state=seed),
    "k_nearest_neighbours": lambda seed: KNeighborsClassifier(),
}
# The two whose AUCs steer the search, as in the SPRINT paper.
STEERING = ("logistic_regression", "random_forest")


@dataclass(frozen=True)
class Score:
    """What a classifier trained on one cohort does on another.

    Args:
        auc: area under the ROC curve, in [0, 1].
        accuracy: share of participants whose arm is predicted right.
    """

    auc: float
    accuracy: float


def evaluate(classifier: str, train: Cohort, test: Cohort, seed: int) -> Score:
    """Train on one cohort, predict the arms of another.

    Args:
        classifier: a key of ``CLASSIFIERS``.
        train: participants to learn from; from a single arm nothing is learned but that arm.
        test: participants to predict, both arms present. Sensitive where they are real.
        seed: of the classifier's own randomness.

    Returns:
        AUC and accuracy on ``test``.
    """
    if len(np.unique(train.labels)) < 2:
        return Score(auc=0.5, accuracy=float((test.labels == train.labels[0]).mean()))  # nothing to learn: a constant
    encoding = Encoding(train.schema)
    model = CLASSIFIERS[classifier](seed)
    model.fit(encoding.encode(train.values), train.labels)
    features = encoding.encode(test.values)  # (n, F)
    if hasattr(model, "decision_function"):
        ranking = model.decision_function(features)
    else:
        ranking = model.predict_proba(features)[:, 1]
    return Score(
        auc=float(roc_auc_score(test.labels, np.asarray(ranking))),
        accuracy=float(accuracy_score(test.labels, model.predict(features))),
    )
