"""The paper's sweep by the name of its preset, on a small network."""

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml

from analysis import StudyDirectory
from analysis.__main__ import main as rebuild
from search_spaces.loader import FOLDER
from tests.conftest import SMALL_SCHEMA
from tests.shared_ray import SharedRay
from tests.tuner.commands import Office, run
from tuner.options import parser
from tuner.presets import PAPER
from tuner.request import outline_study

EPOCHS = 6


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay) -> Office:
    """Where the paper's winner and its non-private twin are trained, on networks that take seconds."""
    schema = {**SMALL_SCHEMA, "name": "preset"}  # public, so that losses may be seen
    office = Office.with_schema(tmp_path_factory.mktemp("preset"), schema, shared_ray)
    space = yaml.safe_load((FOLDER / "paper.yaml").read_text())
    space |= {"network": "compact", "width": 16, "depth": 1, "latent_size": 4, "sampling_rate": 0.3}
    (office.folder / "little.yaml").write_text(yaml.safe_dump(space, sort_keys=False))
    asked = f"--preset paper --search-space little.yaml --trials 2 --max-epochs {EPOCHS} --epsilon 60"
    ran = office.begin("paper", *asked.split())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return office


def trials(office: Office) -> list[optuna.trial.FrozenTrial]:
    database = f"sqlite:///{office.study('paper') / 'study.db'}"
    return optuna.load_study(study_name="paper", storage=database).trials


def test_the_winner_is_trained_first_and_then_its_twin_without_noise(office):
    drawn = [trial.params for trial in trials(office)]
    assert [each["noise_multiplier"] for each in drawn] == [1, 0]
    assert {(each["clip_norm"], each["discriminator_learning_rate"]) for each in drawn} == {(1e-4, 2e-5)}


def test_every_epoch_is_scored_and_no_trial_is_stopped(office):
    every = list(range(1, EPOCHS + 1))
    assert [sorted(trial.intermediate_values) for trial in trials(office)] == [every, every]


def test_each_classifier_picks_five_epochs_and_the_same_ones_whenever_the_release_is_built(office):
    picked = office.study("paper") / "internal" / "selection.csv"
    before = pd.read_csv(picked)
    assert before.groupby("selected_by").size().to_dict() == {"logistic_regression": 5, "random_forest": 5}
    assert not before.duplicated(["selected_by", "trial", "epoch"]).any()
    assert run(office.folder, rebuild, "--redraw", str(office.study("paper"))).returncode == 0
    pd.testing.assert_frame_equal(pd.read_csv(picked), before)


def test_more_participants_are_drawn_from_the_epochs_that_were_picked(office):
    drawn = run(office.folder, rebuild, "draw", str(office.study("paper")), "--participants", "50")
    assert drawn.returncode == 0, drawn.stderr


def test_the_statement_says_that_picks_were_noisy_and_that_nothing_covers_them(office):
    release = office.study("paper") / "release"
    assert "noise was added as in the paper (Laplace, of scale 0.04" in (release / "privacy_statement.md").read_text()
    assert json.loads((release / "privacy_statement.json").read_text())["accounted"] is False


def test_the_losses_of_every_epoch_are_kept_for_the_steward_alone(office):
    directory = StudyDirectory(office.study("paper"))
    lines = [json.loads(line) for line in directory.losses.read_text().splitlines()]
    names = {trial.user_attrs["tune_trial"] for trial in trials(office)}
    assert {(line["trial"], line["epoch"]) for line in lines} == {(n, e) for n in names for e in range(1, EPOCHS + 1)}
    assert all(0 < line[network] < 10 for line in lines for network in ("discriminator", "generator"))
    published = "".join(file.read_text(errors="ignore") for file in directory.release.iterdir())
    assert not any(f"{line['discriminator']:.6g}" in published for line in lines)


def test_as_it_stands_it_is_the_papers_sweep_of_six_thousand_participants():
    outline = outline_study(parser().parse_args(["--preset", "paper", "--study", "anything", "--out", "/nowhere"]))
    schedule = outline.plan.on_participants
    assert (outline.plan.policy, outline.space.name, schedule.trials) == ("unaccounted", "paper", 10)
    assert (schedule.rungs, schedule.reduction_factor) == (tuple(range(1, 501)), 1)
    assert round(outline.schema.nominal_size * outline.plan.shares.train) == 6000
    swept = {tuple(each.values()) for each in PAPER.configurations if each["noise_multiplier"]}
    assert swept == {(noise, clip, rate) for noise in (1, 2) for clip in (1e-4, 1e-5) for rate in (2e-5, 2e-4)}
    assert sum(not each["noise_multiplier"] for each in PAPER.configurations) == 2


def test_beside_it_a_policy_that_declares_a_budget_refuses_the_papers_noise(tmp_path: Path, capsys):
    from tuner.run import main

    assert main(["--preset", "paper", "--policy", "composed", "--out", str(tmp_path)]) == 2
    assert "names noise_multiplier and sampling_rate" in " ".join(capsys.readouterr().err.split())
