"""What a cell says, and what the schema says that it means."""

import unicodedata

import numpy as np
import pandas as pd
import pytest

from cohorts import CellCount, CohortError, load_participants, write_cohort
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial
from tests.cohorts.test_cohort_files import assert_same

SBP, HB, NYHA, AGE, SEX = range(5)


def changed(where: tuple, **keys: object) -> dict:
    schema = schema_mapping()
    part = schema
    for step in where:
        part = part[step]
    part.update(keys)
    return schema


def values(path: str, measure: int) -> np.ndarray:
    return load_participants(path)[0].values[:, measure]


def test_a_composed_and_a_decomposed_umlaut_are_the_same_category(tmp_path):
    for spelling in ("NFC", "NFD"):
        female, male = "weiblich", unicodedata.normalize("NFC", "männlich")
        people = people_frame()
        other = "NFD" if spelling == "NFC" else "NFC"
        people["sex"] = people["sex"].map({"f": female, "m": unicodedata.normalize(other, male)})
        categories = [female, unicodedata.normalize(spelling, male)]
        path = write_trial(tmp_path, people=people, schema=changed(("covariates", 1), categories=categories))
        cohort, _ = load_participants(path)
        assert cohort.values[:, SEX, 0].tolist() == people["sex"].ne(female).astype(float).tolist()
        (csv, *_) = write_cohort(cohort, tmp_path / "out")
        assert set(pd.read_csv(csv)["sex"]) == set(categories)


@pytest.mark.parametrize("categories", [[0, 1], ["0", "1"], ["FALSE", "TRUE"], ["false", "true"]])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_truth_values_are_a_binarys_0_and_1(tmp_path, categories, suffix):
    schema = changed(("covariates", 1), categories=categories)
    schema["tables"]["people"] = f"people{suffix}"
    path = write_trial(tmp_path, schema=schema)
    people = people_frame().assign(sex=people_frame()["sex"].eq("m"))
    if suffix == ".parquet":
        people.astype({"sex": bool}).to_parquet(tmp_path / "people.parquet")
    else:
        people.to_csv(tmp_path / "people.csv", index=False)
    assert values(path, SEX)[:, 0].tolist() == people["sex"].astype(float).tolist()


def test_truth_values_are_no_categories_of_three(tmp_path):
    people = people_frame().assign(sex="TRUE")
    path = write_trial(
        tmp_path, people=people, schema=changed(("covariates", 1), kind="categorical", categories=[0, 1, 2])
    )
    with pytest.raises(CohortError, match="not a category of sex"):
        load_participants(path)


def test_codes_in_quotes_that_are_one_number_are_two_categories(tmp_path):
    people = people_frame()
    people["sex"] = people["sex"].map({"f": "1E2", "m": "100"})
    path = write_trial(tmp_path, people=people, schema=changed(("covariates", 1), categories=["1E2", "100"]))
    cohort, _ = load_participants(path)
    assert cohort.values[:, SEX, 0].tolist() == people["sex"].eq("100").astype(float).tolist()
    write_cohort(cohort, tmp_path)
    assert_same(load_participants(path)[0], cohort)


@pytest.mark.parametrize("category", [1, 1.0, "1", "01"])
@pytest.mark.parametrize("cell", ["1", "1.0", "01", " 1 "])
def test_spellings_of_one_number_are_one_category(tmp_path, category, cell):
    people = people_frame()
    people["sex"] = people["sex"].map({"f": "0", "m": cell})
    path = write_trial(tmp_path, people=people, schema=changed(("covariates", 1), categories=[0, category]))
    assert values(path, SEX)[:, 0].tolist() == people["sex"].ne("0").astype(float).tolist()


@pytest.mark.parametrize("cell", ["-9", "-9.0", "NK", " nk "])
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ((), {"format": {"missing_values": [-9, "NK", "nk"]}}),
        ((), {"format": {"visits": {"missing_values": [-9, "NK", "nk"]}}}),
        (("measures", HB), {"missing_values": [-9, "NK", "nk"]}),
    ],
)
def test_codes_of_missing_values_are_missing(tmp_path, cell, where, said):
    visits = visits_frame()
    visits.loc[6, "hb"] = cell
    cohort, report = load_participants(write_trial(tmp_path, visits=visits, schema=changed(where, **said)))
    assert report.kept == 79
    assert "P003" not in cohort.ids


def test_a_code_of_one_measure_is_a_value_of_another(tmp_path):
    visits = visits_frame()
    visits.loc[6, "sbp"], visits.loc[8, "hb"] = 99, 99
    schema = changed(("measures", HB), missing_values=[99])
    cohort, report = load_participants(write_trial(tmp_path, visits=visits, schema=schema))
    assert report.kept == 79
    assert "P003" in cohort.ids


def test_a_word_taken_for_missing_that_may_be_a_category_is_reported(tmp_path):
    visits = visits_frame()
    visits["nyha"] = visits["nyha"].replace("III", "None")
    visits.loc[0, "nyha"] = ""
    schema = changed(("measures", NYHA), categories=["I", "II"])
    visits.loc[:100:2, "nyha"] = ["I", "II"] * 25 + ["I"]
    _, report = load_participants(write_trial(tmp_path, visits=visits, schema=schema))
    what = "the text None taken for a missing value, since NYHA has no such category"
    cells = int(visits["nyha"].eq("None").sum())
    assert report.cells == (CellCount(str(tmp_path / "visits.csv"), "nyha", what, cells),)


def test_a_declared_code_of_a_missing_category_is_no_news(tmp_path):
    visits = visits_frame()
    visits.loc[3, "nyha"] = "None"
    schema = changed(("measures", NYHA), missing_values=["None"])
    assert load_participants(write_trial(tmp_path, visits=visits, schema=schema))[1].cells == ()


@pytest.mark.parametrize(("read_as", "expected"), [("half", 2.5), ("limit", 5), ("lower", 2)])
@pytest.mark.parametrize("cell", ["<5", "< 5.0", "<=5"])
def test_a_value_below_the_detection_limit_is_read_by_the_measures_rule(tmp_path, read_as, expected, cell):
    visits = visits_frame()
    visits.loc[7, "hb"] = cell
    schema = changed(("measures", HB), lower=2, detection_limit={"value": 5, "as": read_as})
    cohort, report = load_participants(write_trial(tmp_path, visits=visits, schema=schema))
    assert cohort.values[3, HB, 1] == expected
    what = f"below the detection limit 5, read as {expected:g}"
    assert report.cells == (CellCount(str(tmp_path / "visits.csv"), "hb", what, 1),)


def test_a_detection_limit_that_is_not_declared_or_another_one_is_an_error(tmp_path):
    visits = visits_frame()
    visits.loc[7, "hb"] = "<5"
    with pytest.raises(CohortError, match=r"visits.csv, line 9, column hb: .*detection_limit: \{value"):
        load_participants(write_trial(tmp_path, visits=visits))
    schema = changed(("measures", HB), detection_limit={"value": 4, "as": "lower"})
    with pytest.raises(CohortError, match="another detection limit, where the schema's detection limit is 4"):
        load_participants(write_trial(tmp_path, visits=visits, schema=schema))


def test_numbers_outside_the_limits_are_clamped_where_the_measure_says_so(tmp_path):
    visits = visits_frame()
    visits.loc[6, "sbp"], visits.loc[8, "sbp"] = 12, 999
    schema = changed(("measures", SBP), outside="clamp")
    cohort, report = load_participants(write_trial(tmp_path, visits=visits, schema=schema))
    assert (cohort.values[3, SBP, 0], cohort.values[4, SBP, 0]) == (60, 240)
    assert report.cells == (CellCount(str(tmp_path / "visits.csv"), "sbp", "clamped to the limits 60 to 240", 2),)


def test_numbers_outside_the_limits_are_missing_where_the_measure_says_so(tmp_path):
    visits = visits_frame()
    visits.loc[6, "sbp"] = 12
    schema = changed(("measures", SBP), outside="missing")
    _, report = load_participants(write_trial(tmp_path, visits=visits, schema=schema))
    assert report.kept == 79
    assert [count.what for count in report.cells] == ["set missing, outside the limits 60 to 240"]


def test_a_row_whose_number_is_set_missing_does_not_push_a_complete_one_out_of_its_window(tmp_path):
    schema = changed(("measures", SBP), outside="missing")
    schema["visits"] = {
        "column": "day",
        "windows": [{"name": "V0", "from": 0, "to": 0}, {"name": "V1", "from": 90, "to": 110, "take": "first"}],
    }
    rows = [visits_frame().iloc[::2].assign(day=day, sbp=sbp) for day, sbp in ((0, 80), (95, 9), (99, 120))]
    assert (values(write_trial(tmp_path, visits=pd.concat(rows), schema=schema), SBP)[:, 1] == 120).all()


def two_sites() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The little trial with numbers that start anew at each of two sites."""
    frames = people_frame(), visits_frame()
    for frame in frames:
        number = frame["id"].str[1:].astype(int)
        frame["site"], frame["id"] = "S/" + (number // 40).astype(str), (number % 40).astype(str)
    return frames


def test_ids_unique_within_a_site_take_two_columns(tmp_path):
    people, visits = two_sites()
    path = write_trial(tmp_path, people, visits, changed((), participant=["site", "id"]))
    cohort, _ = load_participants(path)
    plain, _ = load_participants(write_trial(tmp_path / "plain"))
    np.testing.assert_array_equal(cohort.values, plain.values)
    assert len(set(cohort.ids)) == 80
    write_cohort(cohort, tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "people.csv", dtype=str)
    pd.testing.assert_frame_equal(written[["site", "id"]], people[["site", "id"]].astype(object))
    assert_same(load_participants(path, tmp_path / "out")[0], cohort)


@pytest.mark.parametrize("table", [0, 1])
def test_ids_that_repeat_between_sites_are_told_from_duplicates(tmp_path, table):
    frames = list(two_sites())
    plain = [people_frame(), visits_frame()]
    frames[1 - table] = plain[1 - table]
    if table == 1:
        frames[0]["id"] = [str(number) for number in range(80)]
    else:
        frames[1]["id"] = [each[1:].lstrip("0") or "0" for each in frames[1]["id"]]
    with pytest.raises(CohortError, match=r"participant: \[site, id\]"):
        load_participants(write_trial(tmp_path, *frames))


def test_a_row_without_site_has_no_id(tmp_path):
    people, visits = two_sites()
    visits.loc[4, "site"] = ""
    with pytest.raises(CohortError, match=r"visits.csv, line 6, column site: .*identifier is missing"):
        load_participants(write_trial(tmp_path, people, visits, changed((), participant=["site", "id"])))


@pytest.mark.parametrize(
    ("where", "keys", "said"),
    [
        (("measures", HB), {"missing_values": [9]}, "9, which lies between lower and upper"),
        ((), {"format": {"missing_values": [99]}}, "holds 99, which lies within the limits of SBP"),
        ((), {"format": {"nope": {"missing_values": [99]}}}, "table 'nope' is not among tables"),
        ((), {"format": {"separatr": ";"}}, "separatr (did you mean separator?)"),
        ((), {"format": {"separator": "x"}}, "cannot separate fields"),
        ((), {"format": {"encoding": "latin-99"}}, "there is no encoding 'latin-99'"),
        ((), {"format": "latin-1"}, "key format"),
        (("measures", NYHA), {"missing_values": ["III"]}, "'III' is both a category and among missing_values"),
        (("measures", NYHA), {"outside": "clamp"}, "are for numbers"),
        (("measures", HB), {"outside": "drop"}, "outside"),
        (("measures", HB), {"detection_limit": {"value": 1}}, "would be read as 0.5, outside 3 to 25"),
        (("measures", SBP), {"detection_limit": {"value": 121}}, "60.5, no whole number"),
        (("measures", HB), {"detection_limit": {"value": 9, "as": "double"}}, "detection_limit.as"),
        ((), {"participant": ["id", "id"]}, "given twice"),
        ((), {"participant": []}, "participant"),
        (
            ("covariates", 1),
            {"categories": ["ж", "м"], "table": "people"},
            "'ж' cannot be written in the encoding latin-1",
        ),
    ],
)
def test_rules_that_contradict_each_other_are_refused(tmp_path, where, keys, said):
    schema = changed(where, **keys)
    if "ж" in str(keys):
        schema["format"] = {"encoding": "latin-1"}
    with pytest.raises(CohortError) as caught:
        load_participants(write_trial(tmp_path, schema=schema))
    assert said in str(caught.value)
