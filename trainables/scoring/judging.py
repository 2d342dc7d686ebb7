"""Synthetic participants judged: train a classifier on them, let it predict real ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from cohorts import Encoding, Participants
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.auc import ScoreFloors, floored_auc
from privacy.policies.policy import Access
from trainables.scoring import classifiers, is_own, likenesses, steering


@dataclass(frozen=True)
class Prediction:
    """What a classifier trained on one cohort does on another.

    Args:
        auc: area under the ROC curve, in [0, 1]; of more than two classes the mean of each against all others.
        accuracy: share of participants whose class is predicted right.
    """

    auc: float
    accuracy: float


class Fitted:
    """A classifier trained on one cohort.

    Args:
        model: the classifier, not fitted yet.
        train: participants to learn from; from a single class nothing is learned but that class.
        one_by_one: whether the model is asked about one participant at a time, as one must be that is not the project's
            own, where a privacy statement rests on its rankings. Whatever it does instead of answering, about this
            participant it says nothing: an error would tell of them, unpaid. So it is tried on who it learned from.

    Raises:
        ValueError: it does not answer as a classifier does about somebody it learned from.
    """

    def __init__(self, model: Any, train: Participants, one_by_one: bool = False) -> None:
        self._one_by_one = one_by_one
        self._encoding = Encoding(train.schema)
        self._model = None
        self._classes = len(train.schema.label.classes)
        self._known = np.unique(train.labels)
        if len(self._known) > 1:
            predictors = self._encoding.predictors(train.values)
            self._model = model.fit(predictors, train.labels)
            if one_by_one and (shape := self._of_known(predictors[:1]).shape) != (1, len(self._known)):
                raise ValueError(
                    f"{type(model).__name__} answers about one participant of {len(self._known)} classes with numbers "
                    f"of shape {shape}, where {(1, len(self._known))} is asked for"
                )

    def ranking(self, participants: Participants) -> np.ndarray:
        """How much each participant is deemed of a class: float64 (n, k); of two classes only that of class 1, (n,).

        ``predicted`` tells the class that follows from it. Each is computed from that participant alone, to the last
        bit: what others are there must not show in it. A product by BLAS would not do, because its order of summation
        depends on the number of rows; a model of somebody else's is therefore asked about one row at a time.
        """
        features = self._encoding.predictors(participants.values)  # (n, P)
        ranking = np.full((len(features), self._classes), -np.inf)
        at_once = 1 if self._one_by_one else max(1, len(features))
        for first in range(0, len(features), at_once):
            asked = features[first : first + at_once].copy()  # of its own memory, so that no row's place there shows
            of_known = self._of_one(asked) if self._one_by_one else self._of_known(asked)
            ranking[first : first + at_once, self._known] = of_known
        if self._classes > 2:
            return ranking
        return ranking[:, 1] if len(self._known) > 1 else np.full(len(features), self._known[0] - 0.5)

    def on(self, participants: Participants) -> Prediction:
        """What it does on participants. Sensitive where they are real."""
        return Prediction(*_exactly(self.ranking(participants), participants))

    @property
    def weights(self) -> np.ndarray | None:
        """What each predictor counts: a forest's importances, or a linear model's coefficients; float64 (P,).

        Of more classes than two it is the coefficients' 2-norm. None where the classifier has nothing of the kind.
        """
        importances, rows = (getattr(self._model, name, None) for name in ("feature_importances_", "coef_"))
        if importances is not None or rows is None:
            return importances
        return rows[0] if len(rows) == 1 else np.asarray(np.linalg.norm(rows, axis=0))

    def _of_one(self, features: np.ndarray) -> np.ndarray:
        """The same (1, known), by a model that may do anything: nothing where it raises or answers otherwise."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # they may quote what it was asked about
                answer = self._of_known(features)
        except KeyboardInterrupt:
            raise
        except BaseException:  # leaving the process would tell as much
            return np.zeros((1, len(self._known)))
        usable = answer.shape == (1, len(self._known)) and np.isfinite(answer).all()
        return answer if usable else np.zeros((1, len(self._known)))

    def _of_known(self, features: np.ndarray) -> np.ndarray:
        """The ranking by the classes that were there to learn from, float64 (n, known); of two its second is used."""
        if self._model is None:
            return np.zeros((len(features), 1))
        if not hasattr(self._model, "coef_"):
            probabilities = np.asarray(self._model.predict_proba(features), dtype=np.float64)
            return probabilities - 0.5 if len(self._known) == 2 else probabilities
        exact = features.astype(np.float64)
        rows = [
            (exact * row).sum(axis=1) + own for row, own in zip(self._model.coef_, self._model.intercept_, strict=True)
        ]
        if len(rows) == 1:
            return np.stack([-rows[0], rows[0]], axis=1)
        # A class's own score says little beside those of the others: its lead over the best of them ranks.
        return np.stack([own - np.max([*rows[:c], *rows[c + 1 :]], axis=0) for c, own in enumerate(rows)], axis=1)


def predicted(ranking: np.ndarray) -> np.ndarray:
    """The class that a ranking says each participant is of: int64 (n,)."""
    return (ranking > 0).astype(np.int64) if ranking.ndim == 1 else ranking.argmax(axis=1)


def evaluate(classifier: str, train: Participants, test: Participants, seed: int) -> Prediction:
    """Train on one cohort, predict the classes of another.

    Args:
        classifier: its name.
        train: participants to learn from.
        test: participants to predict, every class present. Sensitive where they are real.
        seed: of the classifier's own randomness.

    Returns:
        AUC and accuracy on ``test``.
    """
    return Fitted(classifiers()[classifier].new(seed), train).on(test)


def _exactly(ranking: np.ndarray, participants: Participants) -> tuple[float, float]:
    """AUC, to which a class that is missing adds 0, and accuracy."""
    floors = ScoreFloors.none(len(participants.schema.label.classes))
    accuracy = float(accuracy_score(participants.labels, predicted(ranking)))
    return floored_auc(ranking, participants.labels, floors), accuracy


class SyntheticJudge:
    """The steering classifiers, trained on synthetic participants: what a policy tries on real ones.

    Args:
        synthetic: participants to learn from; where they have no label, nothing is learned.
        seeds: the seed of each classifier.
    """

    def __init__(self, synthetic: Participants, seeds: Mapping[str, int]) -> None:
        self.synthetic = synthetic
        makers = self.makers() if len(synthetic.schema.label.classes) > 1 else {}
        self._fitted = {
            name: Fitted(new(seeds[name]), synthetic, one_by_one=not is_own(name)) for name, new in makers.items()
        }

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
        """Names of those that learned something."""
        return tuple(self._fitted)

    def rankings(self, participants: Participants) -> list[np.ndarray]:
        """What each classifier says of each participant: float64 (n,) or (n, k) each."""
        return [fitted.ranking(participants) for fitted in self._fitted.values()]

    def exact(self, participants: Participants) -> dict[str, float]:
        """AUC and accuracy of each classifier, and likeness where the cohort is public; without noise."""
        metrics = {}
        for name, fitted in self._fitted.items():
            exactly = _exactly(fitted.ranking(participants), participants)
            metrics[f"auc_{name}"], metrics[f"accuracy_{name}"] = exactly
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
