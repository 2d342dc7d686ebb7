"""What a model trained on synthetic participants does on real ones, beside one trained on real participants.

Everything here is computed from test participants, which neither training nor search has read; it is for the
data steward and does not leave `internal/`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning

from analysis.selection import Selected
from cohorts import Participants
from trainables.scoring import classifiers
from trainables.scoring.judging import Fitted, Prediction

Scores = Mapping[str, Prediction]
UNKNOWN = Prediction(auc=math.nan, accuracy=math.nan)


@dataclass(frozen=True)
class EpochTransfer:
    """Scores of models trained on participants of one picked epoch."""

    trial: str
    epoch: int
    selected_by: str
    scores: Scores


@dataclass(frozen=True)
class Transfer:
    """AUC and accuracy on test participants, by classifier. Sensitive: not private.

    Args:
        real: trained on real training participants.
        release: trained on the released cohort.
        epochs: trained on participants of single epochs, in the selection's order.
        real_on_release: trained on real training participants and tried on the release.
        tested: how many test participants there are of each class.
    """

    real: Scores
    release: Scores
    epochs: tuple[EpochTransfer, ...]
    real_on_release: Scores
    tested: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """`{"real": {classifier: {auc, accuracy}}, "release": {...}, "epochs": [{trial, epoch, ...}], ...}`."""
        return {
            "real": _json(self.real),
            "release": _json(self.release),
            "epochs": [
                {"trial": e.trial, "epoch": e.epoch, "selected_by": e.selected_by, **_json(e.scores)}
                for e in self.epochs
            ],
            "real_on_release": _json(self.real_on_release),
            "test_participants": list(self.tested),
        }

    def as_frame(self) -> pd.DataFrame:
        """One row for each thing trained on and classifier."""
        rows = [("real", "", "", "", self.real), ("release", "", "", "", self.release)]
        rows += [("epoch", e.trial, str(e.epoch), e.selected_by, e.scores) for e in self.epochs]
        return pd.DataFrame(
            [
                (*what, classifier, score.auc, score.accuracy)
                for *what, scores in rows
                for classifier, score in scores.items()
            ],
            columns=["trained_on", "trial", "epoch", "selected_by", "classifier", "auc", "accuracy"],
        )

    def as_table(self) -> Table:
        """For the terminal: AUC and accuracy trained on real, on the release, and on the epoch picked first."""
        title = "Never publish: AUC (accuracy) on real test participants, by what was trained on"
        table = Table(title=title, title_justify="left")
        table.add_column("classifier", no_wrap=True)
        for trained_on in ("real", "release", "first pick"):
            table.add_column(trained_on, justify="right", no_wrap=True)
        for classifier, each in classifiers().items():
            scores = (self.real[classifier], self.release[classifier], self.epochs[0].scores[classifier])
            table.add_row(each.title, *(_cell(score) for score in scores))
        return table


def measure_transfer(
    train: Participants,
    test: Participants,
    release: Participants,
    singles: Sequence[tuple[Selected, Participants]],
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> Transfer:
    """Train every classifier on real, released and single-epoch participants, and test all on the same ones.

    Args:
        train: real training participants.
        test: real test participants.
        release: the released cohort.
        singles: each pick with participants of its epoch; equal epochs share one cohort object.
        seed: of the classifiers' own randomness.
        advance: called after every classifier trained; `count_of_models` times in all.

    Returns:
        All scores; NaN where a class is missing among the test participants.
    """
    cohorts = {id(cohort): cohort for cohort in (train, release, *(cohort for _, cohort in singles))}
    scores: dict[int, dict[str, Prediction]] = {key: {} for key in cohorts}
    reverse = {}
    # One after another: scikit-learn's forests reset the warning filters of the whole process while they predict.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for key, cohort in cohorts.items():
            for name, classifier in classifiers().items():
                fitted = Fitted(classifier.new(seed), cohort)
                scores[key][name] = _score(fitted, cohort, test)
                if cohort is train:
                    reverse[name] = _score(fitted, cohort, release)
                advance()
    return Transfer(
        real=scores[id(train)],
        release=scores[id(release)],
        epochs=tuple(
            EpochTransfer(pick.epoch.trial_id, pick.epoch.epoch, pick.selected_by, scores[id(cohort)])
            for pick, cohort in singles
        ),
        real_on_release=reverse,
        tested=tuple(np.bincount(test.labels, minlength=len(test.schema.label.classes)).tolist()),
    )


def count_of_models(singles: Sequence[tuple[Selected, Participants]]) -> int:
    """How many classifiers `measure_transfer` trains."""
    return (2 + len({id(cohort) for _, cohort in singles})) * len(classifiers())


def _score(fitted: Fitted, train: Participants, test: Participants) -> Prediction:
    classes = len(test.schema.label.classes)
    return fitted.on(test) if all(len(np.unique(each.labels)) == classes for each in (train, test)) else UNKNOWN


def _json(scores: Scores) -> dict[str, dict[str, float | None]]:
    """Scores as JSON has them: a number, or null for one that is unknown."""
    return {
        classifier: {name: None if math.isnan(number) else number for name, number in asdict(score).items()}
        for classifier, score in scores.items()
    }


def _cell(score: Prediction) -> str:
    return "unknown" if math.isnan(score.auc) else f"{score.auc:.3f} ({score.accuracy:.3f})"
