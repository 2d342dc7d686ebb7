import pickle

import numpy as np
import pandas as pd
import pytest

from cohorts import Participants, load_participants, resolve_schema
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial


def test_values_stand_at_participant_measure_and_visit(tmp_path):
    visits = visits_frame().sample(frac=1, random_state=3)
    cohort, _ = load_participants(write_trial(tmp_path, visits=visits))
    who = list(cohort.ids).index("P007")
    row = visits[(visits["id"] == "P007") & (visits["visit"] == "V1")].iloc[0]
    assert cohort.values[who, 0, 1] == row["sbp"]
    assert cohort.values[who, 1, 1] == pytest.approx(row["hb"])
    assert ("I", "II", "III")[int(cohort.values[who, 2, 1])] == row["nyha"]
    person = people_frame().iloc[7]
    assert cohort.values[who, 3, 0] == person["age"]
    assert ("f", "m")[int(cohort.values[who, 4, 0])] == person["sex"]
    assert cohort.labels[who] == 1


def test_a_covariate_is_a_measure_with_one_visit(tmp_path):
    cohort, _ = load_participants(write_trial(tmp_path))
    assert cohort.values.shape == (80, 5, 2)
    assert np.isnan(cohort.values[:, 3:, 1]).all()
    assert not np.isnan(cohort.values[:, cohort.schema.observed]).any()


def test_the_report_says_how_many_each_rule_drops(tmp_path):
    people, visits = people_frame(), visits_frame()
    people.loc[3, "age"] = ""
    visits.loc[visits["id"].eq("P004") & visits["visit"].eq("V1"), "hb"] = "NA"
    visits = visits.drop(index=[10, 11])  # P005, both visits
    cohort, report = load_participants(write_trial(tmp_path, people, visits))
    dropped = {rule.rule: rule.dropped for rule in report.rules if rule.dropped}
    assert dropped == {
        "covariate age has no value": 1,
        "no row at visit V0 in visits.csv": 1,
        "measure HB has no value at some visit": 1,
    }
    assert (report.enrolled, report.kept, len(cohort)) == (80, 77, 77)
    assert not {"P003", "P004", "P005"} & set(cohort.ids)


def test_visit_codes_that_the_schema_does_not_list_are_ignored(tmp_path):
    extra = visits_frame().assign(visit=["V8", "V9"] * 80, sbp=9999)
    plain, _ = load_participants(write_trial(tmp_path / "plain"))
    both, report = load_participants(write_trial(tmp_path / "both", visits=pd.concat([visits_frame(), extra])))
    assert np.array_equal(plain.values, both.values, equal_nan=True)
    assert report.rows[0].other_visits == 160


@pytest.mark.parametrize("missing", ["", ".", "NA", "NaN", "null"])
def test_what_r_sas_sql_and_python_write_for_missing_is_missing(tmp_path, missing):
    visits = visits_frame()
    visits.loc[0, "sbp"] = missing
    _, report = load_participants(write_trial(tmp_path, visits=visits))
    assert report.kept == 79


def test_a_listed_category_is_no_missing_value(tmp_path):
    schema = schema_mapping()
    schema["measures"][2]["categories"] = ["I", "II", "None"]
    visits = visits_frame()
    visits["nyha"] = visits["nyha"].replace("III", "None")
    _, report = load_participants(write_trial(tmp_path, visits=visits, schema=schema))
    assert report.kept == 80


def test_parquet_and_csv_load_alike(tmp_path):
    schema = schema_mapping()
    from_csv, _ = load_participants(write_trial(tmp_path))
    schema["tables"] = {"people": "people.parquet", "visits": "visits.parquet"}
    path = write_trial(tmp_path, schema=schema)
    people_frame().astype({"age": float}).to_parquet(tmp_path / "people.parquet")
    visits_frame().astype({"sbp": "int16", "hb": "float32"}).to_parquet(tmp_path / "visits.parquet")
    from_parquet, _ = load_participants(path)
    assert np.array_equal(from_csv.values, from_parquet.values, equal_nan=True)
    assert (from_csv.ids == from_parquet.ids).all()


@pytest.mark.parametrize(("take", "expected"), [("first", 92), ("last", 108), ("nearest", 101)])
def test_a_window_takes_the_row_that_its_rule_names(tmp_path, take, expected):
    schema = schema_mapping()
    window = {"name": "V1", "from": 90, "to": 110, "take": take, "centre": 100}
    schema["visits"] = {"column": "day", "windows": [{"name": "V0", "from": 0, "to": 0}, window]}
    days = pd.concat([visits_frame().iloc[::2].assign(day=day, sbp=max(day, 60)) for day in (0, 92, 101, 108)])
    cohort, report = load_participants(write_trial(tmp_path, visits=days, schema=schema))
    assert (cohort.values[:, 0, 1] == expected).all()
    assert report.rows[0].superseded == 160


def test_an_incomplete_row_does_not_push_a_complete_one_out_of_its_window(tmp_path):
    schema = schema_mapping()
    schema["visits"] = {
        "column": "day",
        "windows": [{"name": "V0", "from": 0, "to": 0}, {"name": "V1", "from": 90, "to": 110, "take": "first"}],
    }
    days = pd.concat([visits_frame().iloc[::2].assign(day=day, sbp=sbp) for day, sbp in ((0, 80), (95, ""), (99, 120))])
    cohort, _ = load_participants(write_trial(tmp_path, visits=days, schema=schema))
    assert (cohort.values[:, 0, 1] == 120).all()


def test_constants_may_be_repeated_in_every_row_of_a_single_table(tmp_path):
    schema = schema_mapping()
    schema["tables"] = {"all": "visits.csv"}
    for part in (schema["label"], *schema["measures"], *schema["covariates"]):
        del part["table"]  # there is only one
    whole = visits_frame().merge(people_frame(), on="id")
    cohort, _ = load_participants(write_trial(tmp_path / "one", visits=whole, schema=schema))
    apart, _ = load_participants(write_trial(tmp_path / "two"))
    assert np.array_equal(cohort.values, apart.values, equal_nan=True)


def test_wide_columns_and_long_rows_load_alike(tmp_path):
    schema = schema_mapping()
    schema["tables"] = {"people": "people.csv"}
    schema["visits"] = {"codes": ["V0", "V1"]}
    for measure in schema["measures"]:
        column = measure.pop("column")
        measure.update(table="people", columns={"V0": f"{column}_0", "V1": f"{column}_1"})
    wide = visits_frame().pivot(index="id", columns="visit", values=["sbp", "hb", "nyha"])
    wide.columns = [f"{column}_{visit[1]}" for column, visit in wide.columns]
    path = write_trial(tmp_path / "wide", people=people_frame().merge(wide.reset_index(), on="id"), schema=schema)
    from_wide, _ = load_participants(path)
    from_long, _ = load_participants(write_trial(tmp_path / "long"))
    assert np.array_equal(from_wide.values, from_long.values, equal_nan=True)


def test_several_values_may_mean_one_class(tmp_path):
    schema = schema_mapping()
    schema["label"]["classes"][1]["also"] = ["T2"]
    people = people_frame()
    people.loc[1, "arm"] = "T2"
    cohort, _ = load_participants(write_trial(tmp_path, people=people, schema=schema))
    assert cohort.labels[1] == 1


def test_actg175_is_the_real_trial_of_2139_participants():
    cohort, report = load_participants("actg175")
    assert len(cohort) == report.enrolled == 2139
    assert cohort.values.shape == (2139, 10, 2)
    assert cohort.values[0, :2].tolist() == [[422, 477], [566, 324]]
    assert cohort.labels.mean() == pytest.approx(0.2436, abs=1e-4)
    treated, _ = load_participants("actg175-treat")
    assert treated.labels.mean() == pytest.approx(0.7513, abs=1e-4)


def test_only_the_simulated_sprint_is_public():
    assert not resolve_schema("sprint").public
    assert resolve_schema("sprint-simulated").public
    assert resolve_schema("sprint-simulated").measures == resolve_schema("sprint").measures


def test_printing_a_cohort_discloses_nobody(tmp_path):
    cohort, _ = load_participants(write_trial(tmp_path))
    assert repr(cohort) == str(cohort) == "Participants('little')"


def test_a_cohort_travels_between_processes(tmp_path):
    cohort, _ = load_participants(write_trial(tmp_path))
    arrived = pickle.loads(pickle.dumps(cohort))
    assert arrived.schema == cohort.schema
    assert np.array_equal(arrived.values, cohort.values, equal_nan=True)


def test_a_cohort_refuses_values_where_nothing_is_observed(tmp_path):
    cohort, _ = load_participants(write_trial(tmp_path))
    with pytest.raises(ValueError, match="must be NaN"):
        Participants(cohort.schema, cohort.ids, cohort.labels, np.nan_to_num(cohort.values))
