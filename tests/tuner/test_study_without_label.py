"""A trial of one arm and without an outcome: generators are chosen by how near they come to what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import optuna
import pandas as pd
import pytest

from analysis.__main__ import main as analyse
from analysis.reports.internal import BANNER
from benchmarks.quality import quality
from cohorts import Schema, load_participants
from privacy.ledger.ledger import Ledger
from privacy.ledger.summary import looks
from tests.conftest import SMALL_SCHEMA, small_cohort
from tests.shared_ray import SharedRay
from tests.tuner.commands import Office, Ran, run

SCHEMA = {key: value for key, value in SMALL_SCHEMA.items() if key != "label"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay) -> Office:
    schema = {**SCHEMA, "name": "one-arm", "public": False}
    return Office.with_schema(tmp_path_factory.mktemp("one-arm"), schema, shared_ray)


@pytest.fixture(scope="module")
def ran(office: Office) -> Ran:
    ran = office.begin("one-arm", *["--epsilon", "20", "--trials", "3", "--max-epochs", "2", "--release-anyway"])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert office.check("one-arm").returncode == 0
    return ran


@pytest.fixture(scope="module")
def study(office: Office, ran: Ran) -> Path:
    return office.study("one-arm")


def test_the_release_is_what_came_nearest_to_what_was_measured(study):
    picked = pd.read_csv(study / "internal" / "selection.csv")
    trials = optuna.load_study(study_name="one-arm", storage=f"sqlite:///{study / 'study.db'}").trials
    assert picked["misfit"].min() == picked["misfit"].iloc[0] and len(trials) == 3
    assert set(picked["selected_by"]) == {"misfit"} and not picked.duplicated(["trial", "epoch"]).any()
    assert picked["score"].max() >= max(trial.value for trial in trials) - 1e-9  # of their last epochs


def test_the_release_can_be_read_as_a_cohort_again(study):
    participants, _ = load_participants(str(study / "release" / "schema-synthetic.yaml"))
    assert len(participants) == 400 and not participants.labels.any()


def test_no_document_speaks_of_a_prediction(study):
    assert not (study / "internal" / "transfer.csv").exists()
    for file in ("README.md", "privacy_statement.md"):
        text = (study / "release" / file).read_text()
        assert "predicts" not in text and "classifier" not in text
    assert "has no label that could be predicted" in (study / "release" / "README.md").read_text()


def test_no_figure_is_of_a_prediction(ran, study):
    assert "AUC" not in ran.stdout and "misfit" in ran.stdout
    internal = json.loads((study / "internal" / "report.json").read_text())
    assert not any("Trained on" in title for title in titles(internal))
    for file in (*study.glob("*.jsonl"), *(study / "release").glob("*.*"), study / "internal" / "selection.csv"):
        if file.suffix in (".md", ".csv", ".json", ".jsonl", ".html"):
            text = re.sub('data:image/png;base64,[^"]*', "", file.read_text())  # where any letters may stand
            assert "AUC" not in text and "auc_" not in text and "accuracy_" not in text, file.name
    trials = optuna.load_study(study_name="one-arm", storage=f"sqlite:///{study / 'study.db'}").trials
    assert not any(name.startswith(("auc", "accuracy")) for trial in trials for name in trial.user_attrs)


def titles(part: object) -> Iterator[str]:
    """Every title in a report's numbers."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from titles(value)
    if isinstance(part, dict) and isinstance(part.get("title"), str):
        yield part["title"]


def test_releases_are_compared_by_what_does_not_need_a_label():
    schema = Schema.model_validate(SCHEMA)
    figures = quality(small_cohort(schema, 300, 1), small_cohort(schema, 300, 2))
    assert figures["ks"] < 0.2 < figures["detection"] and figures["spread"] == pytest.approx(1, abs=0.1)
    assert not any(name.startswith(("auc", "test_auc", "contrast", "real_on")) for name in figures)


def test_the_papers_figures_of_a_private_trial_are_internal_and_a_look_at_it(office, study, users_data):
    ledger_file = users_data / "cohorts" / office.cohort / "ledger.db"
    before = looks(Ledger.open(ledger_file, read_only=True).books.entries)
    ran = run(office.folder, analyse, "paper", str(study), "--participants", "60")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "never publish" in ran.stdout
    assert not (study / "paper").exists()
    folder = study / "internal" / "paper"
    assert not any(each.stat().st_mode & 0o077 for each in (folder, *folder.rglob("*")))
    page = (folder / "index.html").read_text()
    assert BANNER in page
    assert "Nothing is predicted" in page and "there is no figure 5" in page
    assert "losses of both networks are not known" in page
    assert looks(Ledger.open(ledger_file, read_only=True).books.entries) == before + 1
    assert office.check("one-arm").returncode == 0


@pytest.mark.parametrize("policy", ["surrogate", "composed", "selection", "unaccounted"])
def test_a_policy_that_chooses_by_predictions_alone_says_so(office, policy):
    ran = office.begin(f"refused-{policy}", "--policy", policy)
    assert ran.returncode == 2
    said = " ".join(ran.stderr.replace("\n", " ").split())
    assert "has no label, so there is nothing that a classifier could predict" in said and "--policy measured" in said
