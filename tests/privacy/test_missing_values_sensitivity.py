"""Of three classes and with missing values: what one participant changes, over all small data sets there can be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pytest

from cohorts import Encoding, Participants, Schema
from cohorts.encoding import with_attendance
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

MISSING_VISITS = Schema.model_validate(
    {
        **SMALL_SCHEMA,
        "name": "small-and-missing-visits",
        "label": THREE_ARMS,
        "visits": {"column": "visit", "codes": ["week 0", "week 4"], "dropout": True, "missed": True},
        "measures": [
            {"name": "ill", "kind": "binary", "column": "ill", "missing": "allowed"},
            {"name": "seen", "kind": "binary", "column": "seen"},
        ],
    }
)


def everybody() -> Iterator[tuple[int, float, float, int]]:
    """Class, illness at both visits, and visits attended of all participants there can be."""
    answers = (0.0, 1.0, math.nan)
    for label in range(CLASSES):
        yield label, math.nan, math.nan, 0
        yield from ((label, first, math.nan, 1) for first in answers)
        yield from ((label, *both, 2) for both in product(answers, repeat=2))


LABELS = np.array([label for label, *_ in everybody()])
VALUES = np.array([[[first, second], [attended, math.nan]] for _, first, second, attended in everybody()], np.float32)
LOSSY = Participants(SCHEMA, np.arange(len(LABELS)).astype(str), LABELS, VALUES)


def who_missed_visits() -> Participants:
    """Of both visits everything there may be of each measure, or nothing at all; of each class."""
    at_visit = ((math.nan, math.nan), (math.nan, 0.0), (0.0, 1.0), (1.0, 1.0))
    recorded = np.array([np.transpose(both) for both in product(at_visit, repeat=2)])  # (16, 2, 2)
    values = np.concatenate([recorded, np.full_like(recorded, math.nan)], axis=1)
    labels = np.repeat(np.arange(CLASSES), len(values))
    values = with_attendance(MISSING_VISITS, np.tile(values, (CLASSES, 1, 1))).astype(np.float32)
    return Participants(MISSING_VISITS, np.arange(len(labels)).astype(str), labels, values)


PEOPLE = pytest.mark.parametrize("everyone", [LOSSY, who_missed_visits()], ids=["dropout", "missed visits"])


def largest_change(statistic, everyone: Participants) -> float:
    """Over all data sets of at most one, and all who may be added to them (or, read backwards, removed)."""
    people = range(len(everyone))
    before = {data: statistic(np.array(data, dtype=int)) for size in (0, 1) for data in combinations(people, size)}
    return max(
        float(np.linalg.norm(statistic(np.array([*data, added])) - there))
        for data, there in before.items()
        for added in people
    )


@PEOPLE
def test_no_participant_changes_the_histograms_by_more_than_is_charged(everyone):
    mechanism, labels = Measurements.costing(everyone.schema, 1.0, rho=1.0).histograms, everyone.labels
    positions = Encoding(everyone.schema).positions(everyone.values)
    change = largest_change(lambda who: separate_counts(positions[who], labels[who], mechanism.bins, CLASSES), everyone)
    assert change == pytest.approx(math.sqrt(2 * mechanism.event.rho) * mechanism.noise_sd)


def scores(everyone: Participants) -> tuple[np.ndarray, float]:
    """Of everybody, by histograms that were released, and the radius they are measured with."""
    schema, values, labels = everyone.schema, everyone.values, everyone.labels
    mechanism = Measurements.costing(schema, 1.0, rho=1.0)
    histograms = mechanism.histograms.release(Encoding(schema).positions(values), labels)
    return NormalScores(schema, histograms).scores(values, labels) / LIMIT, mechanism.moments.radius


@PEOPLE
@pytest.mark.parametrize("measured", ["features", "normal scores"])
def test_no_participant_changes_the_moments_by_more_than_is_charged(measured, everyone):
    schema, labels = everyone.schema, everyone.labels
    features, radius = (
        scores(everyone) if measured == "normal scores" else (Encoding(schema).encode(everyone.values), 1.5)
    )
    assert radius <= public_radius(schema)

    def statistic(who: np.ndarray) -> np.ndarray:
        return class_sums(features[who], labels[who], features.shape[1], radius, CLASSES)

    change = largest_change(statistic, everyone)
    assert change <= SENSITIVITY
    assert change == pytest.approx(1, abs=1e-3), "the bound is reached, so a smaller one would be false"
