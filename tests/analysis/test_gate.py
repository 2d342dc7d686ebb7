"""The gate: a release that strays from what was measured is found out, and one that does not is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.datasheet import quality_section
from analysis.quality.comparisons import comparisons
from analysis.quality.gate import NOTHING_MEASURED, Quality, Sight, judge, not_judged
from analysis.report import STRAYS, exit_status
from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.measurements import Measured, Measurements
from tests.cohorts.lossy_trial import LOSSY_SCHEMA, MISSED_SCHEMA, lossy_cohort, with_missed_visits
from tests.conftest import SMALL_SCHEMA, small_cohort

EPSILON_3_RHO = 0.224
"""What a study declares at epsilon 3 and delta 1e-5, in zCDP."""

RESPONSE = {
    **SMALL_SCHEMA,
    "name": "response",
    "nominal_size": 111,
    "measures": [
        {"name": "status", "kind": "binary", "categories": ["poor", "good"], "column": "status"},
    ],
    "covariates": [{"name": "age", "unit": "years", "kind": "integer", "lower": 5, "upper": 100, "column": "age"}],
}


def response_cohort(placebo: float = 0.46, active: float = 0.72) -> Participants:
    """A trial of 111 participants, in which the status of so many is good."""
    schema = Schema.model_validate(RESPONSE)
    randomness = np.random.default_rng(1)
    labels = np.arange(111) % 2
    values = np.full((111, 2, 3), np.nan, dtype=np.float32)
    values[:, 0] = randomness.random((111, 3)) < np.where(labels, active, placebo)[:, None]
    values[:, 1, 0] = randomness.normal(35, 13, 111).round().clip(11, 70)
    return Participants(schema, np.array([f"P{n}" for n in range(111)]), labels.astype(np.int64), values)


def measured_of(people: Participants, rho: float = EPSILON_3_RHO) -> Measured:
    return Measurements.costing(people.schema, 1.0, rho).release(people.values, people.labels)


def changed(people: Participants, measure: str, values: np.ndarray) -> Participants:
    """The same with other values (n, V) of one measure."""
    row = [each.name for each in people.schema.all_measures].index(measure)
    new = people.values.copy()
    new[:, row] = np.where(np.isnan(new[:, row]), np.nan, values)
    return replace(people, values=new)


@pytest.fixture(scope="module")
def trial() -> Participants:
    return small_cohort(Schema.model_validate(SMALL_SCHEMA), 400)


@pytest.fixture(scope="module")
def measured(trial: Participants) -> Measured:
    return measured_of(trial)


@pytest.fixture(scope="module")
def lossy() -> tuple[Participants, Measured]:
    """Participants who drop out, and with values missing, and what was measured of them."""
    trial = lossy_cohort(400, Schema.model_validate({**LOSSY_SCHEMA, "name": "lossy-gate", "nominal_size": 400}))
    return trial, measured_of(trial, rho=1.0)


def test_a_trial_that_everybody_begins_and_some_leave_or_miss_visits_of_passes_as_its_own_copy():
    schema = {**MISSED_SCHEMA, "nominal_size": 400}
    schema["visits"] = {**schema["visits"], "dropout": {"from": "week 0"}}
    trial = with_missed_visits(800, seed=3)
    there = trial.values[:, -1, 0] > 0
    ours = Participants(
        Schema.model_validate(schema), *(each[there] for each in (trial.ids, trial.labels, trial.values))
    )
    again = ours.take(np.arange(0, len(ours), 2))
    assert judge(measured_of(ours.take(np.arange(1, len(ours), 2)), rho=1.0), again).verdict == "passed"


def test_a_collapsed_response_is_found_in_a_trial_of_111_participants():
    """Once 98 % of placebo had a good status where 46 % had, and the release was called fit for a first look."""
    people = response_cohort()
    randomness = np.random.default_rng(2)
    collapsed = np.where(people.labels[:, None] == 0, randomness.random((111, 3)) < 0.98, people.values[:, 0])
    found = judge(measured_of(people), changed(people, "status", collapsed))
    assert found.verdict == "failed" and found.columns[0] == "status"
    worst = found.findings[0]
    assert (worst.what, worst.group) == ("share", "control") or worst.what == "difference"
    assert "share of good" in found.findings[0].detail


def test_copies_are_judged_beside_a_release_that_is_good():
    """Once nobody in any copy was readmitted in an arm where 16 % were, and the release passed."""
    people = response_cohort()
    measured = measured_of(people, rho=2.0)
    copies = [response_cohort() for _ in range(4)]
    good = judge(measured, people, copies)
    assert good.verdict == "passed" and good.figures == 2 * judge(measured, people).figures
    nobody = np.where(people.labels[:, None] == 1, 0, people.values[:, 0])
    found = judge(measured, people, [changed(each, "status", nobody) for each in copies])
    assert found.verdict == "failed" and found.columns == ("status",)
    assert {each.of for each in found.findings} == {"copies"}
    assert "in the copies" in found.findings[0].sentence() and "the release and of its copies" in found.summary()


@pytest.mark.parametrize(("end", "where"), [("lower", "lowest"), ("upper", "highest")])
def test_a_quarter_of_values_at_a_limit_is_found(trial, measured, end, where):
    limit = getattr(trial.schema.measures[0], end)
    stuck = np.random.default_rng(0).random((400, 1)) < 0.25
    found = judge(measured, changed(trial, "pressure", np.where(stuck, limit, trial.values[:, 0])))
    assert found.columns[0] == "pressure"
    assert any(each.detail == f"share in the {where} bin" for each in found.findings)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("means moved", "mean"),
        ("arms alike", "difference"),
        ("spread doubled", "spread"),
        ("measures unrelated", "association"),
    ],
)
def test_other_faults_are_found_and_called_by_their_name(fault, what):
    schema = Schema.model_validate(SMALL_SCHEMA)
    trial = small_cohort(schema, 400)
    trial = changed(trial, "dose", (0.05 * (trial.values[:, 0] - 100)).clip(0, 10))  # the dose follows the pressure
    bought, randomness = measured_of(trial), np.random.default_rng(0)
    pressure = trial.values[:, 0]
    middle = np.array([pressure[trial.labels == label].mean(axis=0) for label in (0, 1)])[trial.labels]
    faulty = {
        "means moved": changed(trial, "pressure", pressure + 8),
        "arms alike": replace(trial, labels=randomness.permutation(trial.labels)),
        "spread doubled": changed(trial, "pressure", middle + 2.5 * (pressure - middle)),
        "measures unrelated": within_arms_shuffled(trial, randomness),
    }[fault]
    found = judge(bought, faulty)
    assert found.failed
    assert what in {each.what for each in found.findings}


def within_arms_shuffled(people: Participants, randomness: np.random.Generator) -> Participants:
    """Each arm's values of every measure and visit, dealt to its participants anew."""
    values = people.values.copy()
    for label in (0, 1):
        own = np.flatnonzero(people.labels == label)
        for measure, visit in np.ndindex(values.shape[1:]):
            values[own, measure, visit] = values[randomness.permutation(own), measure, visit]
    return replace(people, values=values)


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_values_that_are_missing_too_often_are_found(share, lossy):
    trial, bought = lossy
    schema = trial.schema
    row = int(np.flatnonzero([each.missing == "allowed" for each in schema.measures])[0])
    values = trial.values.copy()
    values[np.random.default_rng(0).random(400) < share, row] = np.nan
    name = schema.measures[row].name
    found = judge(bought, release_of(trial, values))
    assert any(each.what == "missing" and each.column == name for each in found.findings)


def release_of(trial: Participants, values: np.ndarray) -> Participants:
    """The same participants with other values; those whom nothing is known of any more at their last visit left."""
    encoding = Encoding(trial.schema)
    return replace(trial, values=encoding.at_positions(encoding.positions(values)))


def test_participants_themselves_pass_and_so_do_draws_from_what_was_measured(trial):
    """One release in a hundred may fail by chance, so one of three measurements may; a benchmark counts how many do."""
    randomness = np.random.default_rng(0)
    bought = [measured_of(trial) for _ in range(3)]
    draws = [each.draw(trial.schema, 400, randomness) for each in bought]
    for releases in ([trial] * 3, draws):
        verdicts = [judge(each, release).verdict for each, release in zip(bought, releases, strict=True)]
        assert verdicts.count("passed") >= 2


def test_differences_of_the_participants_themselves_are_as_large_as_is_said(trial, measured):
    """Without drawing others, noise alone is left, of which the standard deviation is known."""
    z = [each.z for each in comparisons(measured, trial)]
    assert 0.45 < float(np.std(z)) < 1.35  # of 120 measurements from 0.54 to 1.16; sampling is counted too


def test_of_a_large_cohort_a_trifle_is_not_failed():
    schema = Schema.model_validate({**SMALL_SCHEMA, "nominal_size": 20_000})
    many = small_cohort(schema, 20_000)
    found = judge(measured_of(many, rho=10.0), changed(many, "pressure", many.values[:, 0] + 1))  # an eighth of a sd
    assert max(each.furthest for each in found.sight) > 2 * found.threshold
    assert found.verdict == "passed"


def test_with_much_noise_it_says_what_it_could_not_have_seen(trial):
    found = judge(measured_of(trial, rho=0.02), trial)
    assert found.blind
    passed = found.model_copy(update={"verdict": "passed"})  # noise alone fails one in a hundred
    assert "The noise is large" in passed.summary() and "The noise is large" in passed.good_for(trial.schema)


@pytest.mark.parametrize(
    ("what", "found_from", "said"),
    [
        ("middle", 0.49, "0.49"),
        ("middle", 0.82, "hidden by noise"),
        ("spread", 0.5, "hidden by noise"),
        ("missing", 0.82, "0.82"),
        ("mean", 1.2, "1.2 standard deviations"),
    ],
)
def test_no_difference_is_said_to_be_found_that_cannot_be(what, found_from, said):
    """Half of a release lies on either side of its median, so no share there differs by more than that."""
    sight = Sight(what=what, figures=3, furthest=1, found_from=found_from)
    assert sight.found == said
    quality = Quality(verdict="passed", figures=3, sight=(sight,))
    assert said == "hidden by noise" or what == "missing" or said in quality.summary()
    assert said != "hidden by noise" or "none at all could be found" in quality.summary()


def test_what_is_found_of_correlations_is_said_as_a_reader_takes_it(trial):
    """Differences of correlations beside those that noise explains: with much noise they must be large to be seen."""
    from_here = {}
    for rho in (0.002, 100.0):
        (sight,) = (each for each in judge(measured_of(trial, rho=rho), trial).sight if each.what == "association")
        from_here[rho] = sight.found_from
    assert 0.1 <= from_here[100.0] < 0.25 < from_here[0.002]


def test_without_measurements_nothing_is_judged_and_the_datasheet_says_so(trial):
    found = not_judged(NOTHING_MEASURED)
    assert "not judged" in found.summary() and "move with time and arm is not known" in found.good_for(trial.schema)
    without = Schema.model_validate(
        {**SMALL_SCHEMA, "label": {"kind": "none", "table": SMALL_SCHEMA["label"]["table"]}}
    )
    assert "move with time is not known" in found.good_for(without)
    assert exit_status(found, release_anyway=False) == 0


def test_measures_at_one_visit_are_not_said_to_move():
    measures = [{**each, "visits": ["1M"]} for each in SMALL_SCHEMA["measures"]]
    visits = {**SMALL_SCHEMA["visits"], "codes": ["1M"]}
    once = Schema.model_validate({**SMALL_SCHEMA, "measures": measures, "visits": visits})
    found = Quality(verdict="passed").good_for(once)
    assert "for a first look at how measures differ by arm." in found and "time" not in found


def test_correlations_that_differ_by_no_more_than_noise_are_said_to():
    sight = Sight(what="association", figures=3, furthest=0, found_from=0.2)
    assert sight.strayed == "no more than noise"
    assert sight.model_copy(update={"what": "mean"}).strayed == "0.0 standard deviations"


def test_a_release_that_strays_ends_with_status_3_unless_it_may(trial, measured):
    found = judge(measured, changed(trial, "pressure", np.full((400, 3), 120)))
    assert exit_status(found, release_anyway=False) == STRAYS == 3
    assert exit_status(found, release_anyway=True) == 0
    assert "**Not good for a first look**" in found.good_for(trial.schema)
    assert "pressure" in found.good_for(trial.schema)
    assert "pressure" in quality_section(found)
    assert Quality.model_validate_json(found.model_dump_json()) == found


def test_classes_of_other_sizes_than_were_measured_are_found():
    """An outcome that 13 % have, where 30 % were expected: a release of the schema's shares is not this trial."""
    label = {**SMALL_SCHEMA["label"], "randomised": False}
    schema = Schema.model_validate({**SMALL_SCHEMA, "label": label, "nominal_size": 600})
    people = small_cohort(schema, 1000, 2)
    people = people.take(np.concatenate([np.flatnonzero(people.labels == 0)[:400], np.flatnonzero(people.labels)[:60]]))
    bought = measured_of(people)
    expected = small_cohort(schema, 1000, 3)
    (found,) = [each for each in judge(bought, expected).findings if each.what == "class" and each.group == "treated"]
    assert found.released == pytest.approx(0.5, abs=0.05)
    assert found.measured == pytest.approx(60 / 460, abs=4 * found.sd)
    drawn = bought.draw(schema, 460, np.random.default_rng(0))
    assert (drawn.labels == 1).mean() == pytest.approx(found.measured, abs=0.01)
    assert not [each for each in judge(bought, drawn).findings if each.what == "class"]


def test_a_class_of_which_nobody_was_drawn_is_no_error(trial, measured):
    assert judge(measured, trial.take(np.flatnonzero(trial.labels == 0))).figures > 0
