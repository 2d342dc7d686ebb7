"""Doubling and halving find the number at which something begins or stops to hold, wherever it lies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting.search import bracket, halve

positive = st.floats(1e-12, 1e12)
anywhere = st.floats(-1e150, 1e150)
precisions = st.floats(1e-12, 0.1)


class FromHereOn:
    """Holds from a number on, and counts how often it was asked."""

    def __init__(self, root: float, downwards: bool = False) -> None:
        self.root, self.downwards = root, downwards
        self.asked: list[float] = []

    def __call__(self, number: float) -> bool:
        self.asked.append(number)
        return number <= self.root if self.downwards else number >= self.root


@given(root=positive, share=st.floats(1e-9, 0.999))
def test_a_bracket_is_the_last_number_for_which_it_did_not_hold_and_the_first_for_which_it_did(root, share):
    below, above = bracket(FromHereOn(root), share * root, math.inf)
    assert below < root <= above == 2 * below


@given(start=positive, share=st.floats(0, 1))
def test_what_holds_at_once_is_asked_once_and_has_no_number_below(start, share):
    holds = FromHereOn(share * start)
    assert bracket(holds, start, math.inf) == (start, start)
    assert holds.asked == [start]


@given(root=positive, limit=positive, share=st.floats(1e-9, 1))
def test_whatever_holds_at_the_limit_is_found_and_no_number_above_twice_it_is_tried(root, limit, share):
    start = share * limit
    holds = FromHereOn(root)
    found = bracket(holds, start, limit)
    assert max(holds.asked) <= 2 * limit
    if root <= limit:
        assert found is not None
    if root > 2 * limit:
        assert found is None


@pytest.mark.parametrize("limit", [0.5, 1.0, 1000.0, 1e308, math.inf])
def test_what_never_holds_is_given_up(limit):
    tried = []

    def never(number: float) -> bool:
        assert len(tried) < 3000, "it goes on for ever"
        return bool(tried.append(number))

    assert bracket(never, 1.0, limit) is None


@settings(max_examples=30)
@given(st.lists(anywhere, min_size=3, max_size=3, unique=True).map(sorted))
def test_halving_without_end_finds_the_very_number_from_either_side(numbers):
    below, root, above = numbers
    assert halve(FromHereOn(root), inside=above, outside=below) == root
    assert halve(FromHereOn(root, downwards=True), inside=below, outside=above) == root


@given(above=positive, share=st.floats(1e-9, 1), precision=precisions)
def test_halving_stops_within_the_precision_and_on_the_side_that_holds(above, share, precision):
    root = share * above
    found = halve(FromHereOn(root), inside=above, outside=0.0, precision=precision)
    assert root <= found <= root * (1 + 2 * precision)
    found = halve(FromHereOn(root, downwards=True), inside=root / 8, outside=2 * above, precision=precision)
    assert root / (1 + 2 * precision) <= found <= root


@given(root=positive, precision=precisions)
def test_a_bracket_is_halved_no_more_often_than_the_precision_asks(root, precision):
    holds = FromHereOn(root)
    halve(holds, inside=1.5 * root, outside=0.75 * root, precision=precision)
    assert len(holds.asked) <= math.ceil(math.log2(1 / precision)) + 1


@given(number=anywhere, precision=st.one_of(st.just(0.0), precisions))
def test_ends_that_are_one_number_are_the_answer_without_a_question(number, precision):
    holds = FromHereOn(number)
    assert halve(holds, number, number, precision) == number
    assert not holds.asked


def test_neighbouring_floats_are_the_end():
    one, next_one = 1.0, math.nextafter(1.0, 2.0)
    assert halve(FromHereOn(next_one), inside=next_one, outside=one) == next_one
    assert halve(FromHereOn(0.0, downwards=True), inside=0.0, outside=1.0) == 0.0
    assert halve(FromHereOn(5e-324), inside=1.0, outside=0.0) == 5e-324


@given(square=st.floats(1e-6, 1e12))
def test_both_together_find_a_root_that_is_known(square):
    def at_least(number: float) -> bool:
        return number**2 >= square

    below, above = bracket(at_least, 1e-6, 1e7)
    root = halve(at_least, above, below)
    assert root == pytest.approx(math.sqrt(square), rel=1e-15)
    assert at_least(root)
    assert below == above or not at_least(math.nextafter(root, 0))
