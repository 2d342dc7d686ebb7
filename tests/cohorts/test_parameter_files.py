"""A cohort with rows by parameter, written and loaded again, is the same cohort, whatever its schema looks like."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import Schema, write_cohort
from cohorts.loader import read_participants
from tests.cohorts.test_cohort_files import assert_same, formats, identifiers, measures, random_cohort


@st.composite
def adam_schemas(draw: st.DrawFn) -> Schema:
    visits: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"column": "AVISIT", "codes": ["Baseline", "Week 4", "Week 8"]},
                {"column": "AVISITN", "codes": [0, 4]},
                {"column": "ADY", "windows": [{"name": "A", "from": -5, "to": 0}, {"name": "B", "from": 2, "to": 9}]},
            ]
        )
    )
    names = [str(each["name"] if isinstance(each, dict) else each) for each in visits.get("codes") or visits["windows"]]
    some = st.none() | st.sampled_from(names).map(lambda left_out: [each for each in names if each != left_out])
    listed = []
    for i in range(draw(st.integers(1, 4))):
        place = {"table": "ADVS", "parameter": draw(st.sampled_from([f"P{i}", f"{i}"]))}
        place |= draw(st.sampled_from([{}, {"column": "AVALC"}, {"column": "AVAL"}]))
        at = draw(some) if i else None
        listed.append(draw(measures(f"measure{i}")) | place | ({"visits": at} if at else {}))
    covariates = [draw(measures("age")) | {"table": draw(st.sampled_from(["ADSL", "ADVS"])), "column": "AGE"}]
    classes = [
        {"name": f"class {value}", "value": value, "share": 0.5} for value in draw(st.sampled_from(["AB", "01"]))
    ]
    label = {"table": draw(st.sampled_from(["ADSL", "ADVS"])), "column": "TRT01P", "name": "arm", "classes": classes}
    tables = {"ADSL": "ADSL.xpt", "ADVS": "ADVS.xpt"}
    if label["table"] == covariates[0]["table"] == "ADVS":
        del tables["ADSL"]
    how = draw(formats)
    if how.get("decimal") == ",":  # else numbers and texts may not share a column
        del how["decimal"]
    return Schema.model_validate(
        {
            "name": "drawn",
            "public": True,
            "participant": "USUBJID",
            "nominal_size": 50,
            "tables": tables,
            "format": {"ADVS": how},
            "where": draw(st.sampled_from([{}, {"ADVS": {"ANL01FL": "Y"}}, {"ADVS": {"FLAG": 1, "DTYPE": ""}}])),
            "label": label | {"randomised": True},
            "visits": visits | {"dropout": draw(st.booleans())},
            "measures": listed,
            "covariates": covariates,
        }
    )


@settings(max_examples=40)
@given(schema=adam_schemas(), ids=identifiers, seed=st.integers(0, 2**32 - 1))
def test_writing_then_loading_parameters_gives_the_same_cohort(schema, ids, seed):
    cohort = random_cohort(schema, ids, seed)
    with tempfile.TemporaryDirectory() as directory:
        write_cohort(cohort, Path(directory))
        for ending in ("csv", "parquet", "xpt"):
            tables: dict[str, object] = {"tables": {table: f"{table}.{ending}" for table in schema.tables}}
            if ending != "csv":  # what is said of a text file
                tables["format"] = {}
            assert_same(read_participants(schema.model_copy(update=tables), Path(directory))[0], cohort)


@settings(max_examples=40)
@given(schema=adam_schemas())
def test_a_schema_of_parameters_written_as_a_mapping_is_read_as_the_same(schema):
    assert Schema.model_validate(schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True)) == schema
