"""Figure 4: what classifiers make of synthetic participants, and what of real ones, over ten subsets."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from cohorts import Participants
from trainables.scoring import classifiers, steering
from trainables.scoring.judging import Fitted, Prediction

SUBSETS = 10
COMBINED = "combined"

Subsets = Sequence[Participants]
"""Ten disjoint parts of what was generated."""


@dataclass(frozen=True)
class Classified:
    """What one classifier did. Sensitive: not private.

    Args:
        real: trained on real participants and tried on real ones.
        by_selection: trained on synthetic participants and tried on real ones: by selection of epochs and by series,
            ten each.
        reverse: trained on real participants and tried on synthetic ones of the combined epochs: by series, ten each.
        weights: what each predictor counts, of ``real`` (one row) and of each series' combined epochs (ten), (., P);
            None where the classifier has nothing of the kind.
    """

    real: Prediction
    by_selection: Mapping[str, Mapping[str, Sequence[Prediction]]]
    reverse: Mapping[str, Sequence[Prediction]]
    weights: Mapping[str, np.ndarray] | None


def selections() -> tuple[str, ...]:
    """How epochs are selected: all picks combined, or the best by one classifier."""
    return (COMBINED, *steering())


def in_subsets(people: Participants) -> Subsets:
    """Ten disjoint parts of participants that are in no order."""
    return [people.take(part) for part in np.array_split(np.arange(len(people)), SUBSETS)]


def count_of_models(series: int) -> int:
    """How many classifiers ``classify`` trains in all."""
    return len(classifiers()) * (1 + series * len(selections()) * SUBSETS)


def classify(
    train: Participants,
    test: Participants,
    drawn: Mapping[str, Mapping[str, Subsets]],
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Classified]:
    """Train every classifier on real participants and on every subset.

    Args:
        train: real training participants.
        test: real test participants, every class present.
        drawn: synthetic ones, by series and selection.
        seed: of the classifiers' own randomness.
        advance: called after every classifier trained; ``count_of_models`` times in all.

    Returns:
        By classifier.
    """

    def fit(classifier: str, people: Participants) -> Fitted:
        fitted = Fitted(classifiers()[classifier].new(seed), people)
        advance()
        return fitted

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {name: _classified(partial(fit, name), train, test, drawn) for name in classifiers()}


def _classified(
    fit: Callable[[Participants], Fitted],
    train: Participants,
    test: Participants,
    drawn: Mapping[str, Mapping[str, Subsets]],
) -> Classified:
    on_real = fit(train)
    by_selection: dict[str, dict[str, list[Prediction]]] = {each: {} for each in selections()}
    reverse: dict[str, list[Prediction]] = {}
    weights = {"real": [on_real.weights]}
    for name, cohorts in drawn.items():
        reverse[name] = [on_real.on(subset) for subset in cohorts[COMBINED]]
        for selection, subsets in cohorts.items():
            fitted = [fit(subset) for subset in subsets]
            by_selection[selection][name] = [each.on(test) for each in fitted]
            if selection == COMBINED:
                weights[name] = [each.weights for each in fitted]
    rows = {name: np.array([each for each in own if each is not None]) for name, own in weights.items()}
    return Classified(on_real.on(test), by_selection, reverse, rows if all(map(len, rows.values())) else None)
