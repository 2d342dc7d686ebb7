"""An attack on what is measured once: releases of people with somebody and without, compared as well as can be.

The noise is Gaussian and its size is public, so no number tells more than what is released along the one direction in
which somebody moves it, over the variance of the noise (Neyman & Pearson, 1933). Which tables were chosen tells by how
much likelier it is with them than without, in the model of Plackett and Luce that Gumbel noise follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from analysis.auditing.bounds import Finding, Hits, epsilon_by_events
from analysis.auditing.made_up import THREE_ARMS, TWO_ARMS, made_up_schema, made_up_values
from cohorts import Encoding, Schema
from cohorts.encoding import BEYOND
from cohorts.scale import BINS
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.mechanisms.gaussian import scale_for
from privacy.mechanisms.histograms import class_counts
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.moments import class_sums
from privacy.mechanisms.noisy_top import NoisyTop
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.two_way_tables import Gains, NoisyTables

RELEASES = 3_000
NEAR = 1 - 1.5 / BINS  # in the last bin but one
RHO, TABLES_RHO = 0.2, 0.05
CHOSEN, DRAWS = 2, 64
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


def audited(schema: Schema) -> Measurements:
    """The measurements of made-up people, with tables, which a study would not buy of so few."""
    noise_sd = scale_for(TABLES_RHO / 2, math.sqrt(CHOSEN))
    tables = NoisyTables(NoisyTop.costing(TABLES_RHO / 2, CHOSEN), schema.nominal_size, noise_sd, DRAWS)
    return replace(Measurements.costing(schema, 1.0, RHO), tables=tables)


def audit_measurements(
    mechanism: Measurements,
    delta: float,
    releases: int = RELEASES,
    of: str = "what is measured once",
    tick: Callable[[], None] = lambda: None,
) -> Finding:
    """Measure made-up people with somebody and without, many times each.

    Args:
        mechanism: of made-up people; see ``audited``.
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
    of_products = (released - expected - moves / 2) @ moves / moment.noise_sd**2
    return float(counted + of_products) + _of_tables(mechanism, Measured(histograms, products), values, labels, present)


def _of_tables(
    mechanism: Measurements, bought: Measured, values: np.ndarray, labels: np.ndarray, present: slice
) -> float:
    """Likewise, from tables of those who are present that are chosen and counted after the rest."""
    if mechanism.tables is None:
        return 0.0
    known = bought.known(NormalScores(mechanism.schema, bought.histograms))
    with_one, without = (
        mechanism.tables.gains(values[who], labels[who], known) for who in (slice(None), slice(1, None))
    )
    tables = mechanism.tables.release(values[present], labels[present], known)
    places, scale = [with_one.pairs.index(each.cells) for each in tables], mechanism.tables.chosen.scale
    evidence = _likelihood(with_one, places, scale) - _likelihood(without, places, scale)
    for each in tables:
        one, other = (those.parts.table(those.counts, *each.cells) for those in (with_one, without))
        moved = (each.shares * sum(known.sizes) - (one + other) / 2) * (one - other)
        evidence += float(moved.sum()) / mechanism.tables.noise_sd**2
    return evidence


def _likelihood(gains: Gains, places: Sequence[int], scale: float) -> float:
    """Logarithm of how likely these are chosen, one after another."""
    left, found = gains.gained / scale, 0.0
    for place in places:
        found += left[place] - logsumexp(left)
        left[place] = -np.inf
    return found
