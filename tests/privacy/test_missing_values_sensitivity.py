"""Of three classes and with missing values: what one participant changes, over all small data sets there can be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pytest

from cohorts import Encoding, Schema
from privacy.mechanisms.histograms import separate_counts
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.moments import SENSITIVITY, class_sums, public_radius
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from tests.conftest import SMALL_SCHEMA, THREE_ARMS

SCHEMA = Schema.model_validate(
    {
        **SMALL_SCHEMA,
        "name": "small-and-lossy",
        "label": THREE_ARMS,
        "visits": {"column": "visit", "codes": ["week 0", "week 4"], "dropout": True},
        "measures": [{"name": "ill", "kind": "binary", "column": "ill", "missing": "allowed"}],
    }
)
CLASSES = 3


def everybody() -> Iterator[tuple[int, float, float, int]]:
    """Class, illness at both visits, and visits attended of all participants there can be."""
    answers = (0.0, 1.0, math.nan)
    for label in range(CLASSES):
        yield label, math.nan, math.nan, 0
        yield from ((label, first, math.nan, 1) for first in answers)
        yield from ((label, *both, 2) for both in product(answers, repeat=2))


LABELS = np.array([label for label, *_ in everybody()])
VALUES = np.array([[[first, second], [attended, math.nan]] for _, first, second, attended in everybody()], np.float32)


def largest_change(statistic) -> float:
    """Over all data sets of at most one, and all who may be added to them (or, read backwards, removed)."""
    people = range(len(LABELS))
    before = {data: statistic(np.array(data, dtype=int)) for size in (0, 1) for data in combinations(people, size)}
    return max(
        float(np.linalg.norm(statistic(np.array([*data, added])) - there))
        for data, there in before.items()
        for added in people
    )


def test_no_participant_changes_the_histograms_by_more_than_is_charged():
    mechanism = Measurements.costing(SCHEMA, 1.0, rho=1.0).histograms
    positions = Encoding(SCHEMA).positions(VALUES)
    change = largest_change(lambda who: separate_counts(positions[who], LABELS[who], mechanism.bins, CLASSES))
    assert change == pytest.approx(math.sqrt(2 * mechanism.event.rho) * mechanism.noise_sd)


def scores() -> tuple[np.ndarray, float]:
    """Of everybody, by histograms that were released, and the radius they are measured with."""
    mechanism = Measurements.costing(SCHEMA, 1.0, rho=1.0)
    histograms = mechanism.histograms.release(Encoding(SCHEMA).positions(VALUES), LABELS)
    return NormalScores(SCHEMA, histograms).scores(VALUES, LABELS) / LIMIT, mechanism.moments.radius


@pytest.mark.parametrize("measured", ["features", "normal scores"])
def test_no_participant_changes_the_moments_by_more_than_is_charged(measured):
    features, radius = scores() if measured == "normal scores" else (Encoding(SCHEMA).encode(VALUES), 1.5)
    assert radius <= public_radius(SCHEMA)

    def statistic(who: np.ndarray) -> np.ndarray:
        return class_sums(features[who], LABELS[who], features.shape[1], radius, CLASSES)

    change = largest_change(statistic)
    assert change <= SENSITIVITY
    assert change == pytest.approx(1, abs=1e-3), "the bound is reached, so a smaller one would be false"
