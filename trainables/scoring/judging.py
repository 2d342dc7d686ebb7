"""Synthetic participants judged: train a classifier on them, let it predict real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, roc_auc_score

from cohorts import Encoding, Participants
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.auc import ScoreFloors, floored_auc
from privacy.policies.policy import Access
from trainables.scoring import classifiers, likenesses, steering

# With these a floored AUC is the AUC, and 0 where an arm is missing.
NO_FLOORS = ScoreFloors(1, 1)


@dataclass(frozen=True)
class Prediction:
    """What a classifier trained on one cohort does on another.

    Args:
        auc: area under the ROC curve, in [0, 1].
        accuracy: share of participants whose class is predicted right.
    """

    auc: float
    accuracy: float


class Fitted:
    """A classifier trained on one cohort.

    Args:
        model: the classifier, not fitted yet.
        train: participants to learn from; from a single class nothing is learned but that class.
    """

    def __init__(self, model: Any, train: Participants) -> None:
        self._encoding = Encoding(train.schema)
        self._model = None
        self._only_label = int(train.labels[0])
        if len(np.unique(train.labels)) > 1:
            self._model = model.fit(self._encoding.encode(train.values), train.labels)

    def ranking(self, participants: Participants) -> np.ndarray:
        """Larger for participants deemed of class 1, above 0 where that is what is predicted: float64 (n,).

        Each is computed from that participant alone, to the last bit: what others are there must not show in it. A
        product by BLAS would not do, because its order of summation depends on the number of rows.
        """
        features = self._encoding.encode(participants.values)  # (n, F)
        if self._model is None:
            return np.full(len(features), self._only_label - 0.5)
        if hasattr(self._model, "coef_"):
            products: np.ndarray = features.astype(np.float64) * self._model.coef_[0]
            return np.asarray(products.sum(axis=1) + self._model.intercept_[0])
        return np.asarray(self._model.predict_proba(features)[:, 1], dtype=np.float64) - 0.5


def evaluate(classifier: str, train: Participants, test: Participants, seed: int) -> Prediction:
    """Train on one cohort, predict the classes of another.

    Args:
        classifier: its name.
        train: participants to learn from.
        test: participants to predict, both classes present. Sensitive where they are real.
        seed: of the classifier's own randomness.

    Returns:
        AUC and accuracy on ``test``.
    """
    ranking = Fitted(classifiers()[classifier].new(seed), train).ranking(test)
    return Prediction(float(roc_auc_score(test.labels, ranking)), float(accuracy_score(test.labels, ranking > 0)))


class SyntheticJudge:
    """The steering classifiers, trained on synthetic participants: what a policy tries on real ones.

    Args:
        synthetic: participants to learn from.
        seeds: the seed of each classifier.
    """

    def __init__(self, synthetic: Participants, seeds: Mapping[str, int]) -> None:
        self.synthetic = synthetic
        self._fitted = {name: Fitted(new(seeds[name]), synthetic) for name, new in self.makers().items()}

    @classmethod
    def makers(cls) -> Mapping[str, Callable[[int], Any]]:
        """What makes each classifier from a seed, by name."""
        return {name: each.steering for name, each in steering().items() if each.steering}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of the classifiers."""
        return tuple(cls.makers())

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Names of the classifiers."""
        return self.names()

    def rankings(self, participants: Participants) -> list[np.ndarray]:
        """What each classifier says of each participant: float64 (n,) each."""
        return [fitted.ranking(participants) for fitted in self._fitted.values()]

    def exact(self, participants: Participants) -> dict[str, float]:
        """AUC and accuracy of each classifier, and likeness where the cohort is public; without noise."""
        metrics = {}
        for name, fitted in self._fitted.items():
            ranking = fitted.ranking(participants)
            metrics[f"auc_{name}"] = floored_auc(ranking, participants.labels, NO_FLOORS)
            metrics[f"accuracy_{name}"] = float(accuracy_score(participants.labels, ranking > 0))
        if participants.schema.public:
            metrics |= {name: each.measure(self.synthetic, participants) for name, each in likenesses().items()}
        return metrics


@dataclass(frozen=True)
class Scoring:
    """One epoch of a trial to be scored; public, and small enough to be sent to where it will happen.

    Args:
        trial: its name, for the ledger.
        epoch: which.
        synthetic: participants it generated.
        seeds: the seed of each classifier.
    """

    trial: str
    epoch: int
    synthetic: Participants
    seeds: Mapping[str, int]


@dataclass(frozen=True)
class ScoringPlan:
    """How every epoch of a search is scored.

    Args:
        access: is paid before participants are read.
        judge: of synthetic participants.
    """

    access: Access
    judge: type[SyntheticJudge]

    def score(self, scoring: Scoring) -> tuple[dict[str, float], Receipt | None]:
        """Train classifiers, pay for the scores, and only then try them on participants, in this process.

        Returns:
            What the policy lets out, and the receipt of the charge.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
        """
        judge = self.judge(scoring.synthetic, scoring.seeds)
        return self.access.scores(scoring.trial, scoring.epoch, judge)
