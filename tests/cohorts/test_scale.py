"""Positions and bins are constants of the schema: on a log scale equal factors, and zero by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cohorts import Measure
from cohorts.scale import BINS, scale_of


def measure(**given: Any) -> Measure:
    return Measure.model_validate({"name": "lab", "table": "labs", "column": "lab", "scale": "log", **given})


@st.composite
def on_log_scales(draw: st.DrawFn) -> Measure:
    lower = draw(st.just(0) | st.integers(1, 300))
    kind = draw(st.sampled_from(["continuous", "integer"]))
    decimals = draw(st.integers(0, 3)) if kind == "continuous" and not lower else None
    if kind == "continuous" and lower:
        decimals = draw(st.none() | st.integers(0, 3))
    return measure(kind=kind, lower=lower, upper=lower + draw(st.integers(2, 10**5)), decimals=decimals)


@given(on_log_scales(), st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_every_position_stands_for_a_value_that_the_measure_can_have(lab, positions):
    values = scale_of(lab).at(np.array(positions))
    assert values.min() >= lab.lower and values.max() <= lab.upper
    if lab.step:
        np.testing.assert_allclose(values / lab.step, np.rint(values / lab.step), atol=1e-6)
    np.testing.assert_allclose(scale_of(lab).at(scale_of(lab).positions(values)), values, rtol=1e-9)


@given(on_log_scales(), st.floats(0, 1), st.floats(0, 1))
def test_positions_ascend_with_values(lab, one, other):
    low, high = sorted([lab.lower + one * lab.range, lab.lower + other * lab.range])
    first, second = scale_of(lab).positions(np.array([low, high]))
    assert 0 <= first <= second <= 1


@given(st.integers(0, 200), st.integers(1, 3000), st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_a_bin_has_the_same_whole_values_however_one_looks(lower, count, positions):
    """Were bins equal parts of the range, a place in one could be a whole value that counts in the next."""
    scale = scale_of(measure(kind="integer", scale="linear", lower=lower, upper=lower + count))
    at = np.array(positions)
    assert np.array_equal(
        np.minimum(np.floor(scale.positions(scale.at(at)) * scale.bins), scale.bins - 1),
        np.minimum(np.floor(at * scale.bins), scale.bins - 1),
    )
    assert scale.widths.sum() == pytest.approx(1) and np.ptp(scale.widths) * (count + 1) < 1.5
    if scale.limits:
        assert scale.at(np.array(scale.limits)).tolist() == [lower, lower + count]


@given(on_log_scales())
def test_no_bin_is_without_a_value_and_zero_has_one_by_itself(lab):
    scale = scale_of(lab)
    assert scale.bins <= BINS
    inside = scale.at((np.arange(scale.bins) + 0.5) / scale.bins)
    assert np.array_equal(np.floor(scale.positions(inside) * scale.bins), np.arange(scale.bins))
    if lab.lower == 0:
        assert inside[0] == 0 and scale.spike
        assert scale.positions(np.array([lab.least_positive]))[0] * scale.bins >= 1


def test_bins_have_equal_factors_once_there_are_values_enough():
    scale = scale_of(measure(kind="continuous", lower=0.1, upper=1000))
    edges = scale.at(np.arange(BINS + 1) / BINS)
    np.testing.assert_allclose(edges[1:] / edges[:-1], 10**0.125)


def test_below_a_detection_limit_there_are_no_bins_but_the_one_of_zero():
    lab = measure(kind="continuous", decimals=3, lower=0, upper=500, detection_limit={"value": 0.5, "as": "half"})
    assert scale_of(lab).at(np.array([0.0, 1 / BINS])).tolist() == [0.0, pytest.approx(0.25)]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"kind": "continuous", "lower": -1, "upper": 5}, "scale log is for values from 0 on, and lower is -1"),
        ({"kind": "continuous", "lower": 0, "upper": 5}, "scale log with lower 0 needs the smallest value above 0"),
        ({"kind": "integer", "lower": 0, "upper": 1}, "upper 1 is not above 1, the least value"),
        ({"kind": "ordinal", "categories": ["a", "b"]}, "scale log is for numbers; leave it out of a measure of kind"),
    ],
)
def test_a_scale_that_does_not_suit_the_values_is_refused(said, complaint):
    with pytest.raises(ValidationError, match=complaint):
        measure(**said)
