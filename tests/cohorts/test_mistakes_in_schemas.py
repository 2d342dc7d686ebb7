"""A mistake in a schema gets one paragraph that names the file, the key and what may stand there."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohorts import CohortError, load_participants
from tests.cohorts.complaints import refusal
from tests.cohorts.little_trial import schema_mapping, write_trial

spoil = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_an_unknown_cohort_name():
    refusal("sprnt", "'sprnt'", "sprint, sprint-simulated, actg175, actg175-treat", ".yaml")


def test_absent_sprint_files(tmp_path):
    refusal("sprint", tmp_path / "baseline.csv", "BioLINCC", "sprint-simulated", data_dir=tmp_path)


def test_a_missing_schema_file(tmp_path):
    refusal(str(tmp_path / "no.yaml"), tmp_path / "no.yaml", "does not exist")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [a", "line 1"),
        ("a: b: c", "line 1"),
        ("", "is empty"),
        ("name: a\nname: b\n", "line 2: key name is given twice"),
        ("- a\n- b\n", "a list"),
        ("a: \x01", "not valid YAML"),
    ],
)
def test_a_schema_that_is_no_yaml_mapping(tmp_path, text, said):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    refusal(str(path), path, said)


def test_a_folder_where_a_schema_is_asked_for(tmp_path):
    refusal(str(tmp_path), "is a folder", "ends in .yaml")
    (tmp_path / "trial.yaml").mkdir()
    refusal(str(tmp_path / "trial.yaml"), "is a folder", "ends in .yaml")


def test_a_table_where_a_schema_is_asked_for(tmp_path):
    write_trial(tmp_path)
    refusal(str(tmp_path / "people.csv"), "people.csv is no schema", "draft")


def test_a_schema_in_another_encoding_is_told_with_the_line_and_how_to_save_it(tmp_path):
    path = Path(write_trial(tmp_path))
    lines = path.read_text().splitlines()
    lines[3] += "  # größer als geplant"
    path.write_text("\n".join(lines), encoding="latin-1")
    refusal(str(path), "little.yaml, line 4: this is not text in UTF-8; save the schema again with the encoding UTF-8")


@pytest.mark.parametrize(
    ("file", "also", "said"),
    [
        ("people.csv", {}, "Remove 'visits', and say table: people of what it holds"),
        ("people.xlsx", {"format": {"visits": {"sheet": "B"}}}, "Save each sheet as a file of its own"),
    ],
)
def test_two_tables_that_are_one_file(tmp_path, file, also, said):
    schema = schema_mapping() | also
    schema["tables"] = {"people": file, "visits": file}
    refusal(write_trial(tmp_path, schema=schema), f"'people' and 'visits' are the same file, {file}. {said}")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ((), "unknown key namee (did you mean name?)"),
        (("label",), "unknown key label.namee"),
        (("visits",), "unknown key visits.namee"),
        (("measures", 1), "measures[1] (HB): unknown key namee"),
        (("label", "classes", 0), "label.classes[0] (control): unknown key namee"),
    ],
)
def test_an_unknown_key_in_the_schema(tmp_path, where, said):
    schema = schema_mapping()
    part = schema
    for step in where:
        part = part[step]
    part["namee"] = 1
    refusal(write_trial(tmp_path, schema=schema), "little.yaml", said)


@pytest.mark.parametrize(
    ("where", "key", "said"),
    [
        ((), "participant", "key participant is missing"),
        ((), "measures", "key measures is missing"),
        ((), "visits", "key visits is missing"),
        ((), "tables", "key tables is missing"),
        ((), "nominal_size", "key nominal_size is missing"),
        (("label",), "column", "key label.column is missing"),
        (("measures", 0), "upper", "measures[0] (SBP): key upper is missing"),
        (("measures", 0), "kind", "measures[0] (SBP): key kind is missing"),
        (("label", "classes", 1), "share", "label.classes[1] (treated): key share is missing"),
    ],
)
def test_a_missing_key_in_the_schema(tmp_path, where, key, said):
    schema = schema_mapping()
    part = schema
    for step in where:
        part = part[step]
    del part[key]
    refusal(write_trial(tmp_path, schema=schema), "little.yaml", said)


@spoil
@given(lower=st.integers(-1000, 1000), below=st.integers(0, 1000))
def test_a_lower_bound_that_is_not_below_the_upper(tmp_path, lower, below):
    schema = schema_mapping()
    schema["measures"][0].update(lower=lower, upper=lower - below)
    refusal(
        write_trial(tmp_path, schema=schema),
        "little.yaml",
        "measures[0]",
        f"lower {lower:g} is not below upper {lower - below:g}",
    )


AGE = {"name": "age", "kind": "integer", "lower": 18, "upper": 100}


def edit(path: tuple, value: object):
    def change(schema: dict) -> None:
        part = schema
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit(("label", "table"), "nope"), "table 'nope' is not among tables (people, visits)"),
        (edit(("tables", "labs"), "labs.csv"), "table 'labs' is used by no measure"),
        (edit(("tables", "people"), "old/Visits.csv"), "tables 'people' and 'visits' both have a file called visits"),
        (edit(("label", "classes", 0, "share"), 0.6), "sum to 1.1"),
        (edit(("label", "classes", 0, "share"), 0), "label.classes[0] (control): key share must be above 0 (it is 0)"),
        (edit(("label", "classes", 0, "value"), "T"), "'T' is given twice"),
        (edit(("label", "classes"), []), "label.classes"),
        (edit(("nominal_size",), 12), "nominal_size"),
        (edit(("name",), "../x"), "key name"),
        (
            edit(("measures", 0, "kind"), "count"),
            "key kind must be continuous, integer, binary, categorical or ordinal (it is 'count')",
        ),
        (edit(("measures", 0, "name"), "HB"), "'HB' is given twice"),
        (edit(("measures", 0, "categories"), [1, 2]), "takes lower and upper, not categories"),
        (edit(("measures", 0, "decimals"), 1), "kind integer has no decimals"),
        (edit(("measures", 2, "lower"), 1), "takes categories, not lower and upper"),
        (edit(("measures", 2, "categories"), ["I"]), "at least two categories"),
        (edit(("measures", 2, "categories"), [1, "1.0"]), "given twice"),
        (edit(("measures", 2, "categories"), [True, False]), "in quotes"),
        (edit(("measures", 0, "columns"), {"V0": "a", "V1": "b"}), "not both"),
        (edit(("measures", 0, "lower"), 60.5), "more than 0 decimals"),
        (edit(("measures", 0, "lower"), "abc"), "measures[0] (SBP): key lower must be a number (it is 'abc')"),
        (edit(("measures", 0, "upper"), float("inf")), "key upper must be a finite number"),
        (edit(("visits", "windows"), []), "either codes or windows"),
        (edit(("visits", "codes"), []), "at least one visit"),
        (edit(("visits", "codes"), ["V0", "V0"]), "'V0' is given twice"),
        (edit(("visits",), {"codes": ["V0", "V1"]}), "visits needs column too"),
        (edit(("visits",), {"windows": [{"name": "V0", "from": 0, "to": 1}]}), "windows need column"),
        (
            edit(("visits",), {"column": "day", "windows": [{"name": "V0", "from": 2, "to": 1}]}),
            "from must not be after",
        ),
        (
            edit(
                ("visits",),
                {"column": "day", "windows": [{"name": "V0", "from": 0, "to": 5}, {"name": "V1", "from": 5, "to": 9}]},
            ),
            "do not overlap",
        ),
        (
            edit(("visits",), {"column": "day", "windows": [{"name": "V0", "from": 0, "to": 5, "centre": 7}]}),
            "centre 7",
        ),
        (
            edit(
                ("covariates", 0),
                {
                    "name": "age",
                    "kind": "integer",
                    "lower": 1,
                    "upper": 2,
                    "table": "people",
                    "columns": {"V0": "a", "V1": "b"},
                },
            ),
            "give column, not columns",
        ),
        (
            edit(
                ("measures", 0),
                {"name": "SBP", "kind": "integer", "lower": 1, "upper": 2, "table": "visits", "columns": {"V9": "a"}},
            ),
            "names the visit V9, which is none of the visits V0, V1",
        ),
        (edit(("covariates", 0, "column"), "arm"), "column arm of table 'people' is named twice, by label arm and"),
        (edit(("covariates", 0, "column"), "sex"), "by covariate age and by covariate sex"),
        (edit(("covariates", 0, "column"), " id "), "by participant and by covariate age"),
        (edit(("measures", 0, "column"), "visit"), "by visits and by measure SBP"),
        (edit(("covariates", 0), {**AGE, "table": "visits", "column": "sbp"}), "by measure SBP and by covariate age"),
        (
            edit(
                ("measures", 0),
                {**AGE, "name": "SBP", "table": "people", "columns": {"V0": "s", "V1": "s"}},
            ),
            "by measure SBP at visit V0 and by measure SBP at visit V1",
        ),
        (edit(("measures",), "SBP"), "key measures"),
        (edit(("tables",), []), "key tables"),
        (edit(("label",), 3), "key label"),
    ],
)
def test_a_schema_that_contradicts_itself(tmp_path, change, said):
    schema = schema_mapping()
    change(schema)
    refusal(write_trial(tmp_path, schema=schema), "little.yaml", said)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
places = [
    ("name",),
    ("public",),
    ("tables",),
    ("label",),
    ("label", "classes"),
    ("label", "classes", 0),
    ("visits",),
    ("visits", "codes"),
    ("measures",),
    ("measures", 0),
    ("measures", 0, "lower"),
    ("measures", 2, "categories"),
    ("measures", 0, "kind"),
    ("covariates",),
    ("nominal_size",),
]


@settings(spoil, max_examples=60)
@given(place=st.sampled_from(places), junk=json_like)
def test_junk_anywhere_in_a_schema_is_a_cohort_error_or_harmless(tmp_path, place, junk):
    schema = schema_mapping()
    edit(place, junk)(schema)
    path = tmp_path / "junk.yaml"
    path.write_text(yaml.safe_dump(schema))
    write_trial(tmp_path)
    try:
        load_participants(str(path))
    except CohortError as error:
        assert "\n" not in str(error)
