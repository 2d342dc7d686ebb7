"""What constraints say is true of every participant that is drawn, whatever was drawn; and what they cannot say."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cohorts import Encoding, Participants, Schema, write_cohort
from cohorts.loader import read_participants
from tests.conftest import SMALL_SCHEMA

TRIAL: dict[str, Any] = {
    **SMALL_SCHEMA,
    "name": "constrained",
    "nominal_size": 60,
    "visits": {**SMALL_SCHEMA["visits"], "dropout": True},
    "measures": [
        {"name": "SBP", "unit": "mmHg", "kind": "integer", "lower": 60, "upper": 240, "column": "sbp"},
        {"name": "DBP", "unit": "mmHg", "kind": "continuous", "decimals": 1, "lower": 30, "upper": 150,
         "column": "dbp"},
        {"name": "dose", "kind": "continuous", "lower": 0, "upper": 90, "column": "dose", "missing": "allowed"},
        {"name": "grade", "kind": "ordinal", "categories": ["none", "mild", "severe"], "column": "grade"},
        {"name": "smoker", "kind": "binary", "categories": ["no", "yes"], "column": "smoker"},
        {"name": "cigarettes", "kind": "integer", "lower": 0, "upper": 60, "column": "cigarettes"},
        {"name": "stage", "kind": "categorical", "categories": ["I", "II"], "column": "stage", "visits": ["week 8"]},
        {"name": "weight", "unit": "kg", "kind": "continuous", "lower": 30, "upper": 200, "column": "weight",
         "visits": ["week 0", "week 4"]},
    ],
    "covariates": [
        {"name": "age", "unit": "years", "kind": "integer", "lower": 18, "upper": 90, "column": "age"},
        {"name": "onset", "unit": "years", "kind": "integer", "lower": 0, "upper": 90, "column": "onset"},
        {"name": "sex", "kind": "binary", "categories": ["f", "m"], "column": "sex"},
        {"name": "pregnant", "kind": "binary", "categories": ["no", "yes"], "column": "pregnant", "missing": "allowed"},
    ],
}  # fmt: skip
SAID = (
    "DBP < SBP",
    "dose rises",
    "grade falls",
    "weight strictly falls",
    "SBP[week 0] >= 130",
    "onset <= age",
    "pregnant only if sex = f",
    "cigarettes only if smoker = yes else 0",
)


def schema(*said: str, **changed: Any) -> Schema:
    return Schema.model_validate({**TRIAL, **changed, "constraints": said})


def decoded(trial: Schema, features: np.ndarray) -> Participants:
    """Participants whatever a generator says."""
    labels = np.arange(len(features)) % 2
    ids = np.array([f"S{number}" for number in range(len(features))])
    return Participants(trial, ids, labels, Encoding(trial).decode(features))


def violations(people: Participants) -> int:
    """How many comparisons of what is there are false; worked out from values alone."""
    sbp, dbp, dose, grade, smoker, cigarettes = people.values[:, :6].transpose(1, 0, 2)
    age, onset, sex, pregnant = people.values[:, 8:12, 0].T
    wrong = [dbp >= sbp, sbp[:, 0] < 130, onset > age, (sex == 1) & ~np.isnan(pregnant)]
    wrong += [people.values[:, 7, 1] >= people.values[:, 7, 0]]
    wrong += [(smoker == 0) & ~np.isnan(cigarettes) & (cigarettes != 0)]
    for earlier, later in ((0, 1), (0, 2), (1, 2)):
        wrong += [dose[:, earlier] > dose[:, later], grade[:, earlier] < grade[:, later]]
    return sum(int(each.sum()) for each in wrong)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.sampled_from([None, "week 0"]),
)
def test_no_draw_whatever_a_generator_says_breaks_a_constraint(seed, wild, baseline):
    trial = schema(*SAID, visits={**TRIAL["visits"], "baseline": baseline})
    encoding, rng = Encoding(trial), np.random.default_rng(seed)
    features = rng.normal(0, 1, (60, encoding.width)).astype(np.float32)
    features[rng.random(features.shape) < 0.1] = wild
    features[rng.random(features.shape) < 0.1] = rng.choice([-1, 1])
    people = decoded(trial, features)
    assert violations(people) == 0
    for m, measure in enumerate(trial.all_measures):
        known = people.values[:, m][~np.isnan(people.values[:, m])]
        assert known.size == 0 or (measure.lower <= known.min() and known.max() <= measure.upper)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_what_is_written_keeps_the_constraints_after_rounding(tmp_path_factory, seed):
    trial, folder = schema(*SAID), tmp_path_factory.mktemp("written")
    features = np.random.default_rng(seed).uniform(-1, 1, (80, Encoding(trial).width))
    write_cohort(decoded(trial, features), folder)
    assert violations(read_participants(trial, folder)[0]) == 0


def test_a_participant_who_keeps_them_is_left_alone():
    """But for the rounding of what is compared, to what is written."""
    free, bound = schema(), schema(*SAID)
    rng = np.random.default_rng(0)
    values = Encoding(free).decode(rng.uniform(-1, 1, (4000, Encoding(free).width)))
    values[:, 1] = values[:, 1].round(1)
    kept = bound.constrained().kept(values)
    fine = np.array(
        [violations(Participants(bound, np.array(["S1"]), np.array([0]), each[None])) == 0 for each in values]
    )
    assert 50 < fine.sum() < 2000
    np.testing.assert_array_equal(kept[fine], values[fine])


def test_of_two_values_the_wrong_way_round_each_takes_the_others_place():
    values = np.full((1, 13, 3), np.nan, dtype=np.float32)
    values[0, 0], values[0, 1] = [80, 120, 95], [95, 70, 95]
    kept = schema("DBP < SBP").constrained().kept(values)[0]
    assert kept[0].tolist() == [95, 120, 96] and kept[1].tolist() == [80, 70, 95]


def test_what_is_beyond_a_limit_is_mirrored_at_it_and_not_heaped_up_there():
    values = np.full((3, 13, 3), np.nan, dtype=np.float32)
    values[:, 0, 0] = [129, 130, 120]
    kept = schema("SBP[week 0] >= 130", "SBP[week 0] < 136").constrained().kept(values)
    assert kept[:, 0, 0].tolist() == [130, 130, 132]  # 120 goes to 139 and back


@pytest.mark.parametrize(
    ("said", "mended"),
    [
        ("dose strictly rises", [[10, 20, 30], [20, np.nan, 30]]),  # no two visits are alike, so it is sorted
        ("dose rises", [[20, 20, 20], [25, np.nan, 25]]),  # visits may be alike
    ],
)
def test_what_rises_is_sorted_or_levelled_and_visits_that_are_missing_are_passed_over(said, mended):
    values = np.full((2, 13, 3), np.nan, dtype=np.float32)
    values[0, 2], values[1, 2] = [30, 10, 20], [30, np.nan, 20]
    np.testing.assert_array_equal(schema(said).constrained().kept(values)[:, 2], mended)


def test_categories_that_rise_are_sorted_so_that_as_many_have_each():
    values = np.full((2, 13, 3), np.nan, dtype=np.float32)
    values[0, 4], values[1, 4] = [1, 0, 0], [0, 1, 0]
    np.testing.assert_array_equal(schema("smoker rises").constrained().kept(values)[:, 4], [[0, 0, 1], [0, 0, 1]])


def test_baseline_does_not_move_for_the_sake_of_what_comes_later():
    """Or the arms would differ in it by more than chance."""
    trial = schema("dose rises", "weight strictly falls", visits={**TRIAL["visits"], "baseline": "week 0"})
    encoding, rng = Encoding(trial), np.random.default_rng(0)
    features = rng.uniform(-1, 1, (500, encoding.width))
    other = np.where(encoding.before, features, rng.uniform(-1, 1, features.shape))  # as if in the other arm
    first, second = (encoding.decode(each)[:, :8, 0] for each in (features, other))
    stayed = ~np.isnan(first).all(axis=1) & ~np.isnan(second).all(axis=1)
    np.testing.assert_array_equal(first[stayed], second[stayed])


@pytest.mark.parametrize(("said", "mended"), [("dose strictly rises", [30, 35, 50]), ("dose rises", [30, 30, 30])])
def test_a_later_value_is_mirrored_at_baseline_or_equals_it(said, mended):
    trial = schema(said, visits={**TRIAL["visits"], "baseline": "week 0"})
    values = np.full((1, 13, 3), np.nan, dtype=np.float32)
    values[0, 2] = [30, 10, 25]
    assert trial.constrained().kept(values)[0, 2].tolist() == mended


def test_what_lies_between_two_values_from_before_randomisation_finds_room():
    trial = schema("onset < cigarettes < age", visits={**TRIAL["visits"], "baseline": "week 0"})
    encoding = Encoding(trial)
    people = decoded(trial, np.random.default_rng(0).uniform(-1, 1, (300, encoding.width)))
    cigarettes, age, onset = people.values[:, 5], people.values[:, 8, :1], people.values[:, 9, :1]
    for smaller, larger in ((onset, cigarettes), (cigarettes, age)):
        assert not (smaller >= larger).any()


@example(
    [("a", "<=", "c"), ("e", "<=", "a")], [(28, 2, 0), (0, 2, None), (0, 29, None), (0, 2, None), (13, 19, None)], 0
)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["<", "<="]), st.sampled_from("abcde")), max_size=6),
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(2, 40), st.sampled_from([None, 0, 1, 2])), min_size=5, max_size=5
    ),
    st.integers(0, 2**32 - 1),
)
def test_any_comparisons_are_refused_or_kept(compared, limits, seed):
    measures = [
        {"name": name, "kind": "continuous", "lower": low, "upper": low + width, "decimals": decimals, "column": name}
        for name, (low, width, decimals) in zip("abcde", limits, strict=True)
    ]
    said = [f"{low} {sign} {high}" for low, sign, high in compared if low != high]
    try:
        trial = schema(*said, measures=measures[:3], covariates=measures[3:], visits=SMALL_SCHEMA["visits"])
    except ValidationError as error:
        assert "in a circle" in str(error) or "is left" in str(error)
        return
    values = Encoding(trial).decode(np.random.default_rng(seed).uniform(-1, 1, (40, Encoding(trial).width)))
    values[:, 3:, 1:] = values[:, 3:, :1]
    for low, sign, high in compared:
        keeps = {"<": operator.lt, "<=": operator.le}[sign]
        assert low == high or keeps(values[:, "abcde".index(low)], values[:, "abcde".index(high)]).all()


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("DPB < SBP", "there is no measure or covariate DPB (did you mean DBP?)"),
        ("DBP<SBP", "a constraint is like `DBP < SBP`"),
        ("120 < 140", "there is no measure or covariate 120"),
        ("DBP < SBP[week 9]", "[week 9] is none of the visits week 0, week 4, week 8"),
        ("weight[week 8] > 40", "weight is not measured at the visit week 8"),
        ("age[week 0] > 40", "age is a covariate, known once; leave [week 0] out"),
        ("SBP < weight", "SBP is in mmHg and weight in kg; only one unit can be compared"),
        ("SBP < grade", "SBP and grade do not have the same categories"),
        ("stage[week 8] <= II", "the categories of stage are in no order; its kind would have to be ordinal"),
        ("grade <= awful", "awful is no category of grade (none, mild, severe)"),
        ("SBP <= high", "there is no measure or covariate high"),
        ("age rises", "age has one value"),
        ("stage rises", "the categories of stage are in no order"),
        ("SBP < DBP", "go round in a circle, so that values would have to be equal"),
        ("SBP > 240", "no value of SBP[week 0] is left, since it would have to be at least 241 and at most 240"),
        ("age < onset < 19", "no value of"),
        ("cigarettes only if smoker = yes", "cigarettes may not be missing; say missing: allowed of it, or add `else"),
        ("cigarettes only if smoker = yes else 61", "61 lies outside the limits of cigarettes, 0 to 60"),
        ("cigarettes only if smoker = yes else 0.5", "cigarettes is never 0.5, since it is recorded with 0 decimals"),
        ("cigarettes only if smoker = maybe else 0", "maybe is no category of smoker (no, yes)"),
        ("cigarettes only if smoker = yes else 1", "says another value after `else` than"),
        ("pregnant only if smoker = no", "say at which visit smoker counts, as in smoker[week 0]"),
        ("pregnant only if dose = 1", "dose is continuous, so it is hardly ever exactly 1"),
        ("DBP only if smoker = no else 80", "the measure is compared with another one, too"),
        ("smoker only if cigarettes = 5 else no", "go round in a circle"),
    ],
)  # fmt: skip
def test_a_constraint_that_cannot_be_kept_is_refused(said, complaint):
    with pytest.raises(ValidationError) as caught:
        schema("DBP < SBP", "cigarettes only if smoker = yes else 0", said)
    assert complaint in str(caught.value) and repr(said) in str(caught.value)


def test_what_is_known_after_randomisation_is_no_condition_of_what_was_before():
    visits = {**TRIAL["visits"], "baseline": "week 0"}
    with pytest.raises(ValidationError, match=r"pregnant is from before randomisation and smoker\[week 8\] is not"):
        schema("pregnant only if smoker[week 8] = no", visits=visits)
    assert schema("pregnant only if smoker[week 0] = no", visits=visits)


def test_arms_are_no_part_of_constraints():
    with pytest.raises(ValidationError, match="there is no measure or covariate arm"):
        schema("SBP only if arm = 1 else 100")
