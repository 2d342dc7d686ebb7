"""A first schema says what names can tell, marks the rest, and never looks at a participant."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pyreadstat
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohorts import CohortError, Measure, Schema, load_participants
from cohorts.drafting import draft_schema, write_draft
from cohorts.drafting.headers import header_line, names_in, read_header
from tests.cohorts.little_trial import visits_frame, write_trial
from tests.cohorts.parameter_trial import parameters, write_adam

anywhere = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def csv_with(tmp_path: Path, header: str, name: str = "trial.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(header.encode() + b"\n\xff\xfe not for reading \x00\n")
    return path


def drafted(path: Path, *more: Path) -> dict:
    return yaml.safe_load(draft_schema([path, *more], path.parent / "trial.yaml"))


def unfinished_lines(path: Path) -> list[str]:
    """The lines that loading the draft complains of; none where it loads."""
    try:
        Schema.load(path)
    except CohortError as error:
        lines = path.read_text().splitlines()
        named = [int(line) for line in re.findall(r"(?:, |; )line (\d+): ", str(error))]
        assert named, error
        return [lines[line - 1] for line in named]
    return []


class FirstLineOnly(io.RawIOBase):
    """A file that raises when anyone reads beyond its first line."""

    def __init__(self, line: bytes) -> None:
        self.left = line

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0 or size > len(self.left):
            raise AssertionError("a participant was read")
        byte, self.left = self.left[:size], self.left[size:]
        return byte


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (b"id,sbp\n", ["id", "sbp"]),
        (b"id;sbp\r", ["id", "sbp"]),
        (b"\xef\xbb\xbfid\tsbp\n", ["id", "sbp"]),
        (b'"id","sbp, seated\nin mmHg"\n', ["id", "sbp, seated\nin mmHg"]),
        ("id,größe\n".encode("cp1252"), ["id", "größe"]),
        (b"\nid|sbp\n", ["id", "sbp"]),
        (b"sep=;\r\nid;sbp\r\n", ["id", "sbp"]),
    ],
)
def test_of_a_text_not_a_byte_is_read_beyond_the_header(line, names):
    assert names_in(header_line(FirstLineOnly(line))) == names


@pytest.mark.parametrize("first", ["1017,Schmidt Anna,placebo,F", "Schmidt Anna,1961-04-02,placebo", "Anna;02.04.1961"])
def test_a_first_line_of_values_is_not_drafted_from_and_not_shown(tmp_path, first):
    with pytest.raises(CohortError, match=r"trial\.csv: what stands in the first line are values") as refused:
        draft_schema([csv_with(tmp_path, first)], tmp_path / "trial.yaml")
    assert not any(word in str(refused.value) for word in ("1017", "Anna", "1961"))


def test_of_a_parquet_file_only_the_footer_is_read(tmp_path):
    path = tmp_path / "visits.parquet"
    visits_frame().astype({"sbp": int, "hb": float}).to_parquet(path)
    content = bytearray(path.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4:footer] = b"\xff" * (footer - 4)
    path.write_bytes(content)
    with pytest.raises((OSError, pa.ArrowException)):
        pyarrow.parquet.read_table(path)
    assert [column.name for column in read_header(path).columns] == ["id", "visit", "sbp", "hb", "nyha"]


def test_of_a_workbook_only_the_first_row_is_parsed(tmp_path):
    path = tmp_path / "visits.xlsx"
    visits_frame().to_excel(path, index=False)
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    second = sheet.index(b"</row>") + len(b"</row>")
    parts["xl/worksheets/sheet1.xml"] = sheet[:second] + b"<row><broken" * 9
    with zipfile.ZipFile(path, "w") as book:
        for name, part in parts.items():
            book.writestr(name, part)
    with pytest.raises(Exception, match=r"(?i)mismatched|invalid|not well-formed"):
        list(openpyxl.load_workbook(path, read_only=True).worksheets[0].iter_rows())
    assert [column.name for column in read_header(path).columns] == ["id", "visit", "sbp", "hb", "nyha"]


def frame_of(rows: int) -> pd.DataFrame:
    frame = visits_frame(rows).rename(columns=str.upper).astype({"SBP": float, "HB": float})
    return frame.assign(SBP=frame.SBP + rows, NYHA="x" * rows)


WRITERS = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "parquet": lambda frame, path: frame.to_parquet(path),
    "xlsx": lambda frame, path: frame.to_excel(path, index=False),
    "xpt": lambda frame, path: pyreadstat.write_xport(frame, str(path)),
    "sav": lambda frame, path: pyreadstat.write_sav(frame, str(path)),
    "dta": lambda frame, path: pyreadstat.write_dta(frame, str(path)),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_drafts_of_other_participants_are_the_same_in_every_format(tmp_path, ending):
    texts = set()
    for rows in (3, 9):
        path = tmp_path / f"visits.{ending}"
        WRITERS[ending](frame_of(rows), path)
        texts.add(draft_schema([path], tmp_path / "trial.yaml"))
    (text,) = texts
    schema = yaml.safe_load(text)
    assert schema["tables"] == {"visits": f"visits.{ending}"}
    assert [(each["name"], each["kind"]) for each in schema["measures"]][:2] == [
        ("SBP", "integer"),
        ("HB", "continuous"),
    ]


@pytest.mark.parametrize("reader", ["read_xport", "read_sav", "read_dta"])
def test_programs_of_statistics_are_asked_for_the_dictionary_alone(tmp_path, monkeypatch, reader):
    ending = {"read_xport": "xpt", "read_sav": "sav", "read_dta": "dta"}[reader]
    path = tmp_path / f"visits.{ending}"
    WRITERS[ending](frame_of(3), path)
    read, asked = getattr(pyreadstat, reader), []
    monkeypatch.setattr(pyreadstat, reader, lambda *given, **options: asked.append(options) or read(*given, **options))
    read_header(path)
    assert asked == [{"metadataonly": True}]


def test_two_tables_with_visits_in_rows(tmp_path):
    people = csv_with(tmp_path, "USUBJID,SITEID,TRT01P,AGE,SEX,RFSTDTC", "adsl.csv")
    visits = csv_with(tmp_path, "USUBJID,AVISIT,AVISITN,SYSBP,Creatinine (umol/L),AGE,MARKER", "visits.csv")
    schema = drafted(people, visits)
    assert schema["participant"] == "USUBJID"
    assert (schema["label"]["table"], schema["label"]["column"]) == ("adsl", "TRT01P")
    assert schema["visits"] == {"column": "AVISIT", "codes": None}
    assert [(each["name"], each["unit"], each["column"]) for each in schema["measures"]] == [
        ("SYSBP", "mmHg", "SYSBP"),
        ("Creatinine", "umol/L", "Creatinine (umol/L)"),
    ]
    assert [(each["name"], each["table"]) for each in schema["covariates"]] == [("AGE", "adsl"), ("SEX", "adsl")]
    text = draft_schema([people, visits])
    assert "#  - {name: MARKER, kind: , lower: , upper: , table: visits, column: MARKER}" in text
    assert "SITEID (adsl), RFSTDTC (adsl), AVISITN (visits), AGE (visits)" in text


def test_a_time_is_one_of_visits_where_it_is_in_a_table_of_its_own_and_nobody_is_followed_in_it(tmp_path):
    people = csv_with(tmp_path, "id,arm,age", "people.csv")
    assert drafted(people, csv_with(tmp_path, "id,time,sbp", "visits.csv"))["visits"] == {
        "column": "time",
        "codes": None,
    }
    followed = drafted(people, csv_with(tmp_path, "id,time,status,sbp", "followed.csv"))
    assert followed["visits"] == {"codes": ["baseline"]} == drafted(csv_with(tmp_path, "id,arm,time,sbp"))["visits"]


@pytest.mark.parametrize(
    ("names", "visits"),
    [
        ("sbp_0,sbp_12,dbp_0,dbp_12", ["0", "12"]),
        ("sbp_w12,sbp_w0,dbp_w0,dbp_w12", ["w0", "w12"]),
        ("SBP.month6,SBP.month0,DBP.month6,DBP.month0", ["month0", "month6"]),
    ],
)
def test_columns_of_visits_are_one_measure(tmp_path, names, visits):
    schema = drafted(csv_with(tmp_path, f"pid,arm,{names},item_1,item_2"))
    assert schema["visits"] == {"codes": visits}
    assert [each["name"].lower() for each in schema["measures"]] == ["sbp", "dbp"]
    assert all(list(each["columns"]) == visits for each in schema["measures"])
    assert "covariates" not in schema


def test_cd40_and_cd420_are_not_taken_for_visits(tmp_path):
    assert drafted(csv_with(tmp_path, "pidnum,treat,cd40,cd420"))["measures"] == []


def test_a_table_without_visits_has_one(tmp_path):
    schema = drafted(csv_with(tmp_path, "id,group,age,weight"))
    assert schema["visits"] == {"codes": ["baseline"]}
    assert [each["columns"] for each in schema["measures"]] == [{"baseline": "weight"}]


def test_labels_formats_and_value_labels_are_used(tmp_path):
    path = tmp_path / "trial.sav"
    frame = pd.DataFrame({"ID": ["a"], "ARM": [1.0], "V1": [80.0], "V2": [7.0], "V3": [1.0]})
    pyreadstat.write_sav(
        frame,
        str(path),
        column_labels=["", "", "Total cholesterol (mmol/L)", "Sex", "Diabetes"],
        variable_value_labels={
            "ARM": {1: "Placebo", 2: "Active"},
            "V2": {1: "male", 2: "female"},
            "V3": {0: "no", 1: "yes"},
        },
        variable_format={"V1": "F5.1"},
    )
    schema = drafted(path)
    assert schema["measures"][0] | {"columns": None} == {
        "name": "V1", "unit": "mmol/L", "kind": "continuous", "lower": 1, "upper": 25.9, "decimals": 1, "columns": None
    }  # fmt: skip
    assert schema["covariates"] == [{"name": "V2", "kind": "binary", "categories": [1, 2], "column": "V2"}]
    assert [(each["name"], each["value"]) for each in schema["label"]["classes"]] == [("Placebo", 1), ("Active", 2)]
    assert "{name: V3, kind: binary, categories: [0, 1], column: V3}  # Diabetes: 0 no, 1 yes" in draft_schema([path])


def test_what_is_skewed_in_most_trials_is_suggested_on_a_log_scale(tmp_path):
    path = tmp_path / "labs.csv"
    path.write_text("id,alt,CRP (mg/dl),hb,nyha,NT-proBNP\n")
    found = drafted(path)
    measures = {each["name"]: each for each in (*found["measures"], *found.get("covariates", ()))}
    assert {name: each.get("scale", "linear") for name, each in measures.items()} == {
        "alt": "log", "CRP": "log", "hb": "linear", "nyha": "linear", "NT-proBNP": "log"
    }  # fmt: skip
    for each in measures.values():
        Measure.model_validate({**each, "table": "labs", "column": "c", "columns": None})


@pytest.mark.parametrize(("name", "categories"), [("NYHA", ["I", "II", "III", "IV"]), ("ECOG", [0, 1, 2, 3, 4, 5])])
def test_classes_that_ascend_are_ordinal(tmp_path, name, categories):
    path = tmp_path / "status.csv"
    path.write_text(f"id,{name}\n")
    (measure,) = drafted(path)["measures"]
    assert (measure["kind"], measure["categories"]) == ("ordinal", categories)


def test_value_labels_of_classes_that_ascend_are_ordinal_and_others_are_not(tmp_path):
    labels = {"nyhacls": {1: "no limitation", 2: "slight", 3: "marked"}, "stage": {1: "a", 2: "b", 3: "c"}}
    frame = pd.DataFrame({"id": [1], "nyhacls": [1], "stage": [2]})
    pyreadstat.write_sav(frame, str(tmp_path / "x.sav"), variable_value_labels=labels)
    text = draft_schema([tmp_path / "x.sav"])
    (measure,) = yaml.safe_load(text)["measures"]
    assert (measure["kind"], measure["categories"]) == ("ordinal", [1, 2, 3])
    assert "kind: categorical, categories: [1, 2, 3]" in text  # the stub of the other


def test_labels_made_of_every_text_in_a_column_are_not_suggested(tmp_path):
    path = tmp_path / "trial.dta"
    frame = pd.DataFrame({"id": ["a"], "race": [1.0], "town": [1.0]})
    towns = {code: f"town {code}" for code in range(1, 60)}
    pyreadstat.write_dta(frame, str(path), variable_value_labels={"race": towns, "town": towns})
    assert "town 7" not in draft_schema([path])


def test_a_unit_in_the_label_chooses_the_limits_and_others_are_told(tmp_path):
    text = draft_schema([csv_with(tmp_path, "id,day,glucose [mmol/l]")])
    assert re.search(r"unit: mmol/L +# guess: check it; otherwise 20 to 1000 mg/dL", text)


def test_a_draft_asks_for_the_codes_of_parameters(tmp_path):
    text = draft_schema([csv_with(tmp_path, "USUBJID,PARAMCD,AVISIT,AVAL", "advs.csv")])
    assert re.search(r"parameter: +# TODO: its code in column PARAMCD", text)
    assert "parameters:" not in text
    assert "where:" not in text


def test_columns_of_parameters_in_another_spelling_are_named(tmp_path):
    draft = drafted(csv_with(tmp_path, "usubjid,paramcd,avisit,aval,chg,anl01fl,age", "advs.csv"))
    assert draft["parameters"] == {"advs": {"column": "paramcd", "value": "aval"}}
    assert draft["where"] == {"advs": {"anl01fl": "Y"}}
    assert [each["column"] for each in draft["covariates"]] == ["age"]


def test_a_draft_of_adam_whose_todos_are_done_loads_the_trial(tmp_path):
    write_adam(tmp_path, parameters().assign(ANL01FL="Y"))
    out = tmp_path / "trial.yaml"
    write_draft([tmp_path / "adsl.csv", tmp_path / "advs.csv"], out)
    assert all("TODO" in line for line in unfinished_lines(out))
    done = {
        "nominal_size": ["80"], "value": ["C", "T"], "share": ["0.5", "0.5"], "codes": ["[V0, V1]"], "name": ["SBP"],
        "kind": ["integer"], "lower": ["60"], "upper": ["240"],
    }  # fmt: skip
    text = out.read_text().replace("[F, M]", "[f, m]")
    for key, values in done.items():
        for value in values:
            text = re.sub(rf"^([ -]*{key}:)\s*# TODO.*$", rf"\1 {value}", text, count=1, flags=re.MULTILINE)
    out.write_text(text)
    (left,) = unfinished_lines(out)
    assert re.match(r"    parameter: +# TODO", left)
    out.write_text(re.sub(r"parameter: +# TODO.*", "parameter: SYSBP", text))
    cohort, _ = load_participants(str(out))
    assert [measure.name for measure in cohort.schema.all_measures] == ["SBP", "AGE", "SEX"]
    assert cohort.values[:, 0].ravel().tolist() == visits_frame()["sbp"].tolist()


def test_a_draft_whose_todos_are_done_loads_the_trial(tmp_path):
    write_trial(tmp_path)
    out = tmp_path / "trial.yaml"
    write_draft([tmp_path / "people.csv", tmp_path / "visits.csv"], out)
    assert all("TODO" in line for line in unfinished_lines(out))
    text = out.read_text()
    for key, *values in (("nominal_size", "80"), ("value", "C", "T"), ("share", "0.5", "0.5"), ("codes", "[V0, V1]")):
        for value in values:
            text = re.sub(rf"^(\s*{key}:)\s*# TODO.*$", rf"\1 {value}", text, count=1, flags=re.MULTILINE)
    out.write_text(text.replace("[F, M]", "[f, m]"))
    assert unfinished_lines(out) == []
    cohort, _ = load_participants(str(out))
    assert [measure.name for measure in cohort.schema.all_measures] == ["sbp", "hb", "nyha", "age", "sex"]
    assert len(cohort) == 80
    assert np.nanmin(cohort.values[:, 0]) >= 90


NAMES = """id USUBJID patient arm TRT01P group visit AVISIT day sbp SYSBP sbp_0 sbp_12 dbp_0 dbp_12 dbp_w0 x_w0 x_w12 hb
    sex SEXN age race nyha ECOG weight PARAMCD AVAL RFSTDTC no yes 1 01 a:b k#x [z] 'q {v} SBP_0 sbp_00 AGE AAGE
    paramcd anl01fl"""
column_names = st.sampled_from(NAMES.split()) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8
)


@anywhere
@given(
    tables=st.lists(
        st.lists(column_names, min_size=1, max_size=12)
        | st.lists(column_names, max_size=6).map(lambda names: ["PARAMCD", "AVAL", *names]),
        min_size=1,
        max_size=3,
    ),
    ending=st.sampled_from(["csv", "parquet"]),
)
def test_whatever_columns_are_called_only_todos_are_left(tmp_path, tables, ending):
    files = []
    for index, names in enumerate(tables):
        path = tmp_path / f"t{index}.{ending}"
        if ending == "csv":
            pd.DataFrame(columns=names).to_csv(path, index=False)
        else:
            empty = [pa.array([], pa.float64())] * len(names)
            pyarrow.parquet.write_table(pa.Table.from_arrays(empty, names=names), path)
        files.append(path)
    out = tmp_path / "draft.yaml"
    try:
        text = draft_schema(files, out)
    except CohortError as error:
        assert "names of columns" in str(error)
        return
    out.write_text(text, encoding="utf-8")
    assert all("TODO" in line for line in unfinished_lines(out))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no.csv", None, "does not exist"),
        ("empty.csv", b"", "has no names of columns"),
        ("binary.csv", b"PK\x03\x00\x00", "not a text"),
        ("broken.parquet", b"id,sbp\n", "cannot be read"),
        ("broken.xlsx", b"id,sbp\n", "is not an Excel workbook"),
        ("broken.sav", b"id,sbp\n", "cannot be read"),
        ("broken.sas7bdat", b"id,sbp\n", "cannot be read"),
    ],
)
def test_a_file_without_readable_columns_is_named(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CohortError, match=said) as caught:
        draft_schema([path])
    assert str(path) in str(caught.value)


def test_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(CohortError, match="both called trial"):
        draft_schema([csv_with(tmp_path, "id"), csv_with(tmp_path / "old", "id")])


@pytest.mark.parametrize("rest", ["P1,182\n", 'P1,"text"\n', 'P1,"a","b"\n'])
def test_a_header_that_leaves_a_quotation_mark_open_is_no_header(tmp_path, rest):
    file = tmp_path / "trial.csv"
    file.write_text('id,"sbp\n' + rest)
    with pytest.raises(CohortError, match="a quotation mark is opened in its first line and not closed"):
        draft_schema([file])


def test_a_draft_takes_tables_and_no_schema(tmp_path):
    with pytest.raises(
        CohortError, match=r"little.yaml is a schema, and a draft is made from tables.*python -m cohorts "
    ):
        draft_schema([Path(write_trial(tmp_path))])


def test_a_draft_takes_files_and_no_folder(tmp_path):
    write_trial(tmp_path)
    with pytest.raises(CohortError, match="is a folder; name the tables in it"):
        draft_schema([tmp_path])
    with pytest.raises(CohortError, match="is a folder; name the schema to write"):
        write_draft([tmp_path / "people.csv"], tmp_path)


def test_a_workbook_whose_first_sheet_is_empty_has_its_others_named(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "Cover"
    book.create_sheet("Patients").append(["id", "sbp"])
    book.save(tmp_path / "trial.xlsx")
    with pytest.raises(CohortError, match=r"the sheet Cover has no names of columns.*\(Patients\), save that as CSV"):
        draft_schema([tmp_path / "trial.xlsx"])
