import subprocess
import sys

import pytest

from cohorts import show_values
from cohorts.__main__ import main
from tests.cohorts.little_trial import people_frame, schema_mapping, write_trial


def test_the_steward_sees_what_each_rule_drops(tmp_path, capsys):
    people = people_frame()
    people.loc[3, "age"] = ""
    assert main([write_trial(tmp_path, people=people)]) == 0
    shown = capsys.readouterr().out
    assert "covariate age has no value" in shown
    assert "For the data steward only" in shown
    assert "kept about 80 complete participants (about 40 control, about 40 treated)" in shown


def test_a_mistake_ends_with_status_2_and_one_paragraph(tmp_path):
    ended = subprocess.run([sys.executable, "-m", "cohorts", str(tmp_path / "no.yaml")], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "does not exist" in ended.stderr


def test_square_brackets_in_a_file_survive_printing(tmp_path, capsys):
    people = people_frame()
    people.loc[3, "arm"] = "[/bold]"
    show_values(True)
    try:
        assert main([write_trial(tmp_path, people=people)]) == 2
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
    assert "sprint-simulated" in capsys.readouterr().out


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


def test_a_public_cohorts_counts_are_exact(tmp_path, capsys):
    schema = {**schema_mapping(), "public": True}
    assert main([write_trial(tmp_path, schema=schema)]) == 0
    assert "kept 80 complete participants (40 control, 40 treated)" in capsys.readouterr().out
