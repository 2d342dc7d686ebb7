"""A cohort written and loaded again is the same cohort, whatever its schema looks like."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import Encoding, Participants, Schema, load_participants, write_cohort
from cohorts.ids import joined
from cohorts.loader import read_participants
from tests.cohorts.little_trial import write_trial

identifiers = st.lists(
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=6).filter(
        lambda text: text.lower() not in ("na", "n/a", "nan", "null", "none", ".")
    ),
    min_size=50,
    max_size=55,
    unique=True,
)


@st.composite
def measures(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(["continuous", "integer", "binary", "categorical", "ordinal"]))
    measure: dict[str, Any] = {"name": name, "kind": kind}
    if kind in ("continuous", "integer"):
        lower = draw(st.integers(-1000, 1000))
        measure |= {"lower": lower, "upper": lower + draw(st.integers(1, 5000))}
    if kind == "continuous":
        measure["decimals"] = draw(st.none() | st.integers(0, 2))
        measure["missing_values"] = draw(st.sampled_from([[], [9999], ["NK", -9999.5]]))
        measure["outside"] = draw(st.sampled_from(["error", "clamp", "missing"]))
        limit = st.builds(lambda value: {"value": value, "as": "limit"}, st.integers(lower, measure["upper"]))
        measure["detection_limit"] = draw(st.none() | limit)
    if kind in ("continuous", "integer") and (lower > 0 or (kind == "integer" and lower == 0 and measure["upper"] > 1)):
        measure["scale"] = draw(st.sampled_from(["linear", "log"]))
    if kind in ("categorical", "ordinal"):
        listed = [
            ["a", "b", "c"],
            [0, 0.5, 1],
            [3, 1],
            ["01", "02", 'x,"y"'],
            ["1E2", "100"],
            ["1", "01"],
            ["ä", "a\u0308b"],
        ]
        measure["categories"] = draw(st.sampled_from(listed))
    if kind == "binary":
        measure["categories"] = draw(st.sampled_from([[0, 1], ["no", "yes"], [1, 2], ["FALSE", "TRUE"]]))
    measure["description"] = draw(st.sampled_from(["", 'as in the protocol; "fasting" | sitting']))
    return measure | {"missing": draw(st.sampled_from(["drop", "allowed"]))}


def constraints(those: list[dict[str, Any]]) -> st.SearchStrategy[list[str]]:
    """Of measures in any order, some of which rise or fall, each by itself."""
    ordered = [each["name"] for each in those if each["kind"] != "categorical" and len(each.get("columns") or "ab") > 1]
    ordered = [name for name in ordered if not name.startswith("seldom")]
    said = st.builds("{} {}".format, st.sampled_from(ordered or ["none"]), st.sampled_from(["rises", "falls"]))
    return st.lists(said, max_size=2, unique_by=lambda each: each.split()[0]) if ordered else st.just([])


formats = st.fixed_dictionaries(
    {},
    optional={
        "separator": st.sampled_from([",", ";", "\t", "|"]),
        "decimal": st.sampled_from([".", ","]),
        "encoding": st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "utf-16-le"]),
        "missing_values": st.sampled_from([[-9999], ["NK"]]),
        "sheet": st.just("Data"),
    },
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    visits: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"column": "visit", "codes": ["RZ", "1M", "2 years"]},
                {"column": "visit", "codes": [0, 12]},
                {
                    "column": "day",
                    "windows": [{"name": "A", "from": -5, "to": 0}, {"name": "B", "from": 0.25, "to": 9}],
                },
            ]
        )
    )
    listed = visits.get("codes") or visits["windows"]
    names = [str(item["name"] if isinstance(item, dict) else item) for item in listed]
    visits = visits | {"dropout": draw(st.sampled_from([False, True, {"from": names[-2]}]))}
    visits = visits | {"missed": draw(st.sampled_from([False, True, [names[-1]]]))}
    some = st.sampled_from(names).map(lambda left_out: [each for each in names if each != left_out])
    long = [draw(measures(f"long{i}")) | {"table": "rows", "column": f"l{i}"} for i in range(draw(st.integers(1, 3)))]
    wide = [
        draw(measures(f"wide{i}"))
        | {"table": "people", "columns": {v: f"w{i} {v}" for v in draw(some | st.just(names))}}
        for i in range(draw(st.integers(0, 2)))
    ]
    seldom = [
        draw(measures(f"seldom{i}")) | {"table": "rows", "column": f"e{i}", "visits": draw(some)}
        for i in range(draw(st.integers(0, 1)))
    ]
    static = [
        draw(measures(f"static{i}")) | {"table": draw(st.sampled_from(["people", "rows"])), "column": f"s{i}"}
        for i in range(draw(st.integers(0, 2)))
    ]
    for each in (each for each in wide + static if each["kind"] == "integer"):
        each |= draw(st.sampled_from([{}, {"origin": "begun"}, {"origin": {"table": "people", "column": "begun"}}]))
    values = draw(st.sampled_from([(0, 1), ("ctl", "trt"), (1.5, 2.5), ("a", "b", "c"), (0, 1, 2, 3)]))
    classes = [{"name": f"class {i}", "value": value, "share": 1 / len(values)} for i, value in enumerate(values)]
    return Schema.model_validate(
        {
            "name": "drawn",
            "public": True,
            "participant": draw(st.sampled_from(["who", ["site", "who"]])),
            "format": draw(st.one_of(formats, st.fixed_dictionaries({"people": formats}))),
            "nominal_size": 50,
            "enrolled": draw(st.none() | st.integers(50, 99)),
            "visits": visits,
            "tables": {"people": "people.csv", "rows": "rows.csv"},
            "label": {"name": "arm", "table": "people", "column": "arm", "randomised": True, "classes": classes},
            "measures": long + wide + seldom,
            "covariates": static,
            "constraints": draw(constraints(long + wide + seldom)),
        }
    )


def random_cohort(schema: Schema, ids: list[str], seed: int) -> Participants:
    """Any participants that the schema allows."""
    rng = np.random.default_rng(seed)
    encoding = Encoding(schema)
    values = encoding.decode(rng.uniform(-1.2, 1.2, (len(ids), encoding.width)))
    for m, measure in enumerate(schema.all_measures):
        if measure.kind == "continuous" and measure.decimals is not None:
            values[:, m] = values[:, m].astype(np.float64).round(measure.decimals)
    labels = rng.permutation(np.arange(len(ids)) % len(schema.label.classes))
    who = np.array(ids, dtype=object)
    if len(schema.id_columns) > 1:
        who = joined([np.array([f"S/{number % 3}" for number in range(len(ids))], dtype=object), who])
    return Participants(schema, who.astype(str), labels.astype(np.int64), values)


def assert_same(one: Participants, other: Participants) -> None:
    assert list(one.ids) == list(other.ids)
    assert one.labels.tolist() == other.labels.tolist()
    np.testing.assert_array_equal(one.values, other.values)


@settings(max_examples=40)
@given(schema=schemas(), ids=identifiers, seed=st.integers(0, 2**32 - 1))
def test_writing_then_loading_gives_the_same_cohort(schema, ids, seed):
    cohort = random_cohort(schema, ids, seed)
    in_parquet = schema.model_copy(update={"tables": {name: f"{name}.parquet" for name in schema.tables}})
    with tempfile.TemporaryDirectory() as directory:
        written = write_cohort(cohort, Path(directory))
        assert sorted(path.name for path in written) == ["people.csv", "people.parquet", "rows.csv", "rows.parquet"]
        assert_same(read_participants(schema, Path(directory))[0], cohort)
        assert_same(read_participants(in_parquet, Path(directory))[0], cohort)


@settings(max_examples=40)
@given(schema=schemas())
def test_a_schema_written_as_yaml_is_read_as_the_same(schema):
    text = yaml.safe_dump(schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True), allow_unicode=True)
    assert Schema.model_validate(yaml.safe_load(text)) == schema


@pytest.mark.parametrize("name", ["actg175", "actg175-treat"])
def test_the_real_actg175_survives_the_way_there_and_back(tmp_path, name):
    cohort, _ = load_participants(name)
    write_cohort(cohort, tmp_path)
    assert_same(load_participants(name, tmp_path)[0], cohort)


def test_files_are_in_the_trials_own_columns_and_rounding(tmp_path):
    cohort, _ = load_participants(write_trial(tmp_path / "in"))
    write_cohort(cohort, tmp_path / "out")
    for table in ("people", "visits"):
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / "out" / f"{table}.csv"), pd.read_csv(tmp_path / "in" / f"{table}.csv")
        )


def test_parquet_and_csv_hold_the_same_table(tmp_path):
    cohort, _ = load_participants("actg175")
    write_cohort(cohort, tmp_path)
    as_csv = pd.read_csv(tmp_path / "ACTG175.csv", dtype={"pidnum": str})
    pd.testing.assert_frame_equal(as_csv, pd.read_parquet(tmp_path / "ACTG175.parquet"), check_dtype=False)
