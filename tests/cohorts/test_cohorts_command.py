import itertools
import subprocess
import sys

import pytest

from cohorts import LoadReport, RuleCount, Schema, show_values
from cohorts.__main__ import main
from cohorts.checking import many_incomplete, shown
from cohorts.published import PUBLISHED
from cohorts.simulator import write_simulated
from tests.cohorts.little_trial import people_frame, schema_mapping, visits_frame, write_trial

VISITS = Schema.model_validate(schema_mapping()).visits


def test_the_steward_sees_what_each_rule_drops(tmp_path, capsys):
    people = people_frame()
    people.loc[3, "age"] = ""
    assert main([write_trial(tmp_path, people=people)]) == 0
    shown = capsys.readouterr().out
    assert "covariate age has no value" in shown
    assert "For the data steward only" in shown
    assert "kept about 80 participants (about 40 control, about 40 treated)" in shown


def test_a_mistake_ends_with_status_2_and_one_paragraph(tmp_path):
    ended = subprocess.run([sys.executable, "-m", "cohorts", str(tmp_path / "no.yaml")], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "does not exist" in ended.stderr


def test_square_brackets_in_a_file_survive_printing(tmp_path, capsys):
    people = people_frame()
    people.loc[3, "arm"] = "[/bold]"
    try:
        assert main([write_trial(tmp_path, people=people), "--show-values"]) == 2
    finally:
        show_values(False)
    assert "'[/bold]'" in capsys.readouterr().err


def test_data_may_lie_elsewhere(tmp_path, capsys):
    path = write_trial(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for name in ("people.csv", "visits.csv"):
        (tmp_path / "a" / name).rename(tmp_path / "b" / name)
    assert main([path]) == 2
    assert main([path, "--data", str(tmp_path / "b")]) == 0


def test_help_names_the_cohorts(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "sprint-simulated" in shown
    assert "python -m cohorts draft" in shown


def test_a_private_cohorts_counts_are_too_coarse_to_show_one_person(tmp_path, capsys):
    people = people_frame()
    assert main([write_trial(tmp_path / "all")]) == 0
    everybody = capsys.readouterr().out
    people.loc[3, "age"] = ""
    assert main([write_trial(tmp_path / "but one", people=people)]) == 0
    but_one = capsys.readouterr().out.replace("covariate age has no value", "").replace("fewer than 10", "")
    assert [line for line in but_one.splitlines() if "kept" in line] == [
        line for line in everybody.splitlines() if "kept" in line
    ]


def test_whether_a_single_cell_is_clamped_is_not_told_of_a_private_cohort(tmp_path, capsys):
    schema, visits = schema_mapping(), visits_frame()
    (hb,) = (each for each in schema["measures"] if each["column"] == "hb")
    hb["outside"] = "clamp"
    said = []
    for number, cells in enumerate((0, 1, 9, 12)):
        visits.loc[: cells - 1, "hb"] = hb["upper"] + 1
        assert main([write_trial(tmp_path / str(number), schema=schema, visits=visits)]) == 0
        said.append(capsys.readouterr().out.replace(f"{tmp_path / str(number)}", ""))
    assert said[0] == said[1] == said[2] != said[3]
    assert "about 10 cells clamped to the limits" in said[3]


def test_a_public_cohorts_counts_are_exact(tmp_path, capsys):
    schema = {**schema_mapping(), "public": True}
    assert main([write_trial(tmp_path, schema=schema)]) == 0
    assert "kept 80 participants (40 control, 40 treated)" in capsys.readouterr().out


def with_gaps(tmp_path, gaps: int, public: bool = False) -> str:
    visits = visits_frame()
    visits.loc[: 2 * gaps - 1 : 2, "hb"] = ""
    return write_trial(tmp_path, visits=visits, schema={**schema_mapping(), "public": public})


def test_many_incomplete_participants_are_a_warning_with_the_worst_rule_and_a_remedy(tmp_path, capsys):
    assert main([with_gaps(tmp_path, 24)]) == 0
    (warning,) = (line for line in capsys.readouterr().out.splitlines() if "WARNING" in line)
    assert "about 20 of about 80 enrolled participants (25%) are dropped as incomplete" in warning
    assert "because measure HB has no value at some visit (about 20)" in warning
    assert "Say missing: allowed of this measure" in warning


def test_of_a_public_cohort_the_warning_counts_exactly(tmp_path, capsys):
    assert main([with_gaps(tmp_path, 9, public=True)]) == 0
    assert "WARNING: 9 of 80 enrolled participants (11%)" in capsys.readouterr().out


def test_few_incomplete_participants_are_no_warning(tmp_path, capsys):
    assert main([with_gaps(tmp_path, 8, public=True)]) == 0
    assert "WARNING" not in capsys.readouterr().out


def test_a_private_cohorts_warning_depends_on_rounded_counts_alone():
    warnings: dict[tuple[str, ...], set[str | None]] = {}
    for kept in range(50, 130):
        for first, second in itertools.product(range(0, 40, 3), range(0, 40, 4)):
            enrolled = kept + first + second
            report = LoadReport(enrolled, kept, (RuleCount("measure A is empty", first), RuleCount("B", second)))
            rounded = tuple(shown(count, exactly=False) for count in (enrolled, first + second, first, second))
            warnings.setdefault(rounded, set()).add(many_incomplete(report, False, VISITS))
    assert all(len(same) == 1 for same in warnings.values())
    assert {None} < set.union(*warnings.values())


def test_where_no_rule_alone_drops_many_all_of_them_are_blamed():
    rules = tuple(RuleCount(f"measure {name} has no value at some visit", 8) for name in "ABC")
    warning = many_incomplete(LoadReport(100, 76, rules), False, VISITS)
    assert warning is not None
    assert "No rule alone drops 10 or more" in warning


def test_no_remedy_is_what_the_schema_says_already():
    unattended = LoadReport(100, 50, (RuleCount("no row at visit V1 in visits.csv", 50),))

    def said(**visits: object) -> str:
        schema = schema_mapping()
        told = Schema.model_validate({**schema, "visits": {**schema["visits"], "codes": ["V0", "V1", "V2"], **visits}})
        warning = many_incomplete(unattended, True, told.visits)
        assert warning is not None
        return warning

    assert "dropout: true" in said() and "missed: true if they came again" in said()
    assert "dropout: true" not in said(dropout=True) and "missed: true" in said(dropout=True)
    assert "missed: true" not in said(missed=True) and "dropout: true" in said(missed=True)
    assert "Give what is known of those who did not come" in said(dropout=True, missed=["V1"])


def test_draft_writes_a_schema_once_and_never_over_another_file(tmp_path, capsys):
    write_trial(tmp_path)
    out = tmp_path / "first.yaml"
    command = ["draft", str(tmp_path / "people.csv"), str(tmp_path / "visits.csv")]
    assert main([*command, "--out", str(out)]) == 0
    assert f"python -m cohorts {out}" in capsys.readouterr().out
    before = out.read_bytes()
    assert main([*command, "--out", str(out)]) == 2
    assert "is not overwritten" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main([*command, "--out", str(tmp_path / "first.txt")]) == 2
    assert main([*command, "--out", str(tmp_path / "nowhere" / "first.yaml")]) == 2
    assert main(command) == 0
    assert "# TODO" in capsys.readouterr().out


def test_draft_of_a_missing_file_ends_with_status_2_and_one_sentence(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "cohorts", "draft", str(tmp_path / "no.csv")], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"The file {tmp_path / 'no.csv'} does not exist; check the path.\n"


def test_files_that_are_not_the_published_sprint_are_told_from_it(tmp_path, capsys):
    write_simulated(tmp_path, participants=400)
    assert main(["sprint", "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "not the published counts" in said
    assert "9,361 enrolled, 6,502 complete (3,236/3,266)" in said


def test_sprint_as_it_was_published_is_known_by_its_rounded_counts():
    sprint = PUBLISHED["sprint"]

    def said(*classes):
        return sprint.compared(9361, classes, lambda count: round(count / 10))

    assert "have the published counts" in said(3236, 3266)
    assert said(3236, 3267) == said(3236, 3266)  # nobody can tell whether one more person is there
    assert "not the published counts" in said(3236, 2266)
    assert sprint.complete == sum(sprint.classes)
