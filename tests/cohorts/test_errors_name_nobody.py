"""Messages end in logs and terminals: where a mistake stands they say, but no participant's value or id."""

import pandas as pd
import pytest

from cohorts import CohortError, load_participants, show_values
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial

MARK = "7531"
"""Stands in every spoiled cell, and in every id."""


def spoiled(what: str) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """The little trial with a mistake; whoever it concerns carries the mark."""
    people, visits, schema = people_frame(), visits_frame(), schema_mapping()
    for frame in (people, visits):
        frame["id"] = frame["id"].str.replace("P", f"P{MARK}")
    day = {"column": "day", "windows": [{"name": "V0", "from": 0, "to": 10**6}]}
    cells = {
        "text": (visits, 5, "hb", f"x{MARK}"),
        "decimal comma": (visits, 5, "hb", f"1,{MARK}"),
        "below a limit": (visits, 5, "hb", f"<{MARK}"),
        "a date": (visits, 5, "hb", f"{MARK}-01-01"),
        "outside": (visits, 5, "sbp", MARK),
        "part of a count": (visits, 5, "sbp", f"100.{MARK}"),
        "category": (visits, 5, "nyha", MARK),
        "label": (people, 5, "arm", MARK),
        "no label": (people, 5, "arm", ""),
        "stranger": (visits, 5, "id", f"Q{MARK}"),
    }
    if what in cells:
        frame, row, column, value = cells[what]
        frame.loc[row, column] = value
    elif what == "twice at a visit":
        visits = pd.concat([visits, visits.iloc[[5]]])
    elif what == "twice at a time":
        visits, schema["visits"] = pd.concat([visits.iloc[::2], visits.iloc[[4]]]).assign(day=MARK), day
    elif what == "twice in a table":
        people = pd.concat([people, people.iloc[[5]]])
    elif what == "changing constant":
        schema["covariates"][0].update(table="visits", column="age", upper=10_000)
        visits = visits.assign(age="50")
        visits.loc[9, "age"] = MARK
    elif what == "visit code":
        schema["visits"]["column"] = "id2"
        visits = visits.drop(columns="visit").assign(id2=visits["id"])
    elif what == "other ids":
        visits["id"] = visits["id"].str.replace("P", "")
    return people, visits, schema


MISTAKES = [
    "text", "decimal comma", "below a limit", "a date", "outside", "part of a count", "category", "label", "no label",
    "stranger", "twice at a visit", "twice at a time", "twice in a table", "changing constant", "visit code",
    "other ids",
]  # fmt: skip


@pytest.fixture
def shown():
    show_values(True)
    yield
    show_values(False)


def message(path: str) -> str:
    with pytest.raises(CohortError) as caught:
        load_participants(path)
    return str(caught.value)


@pytest.mark.parametrize("what", MISTAKES)
def test_a_message_shows_nobodys_value_or_id(tmp_path, what):
    text = message(write_trial(tmp_path / "t", *spoiled(what))).replace(str(tmp_path), "")
    assert MARK not in text
    assert "column" in text


@pytest.mark.parametrize("what", MISTAKES)
def test_unless_the_steward_wants_to_see_them(tmp_path, shown, what):
    assert MARK in message(write_trial(tmp_path / "t", *spoiled(what))).replace(str(tmp_path), "")


def test_a_line_with_too_many_fields_is_named_but_not_shown(tmp_path):
    path = write_trial(tmp_path)
    with (tmp_path / "visits.csv").open("a") as file:
        file.write(f"P{MARK},V0,{MARK},200,12.0,I\n")
    text = message(path)
    assert "visits.csv, line 162: it has 6 fields where the header has 5" in text
    assert MARK not in text.replace(str(tmp_path), "")


def test_how_many_more_are_wrong_is_said_to_the_nearest_ten(tmp_path):
    visits = visits_frame()
    visits.loc[:32, "sbp"] = 999
    assert "(about 30 more like it)" in message(write_trial(tmp_path, visits=visits))


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        ("{:04d}", "{}", "digits with leading zeros, 4 long, against digits, 1 long"),
        ("P-{:02d}", "{:02d}", "letters, digits and signs, 4 long, against digits with leading zeros, 2 long"),
        ("{:04d}", "9{:03d}", "digits with leading zeros, 4 long, against digits, 4 long"),
    ],
)
def test_ids_that_two_tables_spell_differently_are_described(tmp_path, here, there, said):
    people, visits = people_frame(), visits_frame()
    people["id"] = [there.format(number) for number in range(80)]
    visits["id"] = [here.format(number // 2) for number in range(160)]
    text = message(write_trial(tmp_path, people, visits))
    assert f"visits.csv, line 2, column id: (nearly) nobody's id is one of {tmp_path / 'people.csv'}" in text
    assert said in text


def test_a_few_strangers_are_not_called_a_matter_of_spelling(tmp_path):
    text = message(write_trial(tmp_path, people=people_frame().iloc[:70]))
    assert "a participant has no label" in text
    assert "(about 20 more like it)" in text


def test_a_file_without_a_header_does_not_have_its_first_participant_shown(tmp_path):
    write_trial(tmp_path)
    table = next(tmp_path.glob("*.csv"))
    _, *rows = table.read_text().splitlines()
    table.write_text("\n".join(rows) + "\n")
    with pytest.raises(CohortError, match=r"nor any other that the schema names\. Does its first line") as refused:
        load_participants(str(next(tmp_path.glob("*.yaml"))))
    assert not any(cell and cell in str(refused.value) for cell in rows[0].split(",") if len(cell) > 2)


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_header_whose_quotation_mark_is_open_does_not_have_rows_shown_as_names_of_columns(tmp_path, separator):
    path, table = write_trial(tmp_path), tmp_path / "visits.csv"
    visits_frame().to_csv(table, index=False, sep=separator)
    header, *rows = table.read_text().splitlines()
    for closed in ("", f'P{MARK}{separator}"text"'):  # by a quotation mark of the rows, and by none
        table.write_text("\n".join([header.replace("visit", '"visit'), rows[0], closed, *rows[1:]]) + "\n")
        text = message(path)
        assert "visits.csv, line 1" in text
        assert "P000" not in text.replace(str(tmp_path), "") and MARK not in text.replace(str(tmp_path), "")
