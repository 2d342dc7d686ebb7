"""The tutorial, walked from its first line to its last: every file as printed, every command as printed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
STRAYED = 3
PATIENCE_S = 3600  # a whole default study, on a machine that may be busy


def steps() -> list[tuple[str, str]]:
    """Language and content of each block of code, in order."""
    return re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder in which everything was done, and what each command said."""
    folder = tmp_path_factory.mktemp("tutorial")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DPGAN_TUNE_DATA": str(folder / "data")}
    programs = {"python": [sys.executable], "dpgan-tune": [sys.executable, "-m", "tuner.command"]}
    said: dict[str, str] = {}
    for language, content in steps():
        if language != "sh":
            (folder / content.split("\n")[0].removeprefix("# ")).write_text(content)
            continue
        for command in content.strip().split("\n"):
            program, *words = shlex.split(command)
            ran = subprocess.run(
                [*programs[program], *words], cwd=folder, env=environment, capture_output=True, text=True
            )
            fits = (0, STRAYED) if words[0] == "run" else (0,)
            assert ran.returncode in fits, f"{command}\n{ran.stdout}{ran.stderr}"
            said[" ".join([program, *words[:1]])] = ran.stdout
    yield folder, said
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
def test_it_ends_with_a_release_that_states_what_was_asked(walked):
    folder, said = walked
    statement = (folder / "results" / "first" / "release" / "README.md").read_text()
    assert "CC-BY-4.0" in statement and "Example University Hospital" in statement
    assert "Participants begin to be read now." in said["dpgan-tune run"]
    assert "300 participants" in said["dpgan-tune verify"]


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
def test_the_interval_is_of_the_difference_that_the_trial_has(walked):
    _, said = walked
    estimate, lower, upper = map(float, said["python effect.py"].split()[-3:])
    assert lower < estimate < upper and lower < -9 + 8 and upper > -9 - 8


def test_every_command_of_the_tutorial_is_one_that_there_is():
    from tuner.command import COMMANDS

    commands = [shlex.split(line) for language, content in steps() if language == "sh" for line in content.split("\n")]
    used = {words[1] for words in commands if words and words[0] == "dpgan-tune"}
    assert (
        used <= set(COMMANDS) and {"draft", "check", "plan", "run", "verify", "publication", "draw", "ledger"} <= used
    )
