"""One console script, which hands its words on to the project's commands."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from analysis import __main__ as analysis
from tests.cohorts.little_trial import write_trial
from tuner.command import COMMANDS, main

ROOT = Path(__file__).parent.parent.parent


def test_the_script_that_is_installed_is_this_one():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["dpgan-tune"].partition(":")
    assert getattr(import_module(module), function) is main


def test_help_teaches_every_command_and_waits_for_nothing_heavy():
    code = (
        "import sys, tuner.command as m\nassert m.main(['--help']) == 0\n"
        "assert not {'torch', 'ray', 'pandas'} & set(sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(f"\n  {name} " in said for name in COMMANDS)
    assert "Publish results/STUDY/release and nothing else" in said


def test_no_command_of_the_analysis_is_missing():
    handed_on = {each.words[0] for each in COMMANDS.values() if each.module == analysis.__name__}
    assert handed_on == set(analysis.COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [([], "say what to do"), (["serch"], "no command 'serch'")])
def test_words_that_name_no_command_end_with_status_2_and_the_help(words, said, capsys):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and said in shown.err and "usage: dpgan-tune" in shown.err


def test_words_reach_the_command_and_its_exit_status_comes_back(tmp_path, capsys):
    schema = write_trial(tmp_path / "trial")
    assert main(["check", schema]) == 0
    assert main(["verify", str(tmp_path)]) == 2
    assert "There is no release at" in capsys.readouterr().err
    assert main(["plan", "--cohort", schema, "--policy", "unaccounted", "--out", str(tmp_path / "out")]) == 0
    assert "declares no budget" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
