"""The product as its user sees it: one command, then a release."""

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import optuna
import pandas as pd
import pytest

from analysis import StudyDirectory
from analysis.__main__ import main as build
from cohorts import load_cohort, load_participants
from privacy.__main__ import main as check_ledger
from privacy.ledger.ledger import Ledger
from tests.analysis.conftest import write_trial_files
from tests.privacy.ledgers import epoch

ROOT = Path(__file__).parents[2]
TRIALS, MAX_EPOCHS = 4, 9


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "tuner" / "run.py"), *arguments]


def environment() -> dict[str, str]:
    """Its Ray is one of its own, wherever the environment would have it go."""
    return {**os.environ, "COLUMNS": "120", "RAY_ADDRESS": "192.0.2.1:6379"}


@dataclass(frozen=True)
class Interrupted:
    """A study that was interrupted and has finished since.

    Args:
        directory: of the study.
        ended: when trials ended before the interrupt, by number.
        first: what it said up to the interrupt.
        second: what it said when it went on, apart from errors.
    """

    directory: StudyDirectory
    ended: dict[int, datetime | None]
    first: str
    second: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    """A study that was interrupted and went on, of participants of whom another study is known."""
    folder = tmp_path_factory.mktemp("whole")
    write_trial_files(folder, seed=1)
    charge_another_study(folder / "small.yaml")
    asked = f"--cohort {folder / 'small.yaml'} --search-space smoke --study whole --trials {TRIALS} --cpus-per-trial 1"
    options = f"--max-epochs {MAX_EPOCHS} --seed 3 --policy unaccounted"
    out = ("--out", str(folder / "results"))
    first = interrupted(command(*asked.split(), *options.split(), *out), folder)
    directory = StudyDirectory(folder / "results" / "whole")
    assert not directory.release.exists()
    ended = {trial.number: trial.datetime_complete for trial in optuna_trials(directory) if trial.state.is_finished()}
    resume = command("--study", "whole", "--resume", *out)
    second = subprocess.run(resume, env=environment(), capture_output=True, text=True, cwd=folder)
    assert second.returncode == 0, second.stdout + second.stderr
    assert not second.stderr
    return Interrupted(directory, ended, first, second.stdout)


def charge_another_study(schema: Path) -> None:
    """Have an earlier study in the ledger."""
    ledger = Ledger.for_cohort(load_cohort(str(schema)), adopt=True)
    ledger.charge(epoch("earlier"))
    ledger.close()


def interrupted(start: list[str], folder: Path) -> str:
    """Run a study and press Ctrl-C once its first trial has ended; what it said."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    running = subprocess.Popen(
        start,
        env=environment(),
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)

    def lines() -> Iterator[str]:
        for line in running.stdout:
            yield line
            if line.startswith("trial ") and not pressed:
                pressed.append(True)
                os.killpg(running.pid, signal.SIGINT)  # as a terminal does, to all its processes

    pressed: list[bool] = []
    said = "".join(lines())
    assert running.wait() == 130, said
    return said


def optuna_trials(directory: StudyDirectory) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=directory.name, storage=f"sqlite:///{directory.database}").trials


def test_no_other_account_of_the_machine_can_read_what_it_writes(finished):
    written = [finished.directory.path, *finished.directory.path.rglob("*")]
    assert len(written) > 30
    assert [str(each) for each in written if each.stat().st_mode & 0o077] == []
    private = Path(tempfile.gettempdir()) / f"dpgan-tune-{os.getuid()}"
    assert private.stat().st_mode & 0o077 == 0
    assert list(private.glob("ray/session_*/logs"))  # which Ray opens to everybody


def test_it_ends_with_a_release_in_the_trials_own_columns(finished):
    directory = finished.directory
    table = pd.read_csv(directory.release / "visits-unaccounted.csv")
    assert list(table.columns) == ["id", "visit", "arm", "pressure", "dose"]
    assert len(table) == 400 * 3


def test_the_released_files_match_their_manifest_and_load_as_a_cohort(finished):
    directory = finished.directory
    manifest = json.loads((directory.release / "manifest.json").read_text())
    for file in manifest["files"]:
        assert hashlib.sha256((directory.release / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    cohort, _ = load_participants(str(directory.release / "schema-unaccounted.yaml"))
    assert len(cohort) == manifest["participants"] == 400


def test_no_trial_spends_more_than_was_allowed(finished):
    directory = finished.directory
    manifest = json.loads((directory.release / "manifest.json").read_text())
    assert 0 < manifest["winning_run_epsilon"] <= directory.settings().epsilon
    assert manifest["epsilon"] >= manifest["winning_run_epsilon"]


def test_the_terminal_names_the_dashboards_the_folders_and_the_statement(finished):
    said = finished.second
    for phrase in ("http://127.0.0.1", "May be published", "never publish", "NOT covered"):
        assert phrase in said
    assert "Warning" not in said
    assert "(pid=" not in said


def test_the_report_compares_with_real_participants_in_the_internal_folder_only(finished):
    directory = finished.directory
    transfer = json.loads((directory.internal / "transfer.json").read_text())
    assert set(transfer["real"]) == {"logistic_regression", "random_forest", "linear_svm", "k_nearest_neighbours"}
    assert transfer["real"]["random_forest"]["auc"] > 0.9
    assert not (directory.release / "transfer.json").exists()


def test_trials_that_ended_leave_generators_and_no_state_of_their_training(finished):
    directory = finished.directory
    assert list(directory.trials.rglob("generator.pt"))
    assert not list(directory.path.rglob("trial.pt"))


def test_the_check_of_its_ledger_passes(finished):
    directory = finished.directory
    figures = json.loads((directory.path / "ledger.json").read_text())
    epsilons = {each["split"]: each["epsilon_by_rdp"] for each in figures["sums"] if each["account"] == "release"}
    manifest = json.loads((directory.release / "manifest.json").read_text())
    assert manifest["epsilon"] <= epsilons["train"]
    assert epsilons["validation"] == "infinity"
    assert check_ledger([str(directory.path)]) == 0


def test_an_edited_ledger_fails_its_check_and_makes_no_release(finished, tmp_path, capsys):
    directory = finished.directory
    copy = StudyDirectory(shutil.copytree(directory.path, tmp_path / "whole"))
    shutil.rmtree(copy.release)
    with sqlite3.connect(copy.path / "ledger.db") as database:
        database.execute("DROP TRIGGER entries_stay")
        database.execute("DELETE FROM entries WHERE number = 3")
    database.close()
    assert check_ledger([str(copy.path)]) == 1
    assert build([str(copy.path)]) == 2
    assert "ledger" in capsys.readouterr().err
    assert not copy.release.exists()


def test_an_interrupted_study_says_how_to_go_on_and_does_without_repeating(finished):
    assert "--study whole --resume" in finished.first
    assert "Traceback" not in finished.first
    assert 1 <= len(finished.ended) < TRIALS
    after = optuna_trials(finished.directory)
    assert {number: after[number].datetime_complete for number in finished.ended} == finished.ended
    assert sum(trial.state.is_finished() for trial in after) >= TRIALS


def test_its_statement_names_other_studies_of_the_same_participants(finished):
    statement = (finished.directory.release / "privacy_statement.md").read_text()
    which = r"ledger of small \(begun on [-\d]+, first entry \w{12}\)"
    assert re.search(which + r" also records [1-9]\d* other stud(y|ies) of these participants", statement)
