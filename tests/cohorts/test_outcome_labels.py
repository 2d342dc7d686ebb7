"""Outcomes as labels: numbers, and times to an event."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cohorts import CohortError, Encoding, Participants, Schema, load_participants, write_cohort
from cohorts.labels.stretches import PARTS
from privacy.mechanisms.histograms import BINS
from tests.cohorts.complaints import complaint
from tests.cohorts.little_trial import write_trial
from tests.cohorts.outcome_trials import NUMERIC, SURVIVAL, outcomes_frame, trial


def written(cohort: Participants) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        write_cohort(cohort, Path(folder))
        return pd.read_csv(Path(folder) / "people.csv")


def drawn(schema: Schema, seed: int) -> Participants:
    """Participants as a generator that knows nothing might draw them."""
    rng, encoding = np.random.default_rng(seed), Encoding(schema)
    values = encoding.decode(rng.normal(0, 1, (60, encoding.width)))
    labels = rng.integers(0, len(schema.label.classes), 60)
    return Participants(schema, np.array([f"S{i}" for i in range(60)]), labels, values)


@st.composite
def survival_labels(draw):
    horizon = draw(st.integers(2, 4000))
    landmarks = sorted(draw(st.sets(st.integers(1, horizon), min_size=1, max_size=3)))
    classes = len(landmarks) + draw(st.integers(1, 2))
    return trial(SURVIVAL, horizon=horizon, landmarks=landmarks, shares=[1 / classes] * classes)


@given(schema=survival_labels(), seed=st.integers(0, 2**32 - 1))
def test_whatever_is_drawn_time_event_and_class_agree(schema, seed):
    schema = Schema.model_validate(schema)
    cohort, label = drawn(schema, seed), schema.label
    frame = written(cohort)
    time, event = frame["days"].to_numpy(), frame["state"].to_numpy() == 1
    assert set(frame["state"]) <= {0, 1}  # the first of the values of either
    assert ((time >= 0) & (time <= label.horizon)).all() and not event[time == label.horizon].any()
    k, last = len(label.landmarks), label.landmarks[-1]
    early = event & (time < last)
    expected = np.where(early, np.searchsorted(label.landmarks, time, side="right"), k)
    if label.censored_apart:
        expected[~event & (time < last)] = k + 1
    assert cohort.labels.tolist() == expected.tolist()


@given(st.integers(0, 2**32 - 1))
def test_whatever_is_drawn_a_number_lies_in_its_class(seed):
    cohort = drawn(Schema.model_validate(trial(NUMERIC)), seed)
    numbers = written(cohort)["glucose"].to_numpy()
    assert ((numbers >= 2) & (numbers <= 30)).all() and (numbers.round(1) == numbers).all()
    assert cohort.labels.tolist() == np.searchsorted([5.6, 7], numbers, side="right").tolist()


@pytest.mark.parametrize(
    "label", [SURVIVAL, {**SURVIVAL, "shares": [0.3, 0.7]}, NUMERIC], ids=["apart", "two", "number"]
)
def test_a_cohort_with_an_outcome_is_read_written_and_read_again_as_the_same(tmp_path, label):
    first, _ = load_participants(write_trial(tmp_path / "in", outcomes_frame(), schema=trial(label)))
    write_cohort(first, tmp_path / "out")
    again, _ = load_participants(str(tmp_path / "in" / "little.yaml"), tmp_path / "out")
    assert again.labels.tolist() == first.labels.tolist()
    np.testing.assert_array_equal(again.values, first.values)


def test_outcomes_are_the_files_up_to_the_horizon(tmp_path):
    people = outcomes_frame()
    cohort, _ = load_participants(write_trial(tmp_path, people, schema=trial(SURVIVAL)))
    beyond = people["days"].to_numpy() >= 400
    frame = written(cohort)
    np.testing.assert_array_equal(frame["days"], np.where(beyond, 400, people["days"]))
    np.testing.assert_array_equal(frame["state"], np.where(beyond, 0, people["state"] == 1))
    assert beyond.any() and (people["state"][beyond] == 1).any()


def test_numbers_are_the_files(tmp_path):
    people = outcomes_frame()
    cohort, _ = load_participants(write_trial(tmp_path, people, schema=trial(NUMERIC)))
    np.testing.assert_array_equal(written(cohort)["glucose"], people["glucose"].astype(float))
    assert cohort.labels[:6].tolist() == [0, 0, 1, 1, 2, 2]


def test_further_values_of_a_status_count_and_are_written_back_as_the_first(tmp_path):
    people = outcomes_frame()
    people["state"] = np.resize(["died", 2], len(people))
    schema = trial(SURVIVAL, horizon=700, shares=[0.3, 0.7])
    cohort, _ = load_participants(write_trial(tmp_path, people, schema=schema))
    np.testing.assert_array_equal(written(cohort)["state"], people["state"] == "died")


@pytest.mark.parametrize(("label", "column"), [(SURVIVAL, "days"), (SURVIVAL, "state"), (NUMERIC, "glucose")])
def test_who_lacks_an_outcome_is_incomplete(tmp_path, label, column):
    people = outcomes_frame()
    people.loc[[3, 4], column] = ""
    cohort, report = load_participants(write_trial(tmp_path, people, schema=trial(label)))
    assert not {"P003", "P004"} & set(cohort.ids) and len(cohort) == 78
    assert report.rules[0].rule == f"label {label['name']} has no value" and report.rules[0].dropped == 2


@pytest.mark.parametrize(
    ("label", "column", "cell", "said"),
    [
        (SURVIVAL, "days", -77, "column days: the time of death is a number, below 0"),
        (SURVIVAL, "days", 3.25, "column days: the time of death is a number, not a whole number"),
        (SURVIVAL, "days", "2020-01-31", "column days: a text is not a number, but a date. Put the time since"),
        (SURVIVAL, "state", 77, "column state: a text is not a value of the status of death, which has 1 (event)"),
        (NUMERIC, "glucose", 77, "column glucose: glucose is a number, outside its bounds 2 to 30 mmol/l"),
    ],
)
def test_an_outcome_that_cannot_be_names_the_column_and_no_value(tmp_path, label, column, cell, said):
    people = outcomes_frame()
    people[column] = people[column].astype(object)
    people.loc[5, column] = cell
    with pytest.raises(CohortError) as caught:
        load_participants(write_trial(tmp_path, people, schema=trial(label)))
    assert said in str(caught.value) and str(cell) not in str(caught.value).replace(str(tmp_path), "")


def test_a_time_beyond_the_horizon_is_no_error(tmp_path):
    people = outcomes_frame()
    people.loc[5, "days"] = 100_000
    cohort, _ = load_participants(write_trial(tmp_path, people, schema=trial(SURVIVAL)))
    assert written(cohort)["days"].max() == 400


def test_a_class_without_participants_is_an_error(tmp_path):
    people = outcomes_frame().assign(days=300)
    with pytest.raises(
        CohortError, match=r"columns? days, state: no complete participant .* \(event before 100 days\)"
    ):
        load_participants(write_trial(tmp_path, people, schema=trial(SURVIVAL)))


def test_classes_are_named_by_what_they_are():
    def names(label, **changes):
        return [each.name for each in Schema.model_validate(trial(label, **changes)).label.classes]

    assert names(SURVIVAL) == ["event before 100 days", "followed to 100 days", "censored before 100 days"]
    assert names(SURVIVAL, shares=[0.3, 0.7]) == ["event before 100 days", "no event before 100 days"]
    assert names(NUMERIC) == ["below 5.6 mmol/l", "5.6 to below 7 mmol/l", "at least 7 mmol/l"]
    assert names(NUMERIC, names=["low", "middle", "high"]) == ["low", "middle", "high"]


@pytest.mark.parametrize("label", [SURVIVAL, NUMERIC])
def test_a_schema_with_an_outcome_written_as_yaml_is_read_as_the_same(label):
    schema = Schema.model_validate(trial(label))
    text = yaml.safe_dump(schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    assert Schema.model_validate(yaml.safe_load(text)) == schema


def test_classifiers_do_not_see_where_the_outcome_lies_within_its_class():
    schema = Schema.model_validate(trial(SURVIVAL))
    cohort, encoding = drawn(schema, 0), Encoding(schema)
    other = cohort.values.copy()
    other[:, schema.outcome_row] = 1 - other[:, schema.outcome_row]
    assert (encoding.encode(cohort.values) != encoding.encode(other)).any()
    np.testing.assert_array_equal(encoding.predictors(cohort.values), encoding.predictors(other))


def test_no_bin_of_a_histogram_lies_in_two_stretches():
    assert BINS % PARTS == 0


LINES = """\
name: little
public: false
participant: id
nominal_size: 80
tables: {people: people.csv}
label:
  name: death
  kind: survival
  time: days
  status: {column: state, event: [1], censored: [0]}
  horizon: 400
  landmarks: [100]
  shares: [0.3, 0.5, 0.2]
  by: sex
visits:
  codes: [V0]
measures:
  - {name: SBP, kind: integer, lower: 60, upper: 240, columns: {V0: sbp_0}}
covariates:
  - {name: sex, kind: binary, categories: [f, m], column: sex}
  - {name: age, unit: years, kind: integer, lower: 18, upper: 100, column: age}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: survival", "kind: surviva", "line 8: key label.kind: must be classes, numeric or survival"),
        ("horizon: 400", "horizon: 0", "line 11: key label.horizon must be above 0 (it is 0)."),
        ("  horizon: 400\n", "", "line 6: key label.horizon is missing."),
        ("[100]", "[100, 50]", "line 12: key label: landmarks 100, 50 do not ascend from above 0"),
        ("[100]", "[500]", "line 12: key label: landmarks: 500 is after the horizon 400"),
        ("[100]", "[100.5]", "line 12: key label: landmarks: 100.5 has more decimals than outcomes have (0)"),
        ("[0.3, 0.5, 0.2]", "[0.3, 0.5, 0.3]", "line 13: key label: the shares of the classes sum to 1.1"),
        ("[0.3, 0.5, 0.2]", "[0.3, 0.3, 0.2, 0.2]", "line 13: key label: shares has 4 numbers, for 2 or 3 classes"),
        ("by: sex", "by: age", "line 7: label death: by names age, which is not a covariate of categories (sex)"),
        ("censored: [0]", "censored: [1]", "line 10: key label.status: status 1 is given twice"),
        ("column: state", "column: days", "column days of table 'people' is named twice"),
        ("time: days", "time: days\n  randomised: true", "line 10: key label.randomised: must be false"),
        ("horizon:", "horizont:", "line 11: unknown key label.horizont (did you mean horizon?)"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_label_is_told_with_its_line(tmp_path, old, new, said):
    assert LINES.count(old) == 1
    assert said in complaint(tmp_path, LINES.replace(old, new))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cut": [7, 5.6]}, "cut 7, 5.6 does not ascend from lower 2 to upper 30"),
        ({"cut": [5.65, 7]}, "cut: 5.65 has more decimals than outcomes have (1)"),
        ({"decimals": 6}, "outcomes have more than 1,000,000 values"),
        ({"names": ["low", "high"]}, "names has 2 names for 3 classes"),
        ({"names": ["low", "low", "high"]}, "class name 'low' is given twice"),
        ({"missing_values": [9]}, "missing_values holds 9, which lies between lower and upper"),
    ],
)
def test_a_mistake_in_a_numeric_label_is_told(changes, said):
    with pytest.raises(ValueError, match="label") as caught:
        Schema.model_validate(trial(NUMERIC, **changes))
    assert said in str(caught.value)
