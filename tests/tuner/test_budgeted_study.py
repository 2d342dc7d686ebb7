"""Whole studies by the command, under policies whose epsilon covers everything."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
import yaml
from cryptography.fernet import Fernet
from ray.tune import ExperimentAnalysis
from rich.console import Console

from analysis import StudyDirectory, build
from analysis.__main__ import main as rebuild
from cohorts import Schema, load_participants, write_cohort
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from tests.conftest import SMALL_SCHEMA, small_cohort
from tests.shared_ray import SharedRay
from tests.tuner.commands import Office, Ran, run
from tuner.asha import rungs
from tuner.run import main as tune

ROOT = Path(__file__).parents[2]
TRIALS, MAX_EPOCHS = 4, 4
OPTIONS = ("--search-space", "smoke", "--max-epochs", str(MAX_EPOCHS))
# With several sampling rates a shortlist is decided in the open: a secret number of runs would need more noise.
SEVERAL_RATES = ("--search-space", "rates.yaml", "--max-epochs", str(MAX_EPOCHS))


def statement(office: Office, study: str) -> dict:
    return json.loads((office.study(study) / "release" / "privacy_statement.json").read_text())


def charges(ledger_db: Path, study: str) -> list[Charge]:
    """What a study charged for its release."""
    ledger = Ledger.open(ledger_db, read_only=True)
    return [charge for _, charge in ledger.books.release_charges() if charge.study == study]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay) -> Office:
    """Where three studies of one trial are run, each after the other."""
    office = Office.of(tmp_path_factory.mktemp("budgeted"), "budgeted", shared_ray)
    space = yaml.safe_load((ROOT / "search_spaces" / "smoke.yaml").read_text())
    rates = {**space, "sampling_rate": {"categorical": [0.1, 0.2]}}
    (office.folder / "rates.yaml").write_text(yaml.safe_dump(rates, sort_keys=False))
    return office


@pytest.fixture(scope="module")
def first(office: Office) -> Ran:
    """A study that trains every trial on participants."""
    return office.begin("first", "--policy", "composed", "--epsilon", "20", "--trials", str(TRIALS), *OPTIONS)


@pytest.fixture(scope="module")
def second(office: Office, first: Ran) -> Ran:
    """A later study of the same participants, on a surrogate."""
    return office.begin("second", "--policy", "surrogate", "--epsilon", "45", "--trials", "3", *SEVERAL_RATES)


@pytest.fixture(scope="module")
def third(office: Office, second: Ran) -> Ran:
    """A third one, by a secret number of runs."""
    return office.begin("third", "--policy", "selection", "--epsilon", "90", "--trials", "2", *OPTIONS)


def test_a_composed_study_releases_and_its_statement_covers_everything(office, first):
    assert first.returncode == 0, first.stdout + first.stderr
    assert not first.stderr
    assert "covers everything that was read of participants" in first.stdout.split("Privacy statement")[-1].replace(
        "\n", " "
    )
    stated = statement(office, "first")
    assert (stated["epsilon"], stated["policy"], stated["accounted"]) == (20, "composed", True)
    assert max(stated["spent"].values()) <= 20
    assert office.check("first").returncode == 0
    for file in (office.study("first") / "release").iterdir():
        assert "unaccounted" not in file.name


def test_its_trials_report_nothing_exact(office, first):
    database = f"sqlite:///{office.study('first') / 'study.db'}"
    for trial in optuna.load_study(study_name="first", storage=database).trials:
        assert not {"accuracy_random_forest", "spearman", "ks", "discriminator_loss"} & trial.user_attrs.keys()
    assert not StudyDirectory(office.study("first")).losses.exists()


def scores_by_trial(directory: StudyDirectory) -> dict[str, list[int]]:
    """Scored epochs of each trial, as Tune has them; one that ends where the budget does reports its last one twice."""
    found = ExperimentAnalysis(directory.experiment(directory.settings()))
    return {
        trial.trial_id: sorted(set(found.trial_dataframes[trial.trial_id]["epoch"].tolist())) for trial in found.trials
    }


def test_every_score_of_every_trial_is_an_intermediate_value_in_optuna(office, first):
    directory = StudyDirectory(office.study("first"))
    study = optuna.load_study(study_name="first", storage=f"sqlite:///{directory.database}")
    in_optuna = {trial.user_attrs["tune_trial"]: sorted(trial.intermediate_values) for trial in study.trials}
    assert in_optuna == scores_by_trial(directory)
    assert len(in_optuna) == TRIALS
    assert all(set(epochs) <= set(rungs(MAX_EPOCHS)) | {t.user_attrs["planned_epochs"] for t in study.trials}
               for epochs in in_optuna.values())  # fmt: skip


def test_every_display_of_a_study_has_the_same_best_score(office, first):
    directory = StudyDirectory(office.study("first"))
    in_optuna = optuna.load_study(study_name="first", storage=f"sqlite:///{directory.database}")
    tune_s = ExperimentAnalysis(directory.experiment(directory.settings())).get_best_trial("score", "max", scope="all")
    report = json.loads((directory.internal / "report.json").read_text())
    best = next(part for part in parts(report) if isinstance(part, dict) and "best epoch" in part)  # the first row
    last_said = re.findall(r"best score (\d\.\d+)", first.stdout)[-1]
    assert in_optuna.best_value == tune_s.metric_analysis["score"]["max"]
    assert f"{in_optuna.best_value:.3f}" == last_said == best["score"], first.stdout
    assert in_optuna.best_trial.user_attrs["tune_trial"] == tune_s.trial_id == best["trial"]
    assert str(in_optuna.best_trial.user_attrs["best_epoch"]) == best["best epoch"]


def parts(document) -> Iterator:
    """A document of JSON and everything in it."""
    yield document
    for each in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from parts(each)


def test_optuna_says_what_is_shown_and_what_was_paid_for_it(office, first):
    shown = optuna.load_study(study_name="first", storage=f"sqlite:///{office.study('first') / 'study.db'}")
    assert shown.metric_names == ["best_score"]
    assert (shown.user_attrs["policy"], shown.user_attrs["epsilon"], shown.user_attrs["search"]) == (
        "composed", 20, "trials"
    )  # fmt: skip
    assert shown.user_attrs["what is paid"].startswith("training and scores of every trial")


def test_folders_of_trials_tell_their_configuration(office, first):
    directory = StudyDirectory(office.study("first"))
    folders = [path.name for path in Path(directory.experiment(directory.settings())).glob("gan-*")]
    assert len(folders) == TRIALS and not any("_Inner" in name or "=0.0000" in name for name in folders)
    assert all("generator_learning_rate=0.00" in name for name in folders)


def test_the_terminal_says_when_participants_begin_to_be_read(first, measured):
    begin, nobody = "Participants begin to be read now.", "This search reads no participant."
    assert begin in first.stdout and nobody not in first.stdout
    assert measured[1].stdout.index(begin) < measured[1].stdout.index(nobody)


def test_the_ledger_holds_every_charge(office, first):
    directory = StudyDirectory(office.study("first"))
    figures = json.loads((directory.path / "ledger.json").read_text())
    charged = [each for each in figures["entries"] if each.get("study") == "first" and each.get("trial")]
    splits = [each["split"] for each in charged]
    scored = sum(len(epochs) for epochs in scores_by_trial(directory).values())
    assert splits.count("train") == splits.count("validation") == scored


def test_a_second_study_of_the_same_participants_counts_the_first(office, second):
    assert second.returncode == 0, second.stdout + second.stderr
    stated = statement(office, "second")
    assert stated["other_studies"] == 1
    assert stated["internal_before"] == 1
    text = (office.study("second") / "release" / "privacy_statement.md").read_text()
    assert "1 other study of these participants, which the declared epsilon covers too" in text
    assert "opened for the data steward once" in text
    assert office.check("second").returncode == 0


def test_a_surrogate_is_bought_once_and_the_search_on_it_charges_nothing(office, second):
    directory = office.study("second")
    charged = charges(directory / "ledger.db", "second")
    assert sum(charge.purpose.startswith("buy") for charge in charged) == 1
    database = f"sqlite:///{directory / 'study.db'}"
    shortlist = optuna.load_study(study_name="second-shortlist", storage=database).trials
    assert {charge.trial for charge in charged if charge.trial} == {each.user_attrs["tune_trial"] for each in shortlist}
    released, _ = load_participants(str(directory / "release" / "schema-synthetic.yaml"))
    assert len(released) == SMALL_SCHEMA["nominal_size"]


def test_no_trial_of_either_search_leaves_the_state_of_its_training(office, second):
    directory = office.study("second")
    assert {part.name for part in directory.iterdir()} >= {"trials", "shortlist"}
    assert list(directory.rglob("generator.pt")) and not list(directory.rglob("trial.pt"))


def test_a_study_that_goes_on_buys_no_second_surrogate_and_charges_nothing_again(office, second, users_data):
    ledger = users_data / "cohorts" / "budgeted" / "ledger.db"
    before = charges(ledger, "second")
    resumed = office.resume("second")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert charges(ledger, "second") == before


def test_losing_the_best_run_does_not_buy_another_search(office, third):
    directory = office.study("third")
    (directory / "winner").rename(directory / "elsewhere")
    resumed = office.resume("third")
    assert resumed.returncode == 2
    assert "removed or changed" in " ".join(resumed.stderr.split())
    (directory / "elsewhere").rename(directory / "winner")


def test_a_secret_number_of_runs_leaves_nothing_but_the_best(office, third):
    assert third.returncode == 0, third.stdout + third.stderr
    directory = office.study("third")
    assert statement(office, "third")["trials"] is None
    assert statement(office, "third")["other_studies"] == 2
    assert not (directory / "internal" / "runs").exists()
    assert not (directory / "trials").exists()
    charged = charges(directory / "ledger.db", "third")
    assert sorted(charge.split for charge in charged) == ["train", "validation"]  # whole, however many runs there were
    study = optuna.load_study(study_name="third-selection", storage=f"sqlite:///{directory / 'study.db'}")
    assert study.trials == []
    assert office.check("third").returncode == 0


def test_a_study_that_does_not_fit_beside_earlier_ones_is_refused(office, third):
    refused = office.begin("fourth", "--epsilon", "5", *OPTIONS)
    assert refused.returncode == 2
    assert "larger" in refused.stderr
    assert not office.study("fourth").exists()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay) -> tuple[Office, Ran]:
    """A study under the default policy, of a cohort of its own."""
    office = Office.of(tmp_path_factory.mktemp("measured"), "measured-trial", shared_ray)
    return office, office.begin("once", "--trials", "3", "--max-epochs", "2", "--release-anyway")


def test_by_default_participants_are_measured_once_and_the_search_charges_nothing(measured):
    office, ran = measured
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert office.check("once").returncode == 0
    stated, directory = statement(office, "once"), office.study("once")
    assert (stated["policy"], stated["epsilon"], stated["trials"], stated["search_trials"]) == ("measured", 3, 0, 3)
    charged = charges(directory / "ledger.db", "once")
    assert [(each.split, each.kind, each.trial) for each in charged] == [
        ("train", "measurement", ""),
        ("validation", "measurement", ""),
    ]
    released, _ = load_participants(str(directory / "release" / "schema-synthetic.yaml"))
    assert len(released) == SMALL_SCHEMA["nominal_size"]


def test_its_search_begins_with_the_defaults_of_its_candidates(measured):
    office, _ = measured
    trials = optuna.load_study(study_name="once", storage=f"sqlite:///{office.study('once') / 'study.db'}").trials
    assert [trial.params["candidate"] for trial in trials[:2]] == ["measured", "gan"]
    assert trials[0].params["width"] == 128 and trials[1].params["discriminator_steps"] == 5


def test_its_release_is_judged_by_what_was_measured_and_the_command_ends_accordingly(measured):
    office, ran = measured
    manifest = json.loads((office.study("once") / "release" / "manifest.json").read_text())
    quality = manifest["quality"]
    assert quality["verdict"] in ("passed", "failed") and quality["figures"] > 50
    assert f"Quality: {quality['verdict']}" in (office.study("once") / "release" / "README.md").read_text()
    assert quality["verdict"].capitalize() in ran.stdout
    again = run(office.folder, rebuild, str(office.study("once")))
    assert again.returncode == (3 if quality["verdict"] == "failed" else 0)


def test_nothing_in_what_is_published_of_it_depends_on_participants_but_by_what_was_paid_for(measured, monkeypatch):
    """Drawn again by the same random numbers, with other people in the trial's files under the same identifiers."""
    office, _ = measured
    directory = office.study("once")
    monkeypatch.setattr(build, "random_stream", lambda seed: torch.Generator().manual_seed(5))
    monkeypatch.chdir(office.folder)
    published, seen = [], []
    for seed in (1, 2):
        people = small_cohort(
            Schema.model_validate({**SMALL_SCHEMA, "name": office.cohort, "public": False}), 400, seed
        )
        people = replace(people, ids=np.array([f"{office.cohort} {each}" for each in people.ids]))
        write_cohort(people, office.folder)
        build.build_release(StudyDirectory(directory), Console(quiet=True), redraw=True)
        tables = ("visits-synthetic.csv", "visits-synthetic-copies.csv")
        files = ("report.html", "report.json", "paid_for_estimates.csv", *tables)
        published.append([(directory / "release" / name).read_bytes() for name in files])
        seen.append((directory / "internal" / "report.html").read_text())
    assert published[0] == published[1]
    assert seen[0] != seen[1]
    assert "Never publish" in seen[0] and b"Never publish" not in published[0][0]


def test_its_release_has_copies_that_are_told_apart_and_differ(measured):
    office, _ = measured
    release = office.study("once") / "release"
    manifest = json.loads((release / "manifest.json").read_text())
    copies = pd.read_csv(release / "visits-synthetic-copies.csv")
    rows = {each["path"]: each["rows"] for each in manifest["files"]}
    assert manifest["copies"] == 10 and sorted(copies["copy"].unique()) == list(range(1, 11))
    assert rows["visits-synthetic-copies.parquet"] == len(copies) == 10 * rows["visits-synthetic.csv"]
    assert copies.groupby("copy")["pressure"].mean().nunique() == 10
    assert "10 further synthetic cohorts" in (release / "README.md").read_text()


def test_a_study_that_lost_what_it_measured_cannot_buy_it_again(measured):
    office, _ = measured
    directory = office.study("once")
    (directory / "measured.json").rename(directory / "elsewhere")
    resumed = office.resume("once")
    assert resumed.returncode == 2
    assert "has paid for its measurements" in " ".join(resumed.stderr.split())
    (directory / "elsewhere").rename(directory / "measured.json")


def test_a_study_whose_snapshot_somebody_else_sealed_is_not_resumed(measured):
    office, _ = measured
    directory = office.study("once")
    (directory / "trials.snapshot").rename(directory / "elsewhere")
    (directory / "trials.snapshot").write_bytes(Fernet(Fernet.generate_key()).encrypt(b"anything"))
    resumed = office.resume("once")
    assert resumed.returncode == 2
    assert "not written by this user's own study" in " ".join(resumed.stderr.split())
    (directory / "elsewhere").rename(directory / "trials.snapshot")


def test_a_plan_reads_nobody_and_writes_nothing(tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL_SCHEMA, "name": "planned", "public": False}))
    planned = run(tmp_path, tune, "--cohort", "small.yaml", "--epsilon", "40", "--trials", "4", "--plan", *OPTIONS)
    assert planned.returncode == 0, planned.stderr
    assert "no participant was read" in planned.stdout
    assert "measured once" in planned.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["small.yaml"]  # the trial's files are not even there


def test_a_seed_is_refused_where_noise_cannot_be_drawn_again(tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL_SCHEMA))
    refused = run(tmp_path, tune, "--cohort", "small.yaml", "--seed", "1", "--epsilon", "40", *OPTIONS)
    assert refused.returncode == 2
    assert "cannot be drawn again" in " ".join(refused.stderr.split())
