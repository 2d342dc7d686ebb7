"""Tables with a row per participant, visit and parameter, as ADaM has them, hold the same trial as any others."""

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from rich.console import Console

from cohorts import Participants, RowCount, Schema, load_participants, resolve_schema, write_cohort
from cohorts.checking import show
from cohorts.loader import read_participants
from cohorts.simulator import simulate
from tests.cohorts.complaints import said
from tests.cohorts.little_trial import visits_frame, write_trial
from tests.cohorts.parameter_trial import adam_mapping, parameters, subjects, write_adam
from tests.cohorts.test_cohort_files import assert_same


def assert_same_trial(one: Participants, other: Participants) -> None:
    assert_same(Participants(other.schema, one.ids, one.labels, one.values), other)


@pytest.fixture
def plain(tmp_path) -> Participants:
    return load_participants(write_trial(tmp_path / "plain"))[0]


@pytest.fixture(scope="module")
def sprint(tmp_path_factory) -> tuple[Participants, Path, Schema]:
    """SPRINT, simulated with 300 participants: read from its ordinary files; and a folder and schema of it in ADaM."""
    folder = tmp_path_factory.mktemp("sprint")
    baseline, bp = simulate(300)
    baseline.to_csv(folder / "baseline.csv", index=False)
    bp.to_csv(folder / "bp.csv", index=False)
    usual, _ = read_participants(resolve_schema("sprint"), folder)

    adsl = baseline[["MASKID", "INTENSIVE"]].set_axis(["USUBJID", "TRT01PN"], axis=1)
    names = {"MASKID": "USUBJID", "VISITCODE": "AVISIT", "SBP": "SYSBP", "DBP": "DIABP", "N_BPCLASSES": "NBPCL"}
    advs = bp.rename(columns=names).melt(["USUBJID", "AVISIT"], var_name="PARAMCD", value_name="AVAL")
    advs = advs.dropna().astype({"AVAL": float}).sort_values(["USUBJID", "PARAMCD"], kind="stable", ignore_index=True)
    pulse = advs[advs["PARAMCD"] == "SYSBP"].assign(PARAMCD="PULSE", AVAL=70.0)
    pyreadstat.write_xport(adsl, str(folder / "adsl.xpt"), table_name="ADSL", file_format_version=5)
    advs = pd.concat([advs, pulse], ignore_index=True)
    pyreadstat.write_xport(advs, str(folder / "advs.xpt"), table_name="ADVS", file_format_version=5)

    schema = usual.schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    schema |= {"participant": "USUBJID", "tables": {"ADSL": "adsl.xpt", "ADVS": "advs.xpt"}}
    schema["label"] |= {"table": "ADSL", "column": "TRT01PN"}
    schema["visits"]["column"] = "AVISIT"
    for measure, code in zip(schema["measures"], ("SYSBP", "DIABP", "NBPCL"), strict=True):
        del measure["column"]
        measure |= {"table": "ADVS", "parameter": code}
    return usual, folder, Schema.model_validate(schema)


def test_sprint_as_adam_is_the_same_trial(sprint):
    usual, folder, schema = sprint
    cohort, report = read_participants(schema, folder)
    assert_same_trial(usual, cohort)
    assert report.rows[0].other_parameters == (simulate(300)[1]["SBP"].notna()).sum()


def test_sprint_goes_back_to_adam(sprint, tmp_path):
    _, folder, schema = sprint
    cohort, _ = read_participants(schema, folder)
    written = write_cohort(cohort, tmp_path)
    assert {path.name for path in written} >= {"adsl.xpt", "advs.xpt", "advs.csv", "advs.parquet"}
    for ending in (".xpt", ".csv", ".parquet"):
        tables = {table: f"{table.lower()}{ending}" for table in schema.tables}
        assert_same(read_participants(schema.model_copy(update={"tables": tables}), tmp_path)[0], cohort)

    keys = ["USUBJID", "PARAMCD", "AVISIT"]
    before, _ = pyreadstat.read_xport(str(folder / "advs.xpt"))
    after, about = pyreadstat.read_xport(str(tmp_path / "advs.xpt"))
    assert about.column_names == ["USUBJID", "AVISIT", "PARAMCD", "AVAL"]
    assert about.table_name == "ADVS"
    used = (
        before["USUBJID"].isin(cohort.ids) & before["AVISIT"].isin(schema.visit_names) & (before["PARAMCD"] != "PULSE")
    )
    expected = before[used].sort_values(keys, ignore_index=True)[list(after.columns)]
    pd.testing.assert_frame_equal(after.sort_values(keys, ignore_index=True), expected)


def r_has(package: str) -> bool:
    asked = ["Rscript", "--vanilla", "-e", f"library({package})"]
    return shutil.which("Rscript") is not None and subprocess.run(asked, capture_output=True).returncode == 0


@pytest.mark.parametrize(("package", "call"), [("foreign", "foreign::read.xport"), ("haven", "haven::read_xpt")])
def test_r_reads_sprint_that_went_back_to_adam(sprint, tmp_path, package, call):
    if not r_has(package):
        pytest.skip(f"needs R with {package} (Debian: r-cran-{package})")
    _, folder, schema = sprint
    write_cohort(read_participants(schema, folder)[0], tmp_path)
    for table in ("adsl", "advs"):
        script = f"write.csv(as.data.frame({call}('{table}.xpt')), 'r-{table}.csv', row.names = FALSE, na = '')"
        subprocess.run(["Rscript", "--vanilla", "-e", script], cwd=tmp_path, check=True, capture_output=True)
        by_r = pd.read_csv(tmp_path / f"r-{table}.csv", dtype={"USUBJID": str})
        expected = pd.read_parquet(tmp_path / f"{table}.parquet").astype({"USUBJID": str})
        pd.testing.assert_frame_equal(by_r, expected, check_dtype=False)


def test_categories_stand_in_a_column_of_their_own(tmp_path, plain):
    cohort, _ = load_participants(write_adam(tmp_path / "in"))
    assert_same_trial(plain, cohort)
    write_cohort(cohort, tmp_path / "out")
    back = pd.read_csv(tmp_path / "out" / "advs.csv")
    assert list(back.columns) == ["USUBJID", "AVISIT", "PARAMCD", "AVAL", "AVALC"]
    assert back[back["PARAMCD"] == "NYHACL"]["AVAL"].isna().all()
    assert back[back["PARAMCD"] != "NYHACL"]["AVALC"].isna().all()
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_texts_and_numbers_may_share_a_column(tmp_path, plain):
    schema = adam_mapping() | {"parameters": {"value": "AVALC"}}
    cohort, _ = load_participants(write_adam(tmp_path / "in", schema=schema))
    assert_same_trial(plain, cohort)
    write_cohort(cohort, tmp_path / "out")
    back = pd.read_csv(tmp_path / "out" / "advs.csv", dtype=str).sort_values(["USUBJID", "PARAMCD", "AVISIT"])
    assert back["AVALC"].tolist() == parameters()["AVALC"].tolist()


def test_columns_may_have_other_names(tmp_path, plain):
    names = {"PARAMCD": "test", "AVAL": "result", "AVALC": "text"}
    schema = adam_mapping() | {"parameters": {"ADVS": {"column": "test", "value": "result"}}}
    schema["measures"][2]["column"] = "text"
    path = write_adam(tmp_path, parameters().rename(columns=names), schema)
    assert_same_trial(plain, load_participants(path)[0])


def test_whole_numbers_stay_whole(tmp_path):
    schema = adam_mapping()
    del schema["measures"][1:]
    cohort, _ = load_participants(write_adam(tmp_path / "in", schema=schema))
    write_cohort(cohort, tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "advs.csv")["AVAL"].dtype == np.int64


def test_two_columns_of_one_parameter_are_two_measures(tmp_path):
    schema = adam_mapping()
    change = {"name": "change", "kind": "integer", "lower": -200, "upper": 200, "table": "ADVS"}
    schema["measures"].append(change | {"parameter": "SYSBP", "column": "CHG"})
    advs = parameters()
    advs["CHG"] = (advs["AVAL"] - 120).where(advs["PARAMCD"] == "SYSBP")
    cohort, _ = load_participants(write_adam(tmp_path / "in", advs, schema))
    assert (cohort.values[:, 3] == cohort.values[:, 0] - 120).all()
    write_cohort(cohort, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "advs.csv")) == len(advs)
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_where_says_which_rows_count(tmp_path, plain):
    schema = adam_mapping() | {"where": {"ADVS": {"ANL01FL": "Y", "DTYPE": ""}}}
    advs = parameters().assign(ANL01FL="Y", DTYPE="")
    flagless, imputed = advs.assign(ANL01FL="", AVAL=1000), advs.assign(DTYPE="LOCF", AVAL=1000)
    path = write_adam(tmp_path / "in", pd.concat([flagless, advs, imputed]), schema)
    cohort, report = load_participants(path)
    assert_same_trial(plain, cohort)
    assert report.rows == (RowCount(str(tmp_path / "in" / "advs.csv"), 1440, 0, 0, 0, not_where=960),)
    write_cohort(cohort, tmp_path / "out")
    assert set(pd.read_csv(tmp_path / "out" / "advs.csv")["ANL01FL"]) == {"Y"}
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_where_chooses_participants_too_and_errors_still_have_the_files_line(tmp_path, plain):
    schema = adam_mapping() | {"where": {"ITTFL": "Y"}}
    path = write_adam(tmp_path, parameters().assign(ITTFL=np.where(parameters()["USUBJID"] < "P010", "N", "Y")), schema)
    adsl = subjects().assign(ITTFL=np.where(subjects()["USUBJID"] < "P010", "N", "Y"))
    adsl.to_csv(tmp_path / "adsl.csv", index=False)
    assert_same_trial(plain.take(np.arange(10, 80)), load_participants(path)[0])
    adsl.loc[12, "AGE"] = 7531
    adsl.to_csv(tmp_path / "adsl.csv", index=False)
    assert "adsl.csv, line 14, column AGE: age is a number, outside" in said(path)


def test_participants_left_out_of_one_table_alone_are_an_error_that_names_where(tmp_path):
    path = write_adam(tmp_path, schema=adam_mapping() | {"where": {"ADSL": {"ITTFL": "Y"}}})
    subjects().assign(ITTFL=np.where(subjects()["USUBJID"] < "P010", "N", "Y")).to_csv(tmp_path / "adsl.csv")
    message = said(path)
    assert "advs.csv, line 2, column USUBJID: a participant has no label" in message
    assert "only rows with ITTFL: 'Y' count, by `where`; say in the schema which rows of the table ADVS" in message


def test_the_steward_is_told_of_rows_that_do_not_count(tmp_path):
    schema = adam_mapping() | {"where": {"ADVS": {"ANL01FL": "Y"}}}
    del schema["measures"][2]
    advs = parameters().assign(ANL01FL="Y")
    path = write_adam(tmp_path, pd.concat([advs, advs.assign(ANL01FL="N")]), schema)
    console = Console(file=io.StringIO(), width=200)
    show(*load_participants(path), console)
    assert "about 960 rows, fewer than 10 of no listed visit" in console.file.getvalue()
    assert "about 160 of parameters that are not listed, about 480 left out by where" in console.file.getvalue()


def test_each_parameter_has_windows_of_its_own(tmp_path):
    """An extra visit at which only one parameter was taken displaces no other."""
    schema = adam_mapping()
    windows = [{"name": "V0", "from": -7, "to": 0}, {"name": "V1", "from": 50, "to": 70, "centre": 60}]
    schema["visits"] = {"column": "ADY", "windows": windows}
    advs = parameters()
    advs["ADY"] = advs.pop("AVISIT").map({"V0": 0, "V1": 63})
    extra = advs[(advs["PARAMCD"] == "SYSBP") & (advs["ADY"] == 63)].assign(ADY=61, AVAL=77)
    cohort, report = load_participants(write_adam(tmp_path, pd.concat([advs, extra]), schema))
    assert (cohort.values[:, 0, 1] == 77).all()
    assert cohort.values[:, 1].ravel().tolist() == visits_frame()["hb"].astype(np.float32).tolist()
    assert report.rows[0].superseded == 80


def test_a_parameter_may_be_missing_at_a_visit_or_not_planned(tmp_path):
    schema = adam_mapping()
    schema["measures"][1]["missing"] = "allowed"
    schema["measures"][2]["visits"] = ["V0"]
    advs = parameters()
    hb, last = advs["PARAMCD"] == "HGB", advs["AVISIT"] == "V1"
    absent = hb & last & (advs["USUBJID"] == "P000")
    empty = hb & last & (advs["USUBJID"] == "P001")
    advs.loc[empty, ["AVAL", "AVALC"]] = [np.nan, ""]
    cohort, _ = load_participants(write_adam(tmp_path / "in", advs[~absent], schema))
    assert np.flatnonzero(np.isnan(cohort.values[:, 1, 1])).tolist() == [0, 1]
    assert np.isnan(cohort.values[:, 2, 1]).all()
    write_cohort(cohort, tmp_path / "out")
    back = pd.read_csv(tmp_path / "out" / "advs.csv")
    assert len(back) == 80 * 5
    lacking = back[back["AVAL"].isna() & back["AVALC"].isna()]
    assert lacking[["USUBJID", "AVISIT", "PARAMCD"]].to_numpy().tolist() == [
        [who, "V1", "HGB"] for who in ("P000", "P001")
    ]
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_a_rule_tells_of_each_parameter_whose_rows_are_absent(tmp_path):
    advs = parameters()
    absent = (advs["PARAMCD"] == "HGB") & (advs["AVISIT"] == "V1") & (advs["USUBJID"] < "P015")
    _, report = load_participants(write_adam(tmp_path, advs[~absent]))
    rules = [(rule.rule, rule.dropped) for rule in report.rules if "row" in rule.rule]
    assert rules == [
        (f"no row of the parameter {code} at some visit in advs.csv", dropped)
        for code, dropped in (("SYSBP", 0), ("HGB", 15), ("NYHACL", 0))
    ]


def test_those_who_left_have_no_rows_of_any_parameter(tmp_path):
    schema = adam_mapping()
    schema["visits"]["dropout"] = True
    advs = parameters()
    left = (advs["USUBJID"] < "P020") & (advs["AVISIT"] == "V1")
    cohort, _ = load_participants(write_adam(tmp_path / "in", advs[~left], schema))
    assert (cohort.values[:, -1, 0] == np.where(np.arange(80) < 20, 1, 2)).all()
    write_cohort(cohort, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "advs.csv")) == (~left).sum()
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_cell_rules_hold_for_parameters(tmp_path):
    schema = adam_mapping()
    schema["measures"][0] |= {"outside": "clamp"}
    schema["measures"][1] |= {"column": "AVALC", "detection_limit": {"value": 4, "as": "limit"}}
    advs = parameters()
    advs.loc[(advs["PARAMCD"] == "SYSBP") & (advs["USUBJID"] == "P003"), "AVAL"] = 900
    advs.loc[(advs["PARAMCD"] == "HGB") & (advs["USUBJID"] == "P004"), "AVALC"] = "<4"
    cohort, report = load_participants(write_adam(tmp_path / "in", advs, schema))
    assert (cohort.values[3, 0] == 240).all()
    assert (cohort.values[4, 1] == 4).all()
    assert [count.cells for count in report.cells] == [2, 2]
    write_cohort(cohort, tmp_path / "out")
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_a_participant_without_any_value_is_still_listed(tmp_path):
    """The label stands in the only table, so everybody needs a row there."""
    schema = adam_mapping()
    schema |= {"tables": {"ADVS": "advs.csv"}, "covariates": []}
    schema["label"] |= {"table": "ADVS"}
    for measure in schema["measures"]:
        measure |= {"missing": "allowed", "visits": ["V1"]}
    schema["visits"]["codes"] = ["V0", "V1"]
    schema["measures"][0]["visits"] = ["V0", "V1"]
    advs = parameters().merge(subjects()[["USUBJID", "TRT01P"]])
    advs.loc[advs["USUBJID"] == "P002", ["AVAL", "AVALC"]] = [np.nan, ""]
    cohort, _ = load_participants(write_adam(tmp_path / "in", advs, schema))
    assert np.isnan(cohort.values[2]).all()
    write_cohort(cohort, tmp_path / "out")
    assert_same(read_participants(cohort.schema, tmp_path / "out")[0], cohort)


def test_mistakes_in_the_file_are_named_with_their_line(tmp_path):
    advs = parameters()
    twice = said(write_adam(tmp_path / "twice", pd.concat([advs, advs.iloc[[7]]])))
    assert "advs.csv, line 482, column AVISIT: a participant has a second row of the parameter HGB at visit V1" in twice
    assert 'where: {ADVS: {ANL01FL: "Y"}}' in twice
    other = said(write_adam(tmp_path / "other", advs.replace({"PARAMCD": {"HGB": "HB"}})))
    assert "column PARAMCD: the parameter HGB of the schema never occurs" in other
    visit = said(write_adam(tmp_path / "visit", advs[(advs["PARAMCD"] != "HGB") | (advs["AVISIT"] == "V0")]))
    assert "column AVISIT: the visit code V1 of the schema never occurs in rows of the parameter HGB" in visit
    assert "P001" not in twice
    wide = advs.assign(AVAL=advs["AVAL"].mask(advs.index == 4, 7531))
    outside = said(write_adam(tmp_path / "outside", wide))
    assert "advs.csv, line 6, column AVAL: SBP is a number, outside" in outside
    assert "7531" not in outside
    nobody = adam_mapping() | {"where": {"ADVS": {"PARAMTYP": "MEASURED"}}}
    assert "column PARAMTYP: no row has 'MEASURED'" in said(
        write_adam(tmp_path / "where", advs.assign(PARAMTYP=""), nobody)
    )


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda schema: schema["measures"][0].update(parameter=None, column="AVAL"), "measure SBP has no parameter"),
        (lambda schema: schema["measures"][0].update(parameter="HGB"), "HB has the parameter and column of SBP"),
        (
            lambda schema: schema["covariates"][0].update(table="ADVS", parameter="HGB", column="AVAL"),
            "covariate age has the parameter of the measure HB (HGB), whose rows are by visit; make it a measure",
        ),
        (lambda schema: schema["covariates"][0].update(parameter="AGE", visits=["V0"]), "one value per participant"),
        (lambda schema: schema["measures"][0].update(columns={"V0": "a"}), "leave columns out, or parameter"),
        (lambda schema: schema["measures"][0].update(column="PARAMCD"), "PARAMCD of table 'ADVS' is named twice"),
        (lambda schema: schema.update(where={"ADXX": {"A": "Y"}}), "where: table 'ADXX' is not among tables"),
        (lambda schema: schema.update(where={"ADVS": {"AVAL": "Y"}}), "AVAL of table 'ADVS' is named twice"),
        (lambda schema: schema.update(parameters={"ADVS": {"colum": "A"}}), "did you mean column"),
        (
            lambda schema: schema.update(parameters={"value": "AVALC"}, format={"decimal": ","}),
            "SBP has numbers and NYHA has texts in the column AVALC",
        ),
    ],
)
def test_mistakes_in_the_schema_are_explained(tmp_path, spoil, problem):
    schema = adam_mapping()
    spoil(schema)
    assert problem in said(write_adam(tmp_path, schema=schema))
