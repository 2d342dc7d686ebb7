"""What copies say beside the paid-for table is what an analyst would combine from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import combine
from analysis.quality.by_copies import figures, key_of, with_copies
from analysis.quality.estimates import Estimate, as_frame, estimates, possible, read_estimates
from analysis.quality.foreseen import Foreseen, made_up
from cohorts import Participants, Schema
from privacy.mechanisms.measurements import Measurements
from tests.cohorts.lossy_trial import MISSED_SCHEMA
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.measured.copies import Copies

WIDE = {**SMALL_SCHEMA["measures"][0], "lower": 0, "upper": 1000, "missing": "allowed"}
SCHEMA = Schema.model_validate({**SMALL_SCHEMA, "measures": [WIDE, SMALL_SCHEMA["measures"][1]]})


@pytest.fixture(scope="module")
def trial() -> Participants:
    people = small_cohort(SCHEMA, 400)
    people.values[np.random.default_rng(0).random(len(people)) < 0.1, 0, 2] = np.nan
    return people


@pytest.fixture(scope="module")
def copies(trial) -> list[Participants]:
    measured = Measurements.costing(SCHEMA, 1.0, 0.2).release(trial.values, trial.labels)
    drawn = Copies(measured, SCHEMA, np.random.default_rng(1))
    return [drawn.draw(400) for _ in range(6)]


@pytest.fixture(scope="module")
def table(trial, copies) -> list[Estimate]:
    measured = Measurements.costing(SCHEMA, 1.0, 0.2).release(trial.values, trial.labels)
    return with_copies(estimates(measured, SCHEMA), copies)


def line_of(table: list[Estimate], *key: str) -> Estimate:
    (line,) = (each for each in table if key_of(each) == key)
    return line


def test_a_difference_in_means_is_combined_as_anybody_would(table, copies):
    arms = [[each.values[each.labels == arm, 1, 2].astype(float) for arm in (1, 0)] for each in copies]
    apart = [treated.mean() - control.mean() for treated, control in arms]
    errors = [np.sqrt(sum(each.var(ddof=1) / len(each) for each in both)) for both in arms]
    by_hand = combine(apart, errors).loc[0, ["estimate", "lower", "upper"]]
    assert line_of(table, "dose", "week 8", "difference in means", "", "treated less control").cited == pytest.approx(
        tuple(by_hand)
    )


def test_who_lacks_a_value_counts_for_that_and_for_nothing_else(table, copies):
    missing = line_of(table, "pressure", "week 8", "missing", "", "control")
    control = [each.values[each.labels == 0, 0, 2] for each in copies]
    assert missing.combined_estimate == pytest.approx(np.mean([np.isnan(each).mean() for each in control]))
    mean = line_of(table, "pressure", "week 8", "mean", "", "control")
    assert mean.combined_estimate == pytest.approx(np.mean([np.nanmean(each.astype(float)) for each in control]))


def test_what_nobody_of_a_copy_has_is_still_known_with_an_error_and_all_of_a_row_comes_from_copies(trial):
    """A category that is missing from a copy: its share and differences of it, beside those of the others."""
    grades = {"name": "grade", "kind": "categorical", "categories": ["a", "b", "c"], "column": "grade"}
    schema = Schema.model_validate({**SMALL_SCHEMA, "measures": [*SMALL_SCHEMA["measures"], grades]})
    usual, graded = small_cohort(SCHEMA, 400, 1), np.random.default_rng(0).choice(2, (400, 1, 3))  # nobody has c
    people = replace(usual, schema=schema, values=np.concatenate([usual.values, graded], axis=1).astype(np.float32))
    measured = Measurements.costing(schema, 1.0, 0.2).release(people.values, people.labels)
    table = with_copies(estimates(measured, schema), [people] * 5)
    of_grade = [each for each in table if (each.measure, each.visit) == ("grade", "week 0")]
    assert all(each.combined_estimate is not None for each in of_grade)
    for group in ("control", "treated"):
        shares = [each.combined_estimate for each in of_grade if (each.quantity, each.group) == ("share", group)]
        assert len(shares) == 3 and sum(shares) == pytest.approx(1)
    none = line_of(table, "grade", "week 0", "share", "c", "control")
    assert none.combined_estimate == 0 and 0 < none.combined_upper < 0.03
    apart = line_of(table, "grade", "week 0", "difference in shares", "c", "treated less control")
    assert apart.combined_lower < 0 == apart.combined_estimate < apart.combined_upper


def test_with_wide_limits_copies_are_far_nearer_than_histograms(table):
    """Noise in bins where nobody is moves a mean by histograms; smoothed histograms know that nobody is there."""
    means = [each for each in table if each.measure == "pressure" and each.quantity == "mean"]
    narrower = [(each.combined_upper - each.combined_lower) / (each.upper - each.lower) for each in means]
    assert np.median(narrower) < 0.5


def test_nothing_beyond_what_is_possible_is_said(table):
    measures = {each.name: each for each in SCHEMA.all_measures}
    for line in table:
        least, most = possible(line.quantity, measures[line.measure])
        estimate, lower, upper = line.cited
        assert least <= lower <= estimate <= upper <= most


def test_people_are_made_up_who_attend_every_visit():
    people = made_up(Schema.model_validate(MISSED_SCHEMA), 50, np.random.default_rng(0))
    assert np.array_equal(~np.isnan(people.values[0]), people.schema.observed)
    assert (np.isnan(people.values) == np.isnan(people.values[0])).all()


def test_the_table_says_nothing_of_how_arms_differed_before_randomisation():
    schema = Schema.model_validate({**SMALL_SCHEMA, "visits": {**SMALL_SCHEMA["visits"], "baseline": "week 0"}})
    people = made_up(schema, 400, np.random.default_rng(0))
    measured = Measurements.costing(schema, 1.0, 0.2).release(people.values, people.labels)
    drawn = Copies(measured, schema, np.random.default_rng(1))
    table = with_copies(estimates(measured, schema), [drawn.draw(400) for _ in range(2)])
    apart = [line for line in table if line.quantity.startswith("difference")]
    assert {line.visit for line in apart} == {"week 4", "week 8"}
    assert all(line.combined_estimate is not None for line in apart)


def test_what_was_measured_is_cited_where_copies_say_something_else(trial, table, copies):
    """A model may be wrong of a column, and then was cited all the same."""
    wrong = [replace(each, values=each.values.copy()) for each in copies]
    for each in wrong:
        each.values[each.labels == 1, 1, 2] = 0
    measured = Measurements.costing(SCHEMA, 1.0, 0.2).release(trial.values, trial.labels)
    key = ("dose", "week 8", "mean", "", "treated")
    told = [
        {key_of(each): each for each in with_copies(estimates(measured, SCHEMA), those)} for those in (copies, wrong)
    ]
    assert told[0][key].combined_estimate is not None and told[1][key].combined_estimate is None
    assert told[1][key].cited[0] == told[1][key].estimate > 3
    others = [name for name in told[0] if (name[0], name[1]) != ("dose", "week 8")]
    assert all(told[1][name] == told[0][name] for name in others)


@pytest.mark.parametrize("count", [0, 1])
def test_a_copy_alone_tells_nothing_of_the_noise(table, copies, count):
    alone = with_copies(table, copies[:count])
    assert alone == table


def test_the_table_is_read_as_it_was_written(table, trial, tmp_path):
    measured = Measurements.costing(SCHEMA, 1.0, 0.2).release(trial.values, trial.labels)
    for number, lines in enumerate((table, estimates(measured, SCHEMA))):
        file = tmp_path / f"{number}.csv"
        as_frame(lines).to_csv(file, index=False)
        again = read_estimates(file)
        assert [key_of(each) for each in again] == [key_of(each) for each in lines]
        assert as_frame(again).equals(as_frame(lines))


def test_errors_are_those_of_a_mean_a_share_and_a_variance(trial):
    """By drawing the people again and again."""
    randomness, names = np.random.default_rng(2), ("mean", "missing", "variance", "difference in means")
    again = [
        {key: value for key, value, _ in figures(trial.take(randomness.integers(0, 400, 400)))} for _ in range(300)
    ]
    for key, _, error in figures(trial):
        if key[2] in names and key[0] == "pressure" and not (key[2] == "missing" and key[1] != "week 8"):
            assert error == pytest.approx(np.std([each[key] for each in again]), rel=0.2)


def test_less_is_foreseen_for_less():
    """A smaller budget has wider intervals, and hides more from the gate."""
    much, little = (Foreseen.of(Measurements.costing(SCHEMA, 1.0, rho), 400) for rho in (1.0, 0.02))
    assert all(1 <= much.widths[kind] < little.widths[kind] for kind in ("mean", "difference in means"))
    shares = ({each.what: each.found_from for each in seen.quality.sight} for seen in (much, little))
    assert next(shares)["middle"] < next(shares)["middle"]
