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
from collections.abc import Iterator
from pathlib import Path

import optuna
import pandas as pd
import pytest
from ray.tune import ExperimentAnalysis

from analysis import StudyDirectory
from cohorts import load_participants
from tests.analysis.conftest import write_trial_files
from tuner.asha import rungs

ROOT = Path(__file__).parents[2]
TRIALS, MAX_EPOCHS = 5, 9


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "tuner" / "run.py"), *arguments]


def new_study(folder: Path, name: str) -> list[str]:
    return command(
        *("--cohort", str(folder / "small.yaml"), "--search-space", "smoke", "--study", name),
        *(
            "--trials",
            str(TRIALS),
            "--max-epochs",
            str(MAX_EPOCHS),
            "--seed",
            "3",
            "--policy",
            "unaccounted",
            "--out",
            str(folder / "results"),
        ),
    )


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "120"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trial's files."""
    folder = tmp_path_factory.mktemp("whole")
    write_trial_files(folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> tuple[StudyDirectory, str]:
    """A study that ran undisturbed, and what it said."""
    ran = subprocess.run(new_study(folder, "whole"), env=environment(), capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert not ran.stderr
    return StudyDirectory(folder / "results" / "whole"), ran.stdout


def test_it_ends_with_a_release_in_the_trials_own_columns(finished):
    directory, _ = finished
    table = pd.read_csv(directory.release / "visits-unaccounted.csv")
    assert list(table.columns) == ["id", "visit", "arm", "pressure", "dose"]
    assert len(table) == 400 * 3


def test_the_released_files_match_their_manifest_and_load_as_a_cohort(finished):
    directory, _ = finished
    manifest = json.loads((directory.release / "manifest.json").read_text())
    for file in manifest["files"]:
        assert hashlib.sha256((directory.release / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    cohort, _ = load_participants(str(directory.release / "schema-unaccounted.yaml"))
    assert len(cohort) == manifest["participants"] == 400


def test_no_trial_spends_more_than_was_allowed(finished):
    directory, _ = finished
    manifest = json.loads((directory.release / "manifest.json").read_text())
    assert 0 < manifest["winning_run_epsilon"] <= directory.settings().epsilon
    assert manifest["epsilon"] >= manifest["winning_run_epsilon"]


def test_the_terminal_names_the_dashboards_the_folders_and_the_statement(finished):
    _, said = finished
    for phrase in ("http://127.0.0.1", "May be published", "never publish", "NOT covered"):
        assert phrase in said
    assert "Warning" not in said
    assert "(pid=" not in said


def scores_by_trial(directory: StudyDirectory) -> dict[str, list[int]]:
    """Scored epochs of each trial, as Tune has them."""
    analysis = ExperimentAnalysis(directory.experiment(directory.settings()))
    return {
        trial.trial_id: sorted(analysis.trial_dataframes[trial.trial_id]["epoch"].tolist()) for trial in analysis.trials
    }


def test_every_score_of_every_trial_is_an_intermediate_value_in_optuna(finished):
    directory, _ = finished
    study = optuna.load_study(study_name=directory.name, storage=f"sqlite:///{directory.database}")
    in_optuna = {trial.user_attrs["tune_trial"]: sorted(trial.intermediate_values) for trial in study.trials}
    assert in_optuna == scores_by_trial(directory)
    assert len(in_optuna) == TRIALS
    assert all(set(epochs) <= set(rungs(MAX_EPOCHS)) | {t.user_attrs["planned_epochs"] for t in study.trials}
               for epochs in in_optuna.values())  # fmt: skip


def test_the_report_compares_with_real_participants_in_the_internal_folder_only(finished):
    directory, _ = finished
    transfer = json.loads((directory.internal / "transfer.json").read_text())
    assert set(transfer["real"]) == {"logistic_regression", "random_forest", "linear_svm", "k_nearest_neighbours"}
    assert transfer["real"]["random_forest"]["auc"] > 0.9
    assert not (directory.release / "transfer.json").exists()


def test_trials_that_ended_leave_generators_and_no_state_of_their_training(finished):
    directory, _ = finished
    assert list(directory.trials.rglob("generator.pt"))
    assert not list(directory.path.rglob("trial.pt"))


def privacy_command(directory: StudyDirectory) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "privacy", str(directory.path)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, cwd=ROOT)


def test_the_ledger_holds_every_charge_and_its_check_passes(finished):
    directory, _ = finished
    figures = json.loads((directory.path / "ledger.json").read_text())
    splits = [each["split"] for each in figures["entries"] if each.get("study") == "whole"]
    scored = sum(len(epochs) for epochs in scores_by_trial(directory).values())
    assert splits.count("train") == splits.count("validation") == scored
    epsilons = {each["split"]: each["epsilon_by_rdp"] for each in figures["sums"] if each["account"] == "release"}
    manifest = json.loads((directory.release / "manifest.json").read_text())
    assert manifest["epsilon"] <= epsilons["train"]
    assert epsilons["validation"] == "infinity"
    assert privacy_command(directory).returncode == 0


def test_an_edited_ledger_fails_its_check_and_makes_no_release(finished, tmp_path):
    directory, _ = finished
    copy = StudyDirectory(shutil.copytree(directory.path, tmp_path / "whole"))
    shutil.rmtree(copy.release)
    with sqlite3.connect(copy.path / "ledger.db") as database:
        database.execute("DROP TRIGGER entries_stay")
        database.execute("DELETE FROM entries WHERE number = 3")
    database.close()
    assert privacy_command(copy).returncode == 1
    built = subprocess.run(
        [sys.executable, "-m", "analysis", str(copy.path)], env=environment(), capture_output=True, text=True, cwd=ROOT
    )
    assert built.returncode == 2
    assert "ledger" in built.stderr
    assert not copy.release.exists()


def interrupted(start: list[str], folder: Path) -> str:
    """Run a study and press Ctrl-C once its first trial has ended; what it said."""
    running = subprocess.Popen(
        start,
        env=environment(),
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

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


def test_an_interrupted_study_says_how_to_go_on_and_does_without_repeating(folder, finished):
    said = interrupted(new_study(folder, "halted"), folder)
    assert "--study halted --resume" in said
    assert "Traceback" not in said
    directory = StudyDirectory(folder / "results" / "halted")
    assert not directory.release.exists()
    before = optuna.load_study(study_name="halted", storage=f"sqlite:///{directory.database}").trials
    ended = {trial.number: trial.datetime_complete for trial in before if trial.state.is_finished()}
    assert 1 <= len(ended) < TRIALS

    resume = command("--study", "halted", "--resume", "--out", str(folder / "results"))
    ran = subprocess.run(resume, env=environment(), capture_output=True, text=True, cwd=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (directory.release / "manifest.json").exists()
    after = optuna.load_study(study_name="halted", storage=f"sqlite:///{directory.database}").trials
    assert {number: after[number].datetime_complete for number in ended} == ended
    statement = (directory.release / "privacy_statement.md").read_text()
    assert re.search(r"ledger of small also records [1-9]\d* other stud(y|ies) of these participants", statement)
    assert sum(trial.state.is_finished() for trial in after) >= TRIALS
