"""An attack on what is measured once: releases of people with somebody and without, compared as well as can be.

The noise is Gaussian and its size is public, so no number tells more than what is released along the one direction in
which somebody moves it, over the variance of the noise (Neyman & Pearson, 1933).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.auditing.bounds import Finding, Hits, epsilon_by_events
from analysis.auditing.made_up import THREE_ARMS, TWO_ARMS, made_up_schema, made_up_values
from cohorts import Encoding
from cohorts.encoding import BEYOND
from cohorts.scale import BINS
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.mechanisms.histograms import class_counts
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.moments import class_sums
from privacy.mechanisms.normal_scores import LIMIT, NormalScores

RELEASES = 3_000
NEAR = 1 - 1.5 / BINS  # in the last bin but one
RHO = 0.2
COMPLETE = made_up_schema(
    "audited-measurements",
    300,
    weeks=(0, 4),
    measures=[{"name": name, "kind": "binary", "categories": [0, 1]} for name in ("ill", "treated")],
    arms=TWO_ARMS,
)
LOSSY = made_up_schema(
    "audited-measurements-with-dropout",
    300,
    weeks=(0, 4),
    measures=[
        {"name": "ill", "kind": "binary", "categories": [0, 1], "missing": "allowed"},
        {"name": "grade", "kind": "ordinal", "categories": [1, 2, 3]},
    ],
    arms=THREE_ARMS,
    dropout=True,
)
AUDITED = {"two arms, complete": COMPLETE, "three arms, missing values, drop-out": LOSSY}


def audit_measurements(
    mechanism: Measurements,
    delta: float,
    releases: int = RELEASES,
    of: str = "what is measured once",
    tick: Callable[[], None] = lambda: None,
) -> Finding:
    """Measure made-up people with somebody and without, many times each.

    Args:
        mechanism: of made-up people, such as those of ``AUDITED``.
        delta: of the epsilon that is stated, and of the one that is found.
        releases: of each.
        of: what is attacked, in words.
        tick: called after each data set.
    """
    schema, people = mechanism.schema, np.random.default_rng(0)
    values = made_up_values(schema, people.random((schema.nominal_size, len(Encoding(schema).cells))), people)
    labels = np.arange(schema.nominal_size) % len(schema.label.classes)
    values[:1] = _somebody(mechanism)
    samples = []
    for present in (slice(1, None), slice(None)):
        samples.append([_evidence(mechanism, values, labels, present) for _ in range(releases)])
        tick()
    without, with_one = np.array(samples)
    middle, sd = float(np.median(samples)), float(without.std())
    events = [Hits.above(line, with_one, without) for line in (middle, middle + sd, middle + 2 * sd)]
    return Finding.bound(
        f"{of}: {releases} releases of each of two neighbouring data sets",
        epsilon_by_rdp(mechanism.event, delta),
        epsilon_by_events(events, delta),
    )


def _somebody(mechanism: Measurements) -> np.ndarray:
    """Values (1, M, V) of somebody who lacks whatever may be missing by itself, and is near the limit of all else.

    At the very limit there would be the noise of two counts in what is released.
    """
    encoding = Encoding(mechanism.schema)
    return encoding.at_positions(np.array([[BEYOND if cell.flagged else NEAR for cell in encoding.cells]]))


def _evidence(mechanism: Measurements, values: np.ndarray, labels: np.ndarray, present: slice) -> float:
    """Of the first one, from one release of those who are present: up to a constant, the logarithm of the odds."""
    schema = mechanism.schema
    positions, classes = Encoding(schema).positions(values), len(schema.label.classes)
    histograms = mechanism.histograms.release(positions[present], labels[present])
    moves = class_counts(positions[:1], labels[:1], mechanism.histograms.bins, classes)
    counted = np.concatenate([each.counts for each in histograms]) @ moves / mechanism.histograms.noise_sd**2
    scores = NormalScores(schema, histograms).scores(values, labels) / LIMIT
    products = mechanism.moments.release(scores[present], labels[present])
    moment = mechanism.moments
    moves = class_sums(scores[:1], labels[:1], moment.features, moment.radius, classes)
    upper = np.triu_indices(moment.features + 1)
    weights = np.where(upper[0] == upper[1], 1, np.sqrt(2))
    released = np.concatenate([each.mean[upper] * each.participants * weights for each in products])
    expected = class_sums(scores[1:], labels[1:], moment.features, moment.radius, classes)  # it depends on histograms
    return float(counted + (released - expected - moves / 2) @ moves / moment.noise_sd**2)
