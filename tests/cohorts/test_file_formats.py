"""Whatever program a trial's files come from, they hold the same trial, and a release goes back to that program."""

import codecs
import gzip
import tempfile
import time
import zipfile
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import CohortError, Participants, Schema, load_participants, write_cohort
from cohorts.files import KINDS, Format, kind_of
from cohorts.files.kind import texts_of
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial
from tests.cohorts.test_cohort_files import assert_same

SUFFIXES = [".csv", ".parquet", ".xlsx", ".xpt", ".sav", ".dta"]


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with numbers as numbers, as programs store it."""
    return frame.infer_objects()


def stored(directory: Path, suffix: str, **also: object) -> str:
    """The little trial in files of another format."""
    schema = schema_mapping() | also
    schema["tables"] = {"people": f"people{suffix}", "visits": f"visits{suffix}"}
    path = write_trial(directory, schema=schema)
    for name, frame in (("people", people_frame()), ("visits", visits_frame())):
        (directory / f"{name}.csv").unlink()
        kind_of(f"t{suffix}").write(typed(frame), directory / f"{name}{suffix}", Format(**also.get("format", {})))
    return path


def spelled(directory: Path, transform, suffix: str = ".csv", **also: object) -> str:
    """The little trial in text files that `transform` made of the plain ones' text."""
    schema = schema_mapping() | also
    schema["tables"] = {"people": f"people{suffix}", "visits": f"visits{suffix}"}
    path = write_trial(directory, schema=schema)
    for name in ("people", "visits"):
        plain = (directory / f"{name}.csv").read_text()
        (directory / f"{name}.csv").unlink()
        (directory / f"{name}{suffix}").write_bytes(transform(plain))
    return path


def german(text: str) -> str:
    return text.replace(".", "\0").replace(",", ";").replace("\0", ",")


def zipped(text: str) -> bytes:
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("export.csv", text)
        file.seek(0)
        return file.read()


@pytest.fixture
def plain(tmp_path) -> Participants:
    return load_participants(write_trial(tmp_path / "plain"))[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_trial_is_the_same_in_every_format(tmp_path, plain, suffix):
    assert_same(load_participants(stored(tmp_path, suffix))[0], plain)


@pytest.mark.parametrize(
    ("transform", "suffix", "said"),
    [
        (lambda text: german(text).encode(), ".csv", {}),
        (lambda text: text.replace(",", ";").encode(), ".csv", {}),
        (lambda text: ("sep=;\r\n" + german(text)).encode("utf-8-sig"), ".csv", {}),
        (lambda text: text.replace(",", "\t").encode(), ".tsv", {}),
        (lambda text: text.replace(",", "|").encode(), ".txt", {}),
        (lambda text: german(text).replace(";", "\t").encode("utf-16"), ".csv", {}),
        (lambda text: text.encode("utf-16-le"), ".csv", {"encoding": "utf-16-le"}),
        (lambda text: text.encode("utf-32"), ".csv", {}),
        (lambda text: codecs.BOM_UTF8 + text.encode(), ".csv", {}),
        (lambda text: text.replace("age,", "  age ,").encode(), ".csv", {}),
        (lambda text: gzip.compress(text.encode()), ".csv.gz", {}),
        (lambda text: zipped(german(text)), ".zip", {}),
        (lambda text: german(text).replace(";", "#").encode(), ".csv", {"separator": "#", "decimal": ","}),
        (lambda text: text.replace("\n", "\r\n").encode(), ".CSV", {}),
    ],
)
def test_a_text_file_is_read_as_it_was_exported(tmp_path, plain, transform, suffix, said):
    assert_same(load_participants(spelled(tmp_path, transform, suffix, format=said))[0], plain)


def test_a_numbers_comma_in_quotes_is_read_if_the_schema_says_so(tmp_path, plain):
    visits = visits_frame()
    visits["hb"] = [str(value).replace(".", ",") for value in visits["hb"]]
    with pytest.raises(CohortError, match=r'visits.csv, line 2, column hb.*decimal comma.*format: \{decimal: ","\}'):
        load_participants(write_trial(tmp_path / "found", visits=visits))
    path = write_trial(tmp_path / "said", visits=visits, schema=schema_mapping() | {"format": {"decimal": ","}})
    assert_same(load_participants(path)[0], plain)


def test_a_column_with_both_commas_and_points_is_not_guessed_at(tmp_path):
    path = spelled(tmp_path, lambda text: german(text).replace(",", ".", 3).encode())
    with pytest.raises(CohortError, match=r"column hb: .*point, where others have a decimal comma"):
        load_participants(path)


def test_an_encoding_is_not_guessed_but_asked_for_with_line_and_column(tmp_path):
    schema = schema_mapping()
    schema["covariates"][1]["categories"] = ["weiblich", "männlich"]
    people = people_frame()
    people["sex"] = people["sex"].map({"f": "weiblich", "m": "männlich"})
    path = write_trial(tmp_path, people=people, schema=schema)
    content = (tmp_path / "people.csv").read_text(encoding="utf-8")
    (tmp_path / "people.csv").write_bytes(content.encode("latin-1"))
    first = 2 + int(np.flatnonzero(people["sex"] == "männlich")[0])
    with pytest.raises(CohortError, match=rf"people.csv, line {first}, column sex: .*encoding: windows-1252"):
        load_participants(path)
    write_trial(tmp_path, people=people, schema=schema | {"format": {"people": {"encoding": "latin-1"}}})
    (tmp_path / "people.csv").write_bytes(content.encode("latin-1"))
    cohort, _ = load_participants(path)
    assert cohort.values[:, 4, 0].tolist() == people["sex"].eq("männlich").astype(float).tolist()


@pytest.mark.parametrize(
    ("content", "suffix", "said"),
    [
        (gzip.compress(b"id,visit\n"), ".csv", "compressed"),
        ("id,visit\n".encode("utf-16-le"), ".csv", "utf-16-le"),
        (b"id,visit\n", ".csv.gz", "not readable as CSV"),
        (b"id,visit\n", ".sav", "not readable as SPSS"),
        (b"id,visit\n", ".xlsx", "not readable as XLSX"),
        (b"id,visit\n", ".zip", "not readable as CSV"),
    ],
    ids=["gzip as csv", "utf-16 as utf-8", "text as gzip", "text as sav", "text as xlsx", "text as zip"],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path, content, suffix, said):
    path = stored(tmp_path, ".csv")
    schema = schema_mapping()
    schema["tables"]["visits"] = f"visits{suffix}"
    write_trial(tmp_path, schema=schema)
    (tmp_path / f"visits{suffix}").write_bytes(content)
    with pytest.raises(CohortError, match=said):
        load_participants(path)


def test_a_format_that_is_not_read_is_named_with_a_way_out(tmp_path):
    schema = schema_mapping()
    schema["tables"]["visits"] = "visits.rds"
    with pytest.raises(CohortError, match=r"visits.rds are not read. Save it as CSV or Parquet"):
        load_participants(write_trial(tmp_path, schema=schema))


def test_a_sheet_may_be_named(tmp_path, plain):
    path = stored(tmp_path, ".xlsx", format={"sheet": "Export 1"})
    assert_same(load_participants(path)[0], plain)
    stored(tmp_path, ".xlsx", format={})
    write_trial(tmp_path, schema=schema_mapping() | {"format": {"sheet": "Data"}, "tables": {
        "people": "people.xlsx", "visits": "visits.xlsx"}})  # fmt: skip
    with pytest.raises(CohortError, match="no sheet Data; it has Sheet"):
        load_participants(path)


def test_value_labels_are_not_what_is_compared(tmp_path, plain):
    path = stored(tmp_path, ".sav")
    schema = schema_mapping()
    schema["covariates"][1]["categories"] = [1, 2]
    schema["tables"] = {"people": "people.sav", "visits": "visits.sav"}
    write_trial(tmp_path, schema=schema)
    people = typed(people_frame().assign(sex=people_frame()["sex"].map({"f": 1, "m": 2})))
    labels = {"sex": {1.0: "female", 2.0: "male"}}
    pyreadstat.write_sav(people, str(tmp_path / "people.sav"), variable_value_labels=labels)
    assert_same(load_participants(path)[0], plain)


def test_dates_are_spelled_alike_in_every_format(tmp_path):
    days = [date(2020, 1, 31), date(1999, 12, 1)]
    frame = pd.DataFrame({"day": days, "moment": [datetime(2020, 1, 31, 12, 30), datetime(1999, 12, 1)]})
    expected = {"day": ["2020-01-31", "1999-12-01"], "moment": ["2020-01-31 12:30:00", "1999-12-01"]}
    for suffix in (".parquet", ".xlsx", ".xpt", ".sav", ".dta"):
        path = tmp_path / f"t{suffix}"
        kind = kind_of(path)
        kind.write(frame, path, Format())
        read = kind.read(path, ["day", "moment"], Format()).columns
        assert list(read["day"]) == expected["day"], suffix
        assert list(read["moment"]) == expected["moment"], suffix


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_release_is_written_in_the_trials_own_format_too(tmp_path, plain, suffix):
    schema = Schema.load(stored(tmp_path / "in", suffix))
    written = write_cohort(Participants(schema, plain.ids, plain.labels, plain.values), tmp_path / "out")
    expected = {f"{name}{end}" for name in ("people", "visits") for end in {".csv", ".parquet", suffix}}
    assert {path.name for path in written} == expected
    for end in (".csv", ".parquet", suffix):
        path = stored(tmp_path / f"schema{end}", end)
        assert_same(load_participants(path, tmp_path / "out")[0], plain)


def test_a_release_of_a_sas_data_set_is_in_the_transport_format(tmp_path, plain):
    schema = plain.schema.model_copy(update={"tables": {"people": "people.sas7bdat", "visits": "visits.SAS7BDAT"}})
    written = write_cohort(Participants(schema, plain.ids, plain.labels, plain.values), tmp_path / "out")
    assert {path.suffix for path in written} == {".csv", ".parquet", ".xpt"}


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [("SEX", "f", 5), ("sex", "f", 8), ("SEXATBIRTH", "f", 8), ("SEX", "ä" * 101, 8), ("SEX", "ä" * 100, 5)],
)
def test_transport_files_are_as_authorities_take_them_where_that_can_be(tmp_path, name, text, version):
    path = tmp_path / "adsl.xpt"
    kind_of(path).write(pd.DataFrame({"USUBJID": ["1", "2"], name: [text, "m"]}), path, Format())
    first = {5: b"HEADER RECORD*******LIBRARY", 8: b"HEADER RECORD*******LIBV8"}[version]
    assert path.read_bytes().startswith(first)
    assert list(kind_of(path).read(path, [name], Format()).columns[name]) == [text, "m"]


@pytest.mark.parametrize("said", [{"separator": ";"}, {"decimal": ",", "encoding": "utf-16"}, {"separator": "\t"}])
def test_a_release_keeps_the_separator_decimal_sign_and_encoding_that_the_schema_declares(tmp_path, plain, said):
    schema = Schema.model_validate(schema_mapping() | {"format": said})
    write_cohort(Participants(schema, plain.ids, plain.labels, plain.values), tmp_path)
    path = write_trial(tmp_path / "schema", schema=schema_mapping() | {"format": said})
    assert_same(load_participants(path, tmp_path)[0], plain)
    assert said.get("separator", ",") in (tmp_path / "visits.csv").read_text(encoding=said.get("encoding", "utf-8"))


def test_a_table_that_the_trials_own_format_cannot_hold_is_still_released(tmp_path, plain, caplog):
    schema = schema_mapping()
    schema["covariates"][0]["column"] = "age at entry (years)"  # SAS, but no transport file, may have such names
    schema["tables"] = {"people": "people.sas7bdat", "visits": "visits.sas7bdat"}
    released = Participants(Schema.model_validate(schema), plain.ids, plain.labels, plain.values)
    written = {path.name for path in write_cohort(released, tmp_path)}
    assert written == {"people.csv", "people.parquet", "visits.csv", "visits.parquet", "visits.xpt"}
    assert not (tmp_path / "people.xpt").exists()
    assert "people.xpt could not be written" in caplog.text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_file_says_when_it_was_written(tmp_path, kind):
    written = []
    for turn in range(2):
        path = tmp_path / f"{turn}{kind.written_as}"
        kind.write(typed(people_frame()), path, Format())
        written.append(path.read_bytes())
        time.sleep(1.1)
    assert written[0] == written[1]
    today = datetime.now()
    for spelling in ("%d %b %Y", "%d%b%y", "%Y-%m-%d"):
        assert today.strftime(spelling).encode().lower() not in written[0].lower()


columns = st.one_of(
    st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=6), min_size=4, max_size=4),
    st.lists(st.integers(-(10**9), 10**9), min_size=4, max_size=4),
    st.lists(st.floats(-1e9, 1e9, allow_subnormal=False).map(lambda x: round(x, 3)), min_size=4, max_size=4),
)


@settings(max_examples=25)
@given(frame=st.lists(columns, min_size=1, max_size=4))
@pytest.mark.parametrize("suffix", [each.written_as for each in KINDS if each.name != "SAS"])
def test_what_a_format_writes_it_reads_as_the_same_texts(suffix, frame):
    kind = kind_of(f"t{suffix}")
    table = pd.DataFrame({"who": list("abcd")} | {f"v{i}": column for i, column in enumerate(frame)})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"t{suffix}"
        kind.write(table, path, Format())
        assert kind.header(path, Format()) == list(table.columns)
        read = kind.read(path, list(table.columns), Format())
    for name, column in table.items():
        expected, found = texts_of(column), read.columns[name]
        if pd.api.types.is_float_dtype(column.dtype):
            assert [float(text) for text in found] == [float(text) for text in expected]
        else:
            assert list(found) == list(expected)
