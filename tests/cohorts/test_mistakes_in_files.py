"""A mistake in a trial's files gets one paragraph that names the place and the remedy."""

import csv

import openpyxl
import pytest

from cohorts import load_participants
from tests.cohorts.complaints import refusal, said
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial

pytestmark = pytest.mark.usefixtures("values_shown")


def test_a_missing_file(tmp_path):
    path = write_trial(tmp_path)
    (tmp_path / "visits.csv").unlink()
    refusal(path, tmp_path / "visits.csv", "does not exist")


def test_a_missing_column(tmp_path):
    refusal(
        write_trial(tmp_path, visits=visits_frame().drop(columns="hb")),
        "visits.csv",
        "no column hb",
        "id, visit, sbp, nyha",
    )


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file(tmp_path, content):
    path = write_trial(tmp_path)
    (tmp_path / "visits.csv").write_text(content)
    refusal(path, "visits.csv", "is empty")


def test_a_file_with_a_header_and_no_rows(tmp_path):
    refusal(write_trial(tmp_path, visits=visits_frame().iloc[:0]), "visits.csv", "no rows")


def test_a_row_with_a_field_too_many(tmp_path):
    path = write_trial(tmp_path)
    with (tmp_path / "visits.csv").open("a") as file:
        file.write("P080,V0,1,200,12.0,I\n")
    refusal(path, "visits.csv, line 162", "6 fields", "5", "1,200")


def test_a_file_that_is_no_parquet(tmp_path):
    schema = schema_mapping()
    schema["tables"]["visits"] = "visits.parquet"
    path = write_trial(tmp_path, schema=schema)
    (tmp_path / "visits.parquet").write_text("id,visit\n")
    refusal(path, "visits.parquet", "not readable as Parquet")


def test_a_visit_code_of_the_schema_that_the_file_does_not_know(tmp_path):
    schema = schema_mapping()
    schema["visits"]["codes"] = ["V0", "V1", "V7"]
    refusal(write_trial(tmp_path, schema=schema), "visits.csv", "column visit", "V7", "V0, V1")


def test_a_window_that_no_row_falls_into(tmp_path):
    schema = schema_mapping()
    schema["visits"] = {
        "column": "day",
        "windows": [{"name": "V0", "from": 0, "to": 1}, {"name": "V1", "from": 500, "to": 600}],
    }
    refusal(
        write_trial(tmp_path, visits=visits_frame().assign(day=0).iloc[::2], schema=schema),
        "visits.csv",
        "column day",
        "window V1",
        "500 to 600",
    )


@pytest.mark.parametrize(("row", "line"), [(0, 2), (4, 6), (158, 160)])
@pytest.mark.parametrize("column", range(5))
def test_a_quotation_mark_that_is_never_closed_is_told_with_the_line_that_it_stands_in(tmp_path, row, line, column):
    path, table = write_trial(tmp_path), tmp_path / "visits.csv"
    rows = [each.split(",") for each in table.read_text().splitlines()]
    rows[row + 1][column] = '"' + rows[row + 1][column]
    table.write_text("\n".join(map(",".join, rows)) + "\n")
    refusal(path, f"visits.csv, line {line}: a quotation mark is opened there and never closed")


def test_nor_does_it_hide_rows_where_it_stands_in_a_column_that_nobody_asked_for(tmp_path):
    visits = visits_frame().assign(comment="none")
    visits.loc[7, "comment"] = "@"
    path, table = write_trial(tmp_path, visits=visits), tmp_path / "visits.csv"
    table.write_text(table.read_text().replace("@", '"seen late'))
    refusal(path, "visits.csv, line 9: a quotation mark is opened there and never closed")


@pytest.mark.parametrize(
    ("old", "new"),
    [('"@"', '"@'), ('"@"', '"@\n"'), ('"@"', '"@",1'), ('"@"', '"@"",1"')],
)
def test_a_quotation_mark_that_is_not_closed_where_its_field_ends_takes_no_rows_with_it(tmp_path, old, new):
    visits = visits_frame()
    visits.loc[7, "nyha"] = "@"
    path, table = write_trial(tmp_path), tmp_path / "visits.csv"
    visits.to_csv(table, index=False, quoting=csv.QUOTE_ALL)
    table.write_text(table.read_text().replace(old, new))
    refusal(path, "visits.csv, line 9")


@pytest.mark.parametrize(("first", "second"), [('"5 mm lesion', '"6 mm lesion'), ('"5 mm lesion', 'lesion of 5"')])
def test_two_marks_of_one_participant_take_no_rows_of_others_with_them(tmp_path, first, second):
    """An even number of marks, in a column that nobody asked for: values of those between would hang on that one."""
    visits = visits_frame().assign(comment="none")
    visits.loc[[7, 151], "comment"] = ["@", "@@"]
    path, table = write_trial(tmp_path, visits=visits), tmp_path / "visits.csv"
    table.write_text(table.read_text().replace("@@", second).replace("@", first))
    refusal(path, "visits.csv, line 9: a quotation mark is opened there and ")
    table.write_text(table.read_text().replace(",none", ',""'))  # as programs write what is empty
    refusal(path, "visits.csv, line 9: a quotation mark is opened there and ")


def test_nor_does_a_mark_in_the_row_that_follows(tmp_path):
    visits = visits_frame().assign(comment="none")
    visits.loc[[7, 8], "comment"] = ["@", 'lesion of 5"']
    path, table = write_trial(tmp_path, visits=visits), tmp_path / "visits.csv"
    table.write_text(table.read_text().replace('"lesion of 5"""', 'lesion of 5"').replace("@", '"5 mm'))
    refusal(path, "visits.csv, line 9: a quotation mark is opened there and closed in line 10")


def test_quotation_marks_that_are_text_are_none_of_these(tmp_path):
    comments = ['5 ft 2"', 'said "no"', "two\nlines", "a, b", '"', ""]
    visits = visits_frame().assign(comment=(comments * 27)[:160])
    path, table = write_trial(tmp_path, visits=visits), tmp_path / "visits.csv"
    assert len(load_participants(path)[0]) == 80
    table.write_text(table.read_text().replace('"5 ft 2"""', '5 ft 2"', 1))  # odd, and no field begins with it
    assert len(load_participants(path)[0]) == 80


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("rows", [160, 20_000])
def test_a_quotation_mark_that_a_header_leaves_open_is_told(tmp_path, separator, rows):
    path, table = write_trial(tmp_path), tmp_path / "visits.csv"
    visits_frame(rows // 2).to_csv(table, index=False, sep=separator)
    table.write_text(table.read_text().replace("sbp", '"sbp', 1))
    refusal(path, "visits.csv, line 1: a quotation mark is opened there and never closed")


def test_rs_names_of_rows_that_have_no_header_are_told(tmp_path):
    path, table = write_trial(tmp_path), tmp_path / "visits.csv"
    visits_frame().to_csv(table, quoting=csv.QUOTE_NONNUMERIC)
    assert len(load_participants(path)[0]) == 80  # as write.csv has them: a column without a name
    table.write_text(table.read_text().removeprefix('"",'))  # as write.table has them
    refusal(path, "visits.csv, line 2: it has 6 fields where the header has 5", "row.names = FALSE")


def test_ids_that_r_wrote_as_the_names_of_rows_are_told(tmp_path):
    path, table = write_trial(tmp_path), tmp_path / "people.csv"
    people_frame().set_index("id").to_csv(table, index_label=False)
    table.write_text('"",' + table.read_text())
    refusal(path, "people.csv has no column id; it has arm, age, sex.", "no name", "row.names = FALSE")


def test_where_a_workbooks_first_sheet_lacks_a_column_the_others_are_named(tmp_path):
    schema = schema_mapping()
    schema["tables"]["people"] = "people.xlsx"
    path = write_trial(tmp_path, schema=schema)
    book = openpyxl.Workbook()
    book.active.title = "Read me"
    book.active.append(["About this workbook"])
    book.create_sheet("Codes")
    patients = book.create_sheet("Patients 2020")
    for row in [list(people_frame()), *people_frame().to_numpy().tolist()]:
        patients.append(row)
    book.save(tmp_path / "people.xlsx")
    refusal(path, "has no column", "Only the sheet Read me", "it also has Codes, Patients 2020", '{sheet: "Codes"}')
    schema["format"] = {"people": {"sheet": "Patients 2020"}}
    assert len(load_participants(write_trial(tmp_path, schema=schema))[0]) == 80


def test_a_workbook_of_one_sheet_has_no_others(tmp_path):
    schema = schema_mapping()
    schema["tables"]["people"] = "people.xlsx"
    path = write_trial(tmp_path, schema=schema)
    people_frame().drop(columns="age").to_excel(tmp_path / "people.xlsx", index=False)
    assert said(path).endswith("or export the file with it.")


def test_a_file_where_the_folder_of_the_tables_is_asked_for(tmp_path):
    path = write_trial(tmp_path)
    refusal(path, "people.csv is a file. Give the folder", data_dir=tmp_path / "people.csv")
    refusal("sprint-simulated", "people.csv is a file. Give the folder", data_dir=tmp_path / "people.csv")
    refusal(path, "elsewhere does not exist", data_dir=tmp_path / "elsewhere")
