"""Normal numbers from a cryptographic stream follow the normal law, in the middle, at every layer's edge and beyond.

Streams are seeded, so a test that passes here passes everywhere.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, chisquare, kstest, norm

from privacy.mechanisms.randomness import CryptographicStream
from privacy.mechanisms.standard_normal import (
    AHEAD,
    CHUNK,
    HEIGHTS,
    INDEX_BITS,
    LAYERS,
    LIMITS,
    PLACE_BITS,
    SCALES,
    TAIL_FROM,
    WIDTHS,
    StandardNormals,
)

DRAWN = 2_000_000
UNLIKELY = 1e-6
SINGLE_PRECISION_ENDS = 5.77  # Box and Muller's method on uniform numbers of 24 bits reaches no further


def normals(seed: int = 1) -> StandardNormals:
    return StandardNormals(CryptographicStream.seeded(seed))


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    numbers = normals().draw(DRAWN)
    numbers.flags.writeable = False
    return numbers


def density(x: np.ndarray | float) -> np.ndarray:
    """As high as the layers have it: 1 in the middle."""
    return norm.pdf(x) * math.sqrt(2 * math.pi)


def layer_area() -> float:
    """Of the lowest layer: a rectangle up to R, and the tail."""
    return float(TAIL_FROM * density(TAIL_FROM) + norm.sf(TAIL_FROM) * math.sqrt(2 * math.pi))


def test_all_layers_have_the_same_area():
    """From the topmost, whose upper edge is where the density is highest, to the lowest, which has the tail besides."""
    edges = WIDTHS[1:]  # where each layer meets the density, from R down to 0
    assert (edges[0], edges[-1], len(edges)) == (TAIL_FROM, 0, LAYERS)
    areas = edges[:-1] * np.diff(density(edges))  # of all but the lowest
    np.testing.assert_allclose(areas, layer_area(), rtol=1e-9)
    assert WIDTHS[0] * density(TAIL_FROM) == pytest.approx(layer_area(), rel=1e-12)


def test_layers_lie_on_top_of_each_other():
    np.testing.assert_allclose(HEIGHTS[1:], density(WIDTHS[1:]), rtol=1e-12)
    assert (np.diff(WIDTHS) < 0).all() and (np.diff(HEIGHTS[1:]) > 0).all()


def test_a_place_that_is_taken_without_a_look_lies_under_the_curve():
    """And the first that is looked at is the first that may not."""
    sizes = np.abs(SCALES).reshape(LAYERS, 2)
    assert (sizes[:, 0] == sizes[:, 1]).all() and (SCALES[::2] > 0).all() and (SCALES[1::2] < 0).all()
    np.testing.assert_allclose(sizes[:, 0] * 2.0**PLACE_BITS, WIDTHS[:-1], rtol=1e-15)
    limits = LIMITS.astype(np.float64).reshape(LAYERS, 2)
    assert (limits[:, 0] == limits[:, 1]).all()
    np.testing.assert_allclose(limits[:, 0] * sizes[:, 0], WIDTHS[1:], rtol=1e-12)


def test_all_but_four_in_a_thousand_are_taken_without_a_look():
    assert LIMITS.astype(np.float64).mean() / 2.0**PLACE_BITS == pytest.approx(0.996, abs=0.0005)


def test_numbers_are_normal(drawn):
    assert kstest(drawn, "norm").pvalue > UNLIKELY
    assert abs(drawn.mean()) < 5 / math.sqrt(DRAWN)
    assert abs(drawn.var() - 1) < 5 * math.sqrt(2 / DRAWN)


def test_as_many_fall_between_the_edges_of_two_layers_as_should(drawn):
    edges = WIDTHS[::-1][:-1]  # from 0 to R
    for side in (drawn, -drawn):
        counts, _ = np.histogram(side, bins=edges)
        expected = np.diff(norm.cdf(edges))
        assert chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > UNLIKELY


class DoubtfulPlaces:
    """Words whose place always lies where its layer leaves the curve, which is one in 250 of a fair stream's."""

    def __init__(self) -> None:
        self._fair = CryptographicStream.seeded(3)
        self.uniforms = self._fair.uniforms

    def words(self, count: int) -> np.ndarray:
        index = self._fair.words(count) % np.uint64(2 * LAYERS)
        limits = LIMITS[index.astype(np.int64)].astype(np.float64)
        places = limits + self._fair.uniforms(count) * (2.0**PLACE_BITS - limits)
        return (places.astype(np.uint64) << np.uint64(INDEX_BITS)) | index


@pytest.fixture(scope="module")
def doubtful() -> np.ndarray:
    return StandardNormals(DoubtfulPlaces()).draw(500_000)


def above_the_floor(x: np.ndarray, inner: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Area between the curve and a layer's floor, from the layer's inner edge to x."""
    return (norm.cdf(x) - norm.cdf(inner)) * math.sqrt(2 * math.pi) - floor * (x - inner)


def test_a_place_that_is_looked_at_is_kept_as_often_as_the_curve_says(doubtful):
    """In each layer's wedge; those of the lowest layer are always kept, since they become the tail."""
    outer, inner = WIDTHS[1:-1], WIDTHS[2:]  # of each layer's wedge, from R down to 0
    height = density(inner) - density(outer)
    kept = above_the_floor(outer, inner, density(outer)) / (height * (outer - inner))
    expected = np.append(kept[::-1], 1.0)
    counts, _ = np.histogram(np.abs(doubtful), bins=[*WIDTHS[::-1][:-1], np.inf])
    assert chisquare(counts, expected / expected.sum() * len(doubtful)).pvalue > UNLIKELY


def test_within_a_wedge_and_in_the_tail_numbers_follow_the_curve(doubtful):
    sizes = np.abs(doubtful)
    edges = WIDTHS[::-1][:-1]  # from 0 to R
    wedge = np.searchsorted(edges, sizes, side="right") - 1
    inside = wedge < LAYERS - 1
    x, inner, outer = sizes[inside], edges[wedge[inside]], edges[wedge[inside] + 1]
    floor = density(outer)
    shares = above_the_floor(x, inner, floor) / above_the_floor(outer, inner, floor)
    assert kstest(shares, "uniform").pvalue > UNLIKELY
    assert kstest(norm.sf(sizes[~inside]) / norm.sf(TAIL_FROM), "uniform").pvalue > UNLIKELY
    for part in (doubtful[inside], doubtful[~inside]):
        assert abs((part > 0).sum() - len(part) / 2) < 5 * math.sqrt(len(part)) / 2


def test_the_sign_tells_nothing_of_the_size(drawn):
    positive = drawn > 0
    assert abs(positive.sum() - DRAWN / 2) < 5 * math.sqrt(DRAWN) / 2
    inner = np.abs(drawn) < norm.ppf(0.75)  # half of them
    both = (positive & inner).sum()
    assert abs(both - DRAWN / 4) < 5 * math.sqrt(DRAWN * 3 / 16)


def test_a_number_tells_nothing_of_the_next(drawn):
    for lag in (1, 2, 1000, CHUNK):
        for power in (1, 2):
            first, second = drawn[:-lag] ** power, drawn[lag:] ** power
            assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(DRAWN)


@pytest.mark.parametrize("beyond", [2.0, 3.0, 3.5, TAIL_FROM, 4.5])
def test_as_many_lie_far_out_as_should(drawn, beyond):
    for side in (drawn, -drawn):
        count, probability = (side > beyond).sum(), norm.sf(beyond)
        assert abs(count - DRAWN * probability) < 5 * math.sqrt(DRAWN * probability)


def test_the_tail_follows_the_normal_law_beyond_the_last_layer():
    tail = normals()._tail(400_000)
    assert (tail > TAIL_FROM).all()
    assert kstest(norm.sf(tail) / norm.sf(TAIL_FROM), "uniform").pvalue > UNLIKELY


@pytest.mark.parametrize("beyond", [4.5, 5.0, SINGLE_PRECISION_ENDS, 6.0])
def test_the_tail_goes_on_where_single_precision_ends(beyond):
    tries = 1_000_000
    found = (normals(2)._tail(tries) > beyond).sum()
    probability = norm.sf(beyond) / norm.sf(TAIL_FROM)
    assert binom.ppf(UNLIKELY, tries, probability) <= found <= binom.ppf(1 - UNLIKELY, tries, probability)
    assert found > 0


def test_numbers_are_the_same_however_many_are_asked_for_at_once():
    at_once = normals().draw(AHEAD)
    one_by_one = normals()
    sizes = (1, 5, 1000, CHUNK, AHEAD - CHUNK - 1006)
    assert np.array_equal(np.concatenate([one_by_one.draw(size) for size in sizes]), at_once)


def test_no_number_is_drawn_twice():
    source = normals()
    numbers = np.concatenate([source.draw(size) for size in (7, 60_000, AHEAD, AHEAD + 3, 1, 60_000)])
    assert len(np.unique(numbers)) == len(numbers)


def test_numbers_that_were_overwritten_are_not_given_out_again():
    careful, careless = normals(), normals()
    for size in (7, 60_000, 60_000, 60_000, 3):
        expected, numbers = careful.draw(size), careless.draw(size)
        assert np.array_equal(numbers, expected)
        numbers[:] = np.nan


def test_two_keys_have_no_number_in_common():
    first, second = (
        StandardNormals(CryptographicStream()).draw(50_000),
        StandardNormals(CryptographicStream()).draw(50_000),
    )
    assert not np.isin(first, second).any()
