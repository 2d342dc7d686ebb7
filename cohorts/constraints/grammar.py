"""The sentences that a schema's constraints are written in.

- ``DBP < SBP``: at every visit where both are measured; also ``<=``, ``>``, ``>=``
- ``diastolic <= mean <= systolic``: two comparisons
- ``SBP[week 0] >= 130``: at one visit; with a number, or the category of an ordinal measure
- ``onset <= age``: covariates, among themselves or with a measure at all its visits
- ``dose rises``: at each visit at least what it was at every earlier one; or ``falls``
- ``distance strictly rises``: at each visit more than that
- ``pregnant only if sex = f``: else missing
- ``cigarettes only if smoker = yes else 0``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cohorts.constraints.vocabulary import At, Term, Vocabulary

OPERATOR = re.compile(r"\s(<=|>=|<|>)\s")
TREND = re.compile(r"(.+?)\s+(strictly\s+)?(rises|falls)")
CONDITION = re.compile(r"(.+?)\s+only\s+if\s+(.+?)\s+==?\s+(.+?)(?:,?\s+else\s+(.+))?")
FORMS = "a constraint is like `DBP < SBP`, `dose rises`, `dose falls` or `pregnant only if sex = f`, with spaces"


@dataclass(frozen=True)
class Comparison:
    """One value is at most another, where both are there; or below it, where that is strict."""

    low: At
    high: At
    strict: bool
    said: str


@dataclass(frozen=True)
class Limit:
    """A value is at least a number, or at most; or, where that is strict, above or below it."""

    at: At
    number: float
    is_least: bool
    strict: bool
    said: str


@dataclass(frozen=True)
class Condition:
    """A value is there only if another one, where that is there, is a certain one; else it is `otherwise`.

    `otherwise` is NaN where the value is then missing.
    """

    at: At
    of: At
    value: float
    otherwise: float
    said: str


Rule = Comparison | Limit | Condition


def parsed(said: str, words: Vocabulary) -> Iterator[Rule]:
    """What one sentence says of single values.

    Raises:
        ValueError: it says nothing, or what cannot be; the message quotes it.
    """
    text = said.strip()
    try:
        condition, trend = CONDITION.fullmatch(text), TREND.fullmatch(text)
        if condition is not None:
            yield from _conditions(said, words, *condition.groups())
        elif trend is not None and OPERATOR.search(text) is None:
            yield from _trend(said, words, trend[1], rises=trend[3] == "rises", strict=trend[2] is not None)
        elif OPERATOR.search(text) is not None:
            parts = OPERATOR.split(text)
            for first, sign, second in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
                low, high = (first, second) if sign[0] == "<" else (second, first)
                yield from _compared(said, words, low.strip(), high.strip(), strict=sign in "<>")
        else:
            raise ValueError(FORMS)
    except ValueError as error:
        raise ValueError(f"constraints: {said!r}: {error}") from None


def _compared(said: str, words: Vocabulary, low: str, high: str, strict: bool) -> Iterator[Rule]:
    first, second = words.term(low), words.term(high)
    if first is None and second is None:
        raise ValueError(words.unknown(low))
    if first is None or second is None:
        term, number = (second or first), (low if first is None else high)
        assert term is not None
        _require_order(words, term)
        for at in words.places(term):
            yield Limit(at, words.value(term, number), first is None, strict, said)
        return
    _require_comparable(words, first, second)
    for one, other in words.pairs(first, second):
        yield Comparison(one, other, strict, said)


def _trend(said: str, words: Vocabulary, text: str, rises: bool, strict: bool) -> Iterator[Comparison]:
    term = words.known_term(text)
    _require_order(words, term)
    places = words.places(term)
    if term.visit is not None or len(places) < 2:
        raise ValueError(f"{words.said(term)} has one value; only what is measured at several visits rises or falls")
    for earlier, later in combinations(places, 2):
        low, high = (earlier, later) if rises else (later, earlier)
        yield Comparison(low, high, strict, said)


def _conditions(
    said: str, words: Vocabulary, text: str, of: str, value: str, otherwise: str | None
) -> Iterator[Condition]:
    term, other = words.known_term(text), words.known_term(of)
    measure, condition = words.recorded[term.row], words.recorded[other.row]
    if condition.kind == "continuous":
        raise ValueError(
            f"{condition.name} is continuous, so it is hardly ever exactly {value}; it can be no condition"
        )
    wanted, instead = words.value(other, value), np.nan
    _require_possible(words, other, wanted, value)
    if otherwise is not None:
        instead = words.value(term, otherwise)
        _require_possible(words, term, instead, otherwise)
    elif measure.missing == "drop":
        raise ValueError(f"{measure.name} may not be missing; say missing: allowed of it, or add `else VALUE`")
    for at, on in _same_visit(words, term, other):
        if words.before[at] and not words.before[on]:
            raise ValueError(
                f"{words.name_of(at)} is from before randomisation and {words.name_of(on)} is not, so it cannot depend "
                "on it"
            )
        yield Condition(at, on, wanted, instead, said)


def _same_visit(words: Vocabulary, term: Term, other: Term) -> list[tuple[At, At]]:
    """Each value of a term with the one that its condition is about."""
    if other.visit is not None:
        return words.pairs(term, other)
    if term.row >= words.by_visit:
        name = words.said(other)
        raise ValueError(f"say at which visit {name} counts, as in {name}[{words.visits[words.places(other)[0][1]]}]")
    both = [(at, (other.row, at[1])) for at in words.places(term) if words.observed[other.row, at[1]]]
    return both or words.pairs(term, other)


def _require_order(words: Vocabulary, term: Term) -> None:
    measure = words.recorded[term.row]
    if measure.kind == "categorical":
        raise ValueError(f"the categories of {measure.name} are in no order; its kind would have to be ordinal")


def _require_comparable(words: Vocabulary, first: Term, second: Term) -> None:
    one, other = words.recorded[first.row], words.recorded[second.row]
    for term in (first, second):
        _require_order(words, term)
    if one.discrete or other.discrete:
        if one.categories != other.categories:
            raise ValueError(f"{one.name} and {other.name} do not have the same categories, so neither is the larger")
    elif one.counted_from != other.counted_from and None not in (one.counted_from, other.counted_from):
        raise ValueError(f"{one.name} and {other.name} are days from different dates, so neither is the earlier")
    elif one.unit and other.unit and one.unit != other.unit:
        raise ValueError(f"{one.name} is in {one.unit} and {other.name} in {other.unit}; only one unit can be compared")


def _require_possible(words: Vocabulary, term: Term, value: float, text: str) -> None:
    measure = words.recorded[term.row]
    if not measure.lower <= value <= measure.upper:
        raise ValueError(f"{text} lies outside the limits of {measure.name}, {measure.lower:g} to {measure.upper:g}")
    if measure.digits is not None and round(value, measure.digits) != value:
        raise ValueError(f"{measure.name} is never {text}, since it is recorded with {measure.digits} decimals")
