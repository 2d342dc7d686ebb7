"""Whatever is wrong in a schema is told with its line, in the words of a schema."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohorts import CohortError, Schema
from cohorts.schema_lines import SchemaLines
from cohorts.schema_words import complaint as in_words
from tests.cohorts.complaints import VALIDATORS_WORDS, complaint
from tests.cohorts.little_trial import schema_mapping

TRIAL = """\
# A trial
name: little
public: false
participant: id
nominal_size: 80
tables: {people: people.csv}
label:
  name: arm
  column: arm
  randomised: true
  classes:
    - {name: control, value: C, share: 0.5}
    - {name: treated, value: T, share: 0.5}
visits:
  codes: [V0, V1]
measures:
  - {name: SBP, kind: integer, lower: 60, upper: 240, columns: {V0: sbp_0, V1: sbp_1}}
  - name: NYHA
    kind: categorical
    categories: [I, II, III]
    columns: {V0: nyha_0, V1: nyha_1}
covariates:
  - {name: age, unit: years, kind: integer, lower: 18, upper: 100, column: age}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "value: C",
            "value: no",
            "line 12: label.classes[0] (control): key value: YAML reads a bare no as a truth value; put it in quotes: "
            '"no".',
        ),
        ("[V0, V1]", "[V0, on]", "line 15: visits.codes[1]: YAML reads a bare on as a truth value"),
        ("[I, II, III]", "[I, no]", "line 20: measures[1] (NYHA): categories holds a bare yes, no, true or false"),
        ("value: C", "value: 2020-01-31", 'key value: YAML reads 2020-01-31 as a date; put it in quotes: "2020-01-31"'),
        ("value: C", "value: 2020-13-31", "line 12: 2020-13-31 looks like a date"),
        ("value: C", "value: [C]", "key value must be text or a number (it is a list)"),
        ("    - {name: treated, value: T, share: 0.5}\n", "",
         "line 11: key label.classes needs at least 2 items; it has 1"),
        ("[I, II, III]", "[]", "line 20: measures[1] (NYHA): a categorical measure needs at least two categories"),
        ("lower: 60", "lower: sixty", "line 17: measures[0] (SBP): key lower must be a number (it is 'sixty')."),
        ("lower: 60", "lower: .nan", "line 17: measures[0] (SBP): key lower must be a finite number (it is .nan)."),
        ("lower: 60", "lower: ", "line 17: measures[0] (SBP): key lower is empty; write a value"),
        ("lower: 60, ", "", "line 17: measures[0] (SBP): key lower is missing."),
        ("lower: 60", "lower: 260", "line 17: measures[0] (SBP): lower 260 is not below upper 240"),
        ("lower: 60", "lower: 60, decimals: 7", "key decimals must be at most 6 (it is 7)"),
        ("lower: 60", "lower: 60, decimals: one", "key decimals must be a whole number (it is 'one')"),
        ("kind: integer, lower: 60", "kind: Integer, lower: 60", "(it is 'Integer') (did you mean integer?)"),
        ("kind: categorical", "kynd: categorical", "measures[1] (NYHA): unknown key kynd (did you mean kind?)"),
        ("visits:", "classes: []\nvisits:", "line 14: unknown key classes (it belongs to another part of the schema"),
        ("[V0, V1]", "[V0, 12:30]", "line 15: YAML reads 12:30 as 750; put it in quotes"),
        ("[V0, V1]", "[V0, V1]\n  dropout: {from: V1}", "line 16: key visits: dropout: from is V1, the last visit"),
        ("[V0, V1]", "[V0, V1]\n  dropout: {form: V0}", "line 16: key visits.dropout.from is missing; line 16: unk"),
        ("[V0, V1]", "[V0, V1]\n  dropout: V0", "line 16: key visits.dropout must be "),
        ("[V0, V1]", "[V0, V1]\n  missed: [V2]", "line 16: key visits: missed names the visit V2, which is none of"),
        ("[V0, V1]", "[V0, V1]\n  missed: []", "line 16: key visits: missed is an empty list; name the visits"),
        ("[V0, V1]", "[V0, V1]\n  missed: V1", "line 16: key visits.missed must be "),
        ("[V0, V1]", "[V0, V1]\n  dropout: {from: V0}\n  missed: [V0]",
         "missed names the visit V0, which everybody attends by dropout (from); remove it from one"),
        ("covariates:", "constraints: [SBP rises, NYHA rises]\ncovariates:",
         "line 22: constraints: 'NYHA rises': the categories of NYHA are in no order"),
        ("covariates:", "constraints:\n  - SBP rises\n  - SPB[V0] <= 140\ncovariates:",
         "line 24: constraints: 'SPB[V0] <= 140': there is no measure or covariate SPB (did you mean SBP?)."),
        ("covariates:", "constraints: SBP rises\ncovariates:", "line 22: key constraints must be a list (it is 'SBP r"),
        ("value: C", "value: 010", "line 12: YAML reads 010 as 8; put it in quotes"),
        ("nominal_size: 80", "nominal_size: 8", "line 5: key nominal_size must be at least 50 (it is 8)."),
        ("nominal_size: 80", "nominal_size: 80\nenrolled: 60", "line 6: enrolled: 60 are fewer than the nominal_size"),
        ("nominal_size: 80", "nominal_size: many", "line 5: key nominal_size must be a whole number (it is 'many')."),
        ("public: false", "public: maybe", "line 3: key public must be true or false (it is 'maybe')."),
        ("name: little", "name: my trial", "line 2: key name may hold letters, digits"),
        ("share: 0.5}\n    -", "share: 1.5}\n    -", "line 12: label.classes[0] (control): key share must be below 1"),
        ("share: 0.5}\n    -", "share: 0.4}\n    -", "line 11: key label: the shares of the"),
        ("value: T", "value: C", "line 13: key label: class value 'C' is given twice"),
        ("name: NYHA", "name: SBP", "line 18: measure 'SBP' is given twice"),
        ("{V0: nyha_0, ", "{V9: nyha_0, ", "line 18: measure NYHA names the visit V9, which is none of the visits V0"),
        ("{people: people.csv}", "{people: people.csv, labs: labs.csv}", "key table is missing"),
        ("{people: people.csv}", "[people.csv]", "key tables must be a mapping of keys to values (it is a list)."),
        ("column: arm", "column: arm\n  column: group", "line 10: key column is given twice."),
        ("  column: arm", "\tcolumn: arm", "line 9: this is not valid YAML: there is a tab where spaces belong"),
        ("  column: arm", "    column: arm", "line 9: this is not valid YAML: there is a colon where no key can stand"),
        ("    kind: categorical", "   kind: categorical", "line 19: this is not valid YAML: the line does not fit"),
        ("name: NYHA", "name: NYHA: class", "line 18: this is not valid YAML: there is a colon where no key can stand"),
        ("name: NYHA", "name: 'NYHA", "line 18: this is not valid YAML: a quotation mark was opened and not closed"),
        ("name: NYHA", "name: @NYHA", "line 18: this is not valid YAML: text that begins with one of ! & * % @ `"),
        ("name: NYHA", "name: *NYHA", "line 18: this is not valid YAML: text that begins with one of ! & * % @ `"),
        ("[I, II, III]", "[I, II, III", "line 20: this is not valid YAML: a list is not finished"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_a_remedy(tmp_path, old, new, said):
    assert TRIAL.count(old) == 1
    assert said in complaint(tmp_path, TRIAL.replace(old, new))


def test_too_many_items_are_counted_in_words():
    found = {"type": "too_long", "input": [], "ctx": {"max_length": 1, "actual_length": 3}}
    assert in_words([found], None) == "can have at most 1 item; it has 3"


def test_steps_that_the_file_does_not_have_are_skipped():
    lines = SchemaLines("a: 1\nformat:\n  separator: xx\n")
    place = lines.find(("format", "filled in", "separator", "str"))
    assert (place.line, place.path, place.written) == (3, ("format", "separator"), "xx")
    assert place.rest == ("filled in", "str")


def test_what_is_still_to_do_is_told_in_the_words_of_its_comment(tmp_path):
    text = TRIAL.replace("nominal_size: 80", "nominal_size:  # TODO: how many you expect, from the protocol")
    text = text.replace("categories: [I, II, III]", "categories:   # TODO: the classes, in order")
    message = complaint(tmp_path, text)
    assert message == (
        "line 5: key nominal_size: still to do: how many you expect, from the protocol; "
        "line 20: measures[1] (NYHA): still to do: the classes, in order."
    )


def test_many_mistakes_are_told_from_the_top_and_then_counted(tmp_path):
    message = complaint(tmp_path, re.sub(r": (60|240|18|100|0\.5|false|true|80)\b", ": [many]", TRIAL))
    lines = [int(line) for line in re.findall(r"line (\d+)", message)]
    assert lines == sorted(lines)
    assert len(lines) == 8
    assert "and 1 more" in message


scalars = (
    st.none() | st.booleans() | st.integers(-9, 300) | st.floats() | st.sampled_from(["", "x", "no", "V0", "a: b"])
)
junk = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.sampled_from(["name", "kind", "x"]), scalars)


def parts(part: Any) -> list[tuple[Any, Any]]:
    """Every list or mapping of a schema with each of its keys."""
    keys = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [pair for key, value in keys for pair in [(part, key), *parts(value)]]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_schema_with_a_part_dropped_changed_or_added_loads_or_says_in_which_line(tmp_path, data):
    schema = schema_mapping()
    part, key = data.draw(st.sampled_from(range(len(parts(schema)))).map(parts(schema).__getitem__))
    match data.draw(st.sampled_from(["drop", "change", "add"])):
        case "drop":
            del part[key]
        case "change":
            part[key] = data.draw(junk)
        case "add" if isinstance(part, dict):
            part[data.draw(st.sampled_from(["namee", "uppr", "categories", "columns", "x y", 5, True]))] = data.draw(
                junk
            )
        case "add":
            part.insert(key, data.draw(junk))
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(schema, sort_keys=False))
    try:
        Schema.load(path)
    except CohortError as error:
        message = str(error)
        assert message.startswith(f"{path}, line ")
        assert not any(words in message for words in VALIDATORS_WORDS)
        named = [int(line) for line in re.findall(r"(?:, |; )line (\d+): ", message)]
        assert named
        assert all(1 <= line <= len(path.read_text().splitlines()) for line in named)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(TRIAL)),
    text=st.sampled_from(["\t", " ", ":", "{", "]", "'", '"', "&", "\n", "- ", "\x02", "#"]),
)
def test_a_character_too_many_anywhere_is_harmless_or_told_with_its_line(tmp_path, at, text):
    path = tmp_path / "trial.yaml"
    path.write_text(TRIAL[:at] + text + TRIAL[at:])
    try:
        Schema.load(path)
    except CohortError as error:
        assert str(error).startswith(f"{path}, line ")
        assert not any(words in str(error) for words in VALIDATORS_WORDS)
