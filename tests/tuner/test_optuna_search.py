from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Domain, SearchSpace, load_search_space
from tuner.optuna_search import FAILURE, LOST, StudySearch

DOMAINS = {
    "network": Domain("choice", choices=("compact", "paper")),
    "rate": Domain("float", low=0),
    "depth": Domain("integer", low=1),
}
SPACE = """
network: {categorical: [compact, paper]}
rate: {log_uniform: [1e-4, 1]}
depth: {integer: [1, 4], when: {network: compact}, otherwise: 1}
"""


@pytest.fixture
def space(tmp_path: Path) -> SearchSpace:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    return load_search_space(file, DOMAINS)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def report(epoch: int, score: float, planned_epochs: int = 9) -> dict[str, Any]:
    """A report as Ray hands it on, its own figures among it."""
    return {
        "epoch": epoch,
        "score": score,
        "planned_epochs": planned_epochs,
        "epsilon": epoch / 10,
        "accuracy_random_forest": score - 0.1,
        "training_iteration": 1,
        "time_total_s": 3.2,
        "config/rate": 0.1,
        "done": False,
        "trial_id": "a",
    }


def trials(database: Path) -> list[FrozenTrial]:
    """The study's trials, opened as optuna-dashboard opens them."""
    return optuna.load_study(study_name="study", storage=f"sqlite:///{database}").trials


def saved(search: StudySearch, folder: Path) -> Path:
    file = folder / "searcher-state.pkl"
    search.save(str(file))
    return file


def test_a_conditional_space_gives_every_hyperparameter_a_value(space, database):
    search = StudySearch(space, database, "study")
    for name in "abcdefgh":
        configuration = search.suggest(name)
        assert configuration is not None
        assert set(configuration) == {"network", "rate", "depth"}
        assert configuration["depth"] == 1 or configuration["network"] == "compact"


def test_every_score_is_an_intermediate_value_the_last_one_too(space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_result("a", report(1, 0.6))
    search.on_trial_result("a", report(3, 0.7))
    search.on_trial_complete("a", report(9, 0.8))
    (trial,) = trials(database)
    assert trial.intermediate_values == {1: 0.6, 3: 0.7, 9: 0.8}
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.8)


def test_the_value_of_a_trial_is_its_best_score_though_later_ones_are_worse(space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_result("a", report(1, 0.6))
    search.on_trial_result("a", report(3, 0.907))
    search.on_trial_complete("a", report(9, 0.792))
    (trial,) = trials(database)
    assert (trial.value, trial.user_attrs["best_epoch"], trial.user_attrs["epoch"]) == (0.907, 3, 9)


def test_the_best_score_of_a_study_may_be_that_of_a_trial_that_was_stopped_early(space, database):
    search = StudySearch(space, database, "study")
    for name, epoch, score in (("a", 1, 0.95), ("b", 9, 0.8)):
        search.suggest(name)
        search.on_trial_complete(name, report(epoch, score))
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{database}")
    assert (study.best_value, study.best_trial.user_attrs["tune_trial"]) == (0.95, "a")
    assert [trial.user_attrs["stopped_early"] for trial in study.trials] == [True, False]


def test_a_study_says_what_it_compares_and_what_it_is_of(space, database):
    for _ in range(2):  # begun, and gone on with
        StudySearch(space, database, "study", about={"policy": "measured", "epsilon": 3.0})
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{database}")
    assert study.metric_names == ["best_score"]
    assert study.user_attrs == {"policy": "measured", "epsilon": 3.0}


def test_a_trial_whose_budget_ended_it_is_complete(space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_complete("a", report(4, 0.7, planned_epochs=4))
    assert trials(database)[0].state == TrialState.COMPLETE


def test_what_else_a_trial_reported_is_shown_and_rays_own_figures_are_not(space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_complete("a", report(9, 0.8))
    attributes = trials(database)[0].user_attrs
    assert attributes == {
        "tune_trial": "a",
        "epoch": 9,
        "planned_epochs": 9,
        "best_epoch": 9,
        "stopped_early": False,
        "epsilon": 0.9,
        "accuracy_random_forest": pytest.approx(0.7),
    }


def test_figures_of_numpy_and_infinite_ones_are_kept_in_a_form_the_dashboard_reads(space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_complete("a", report(9, np.float32(0.5)) | {"ks": np.float32(0.25), "epsilon": math.inf})
    (trial,) = trials(database)
    assert (trial.user_attrs["ks"], trial.user_attrs["epsilon"], trial.value) == (0.25, "inf", 0.5)


@pytest.mark.parametrize("result", [None, {"trial_id": "a"}])
def test_a_failed_trial_is_marked_failed(result, space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_result("a", report(1, 0.6))
    search.on_trial_complete("a", result, error=True)
    (trial,) = trials(database)
    assert trial.state == TrialState.FAIL
    assert trial.intermediate_values == {1: 0.6}


def test_a_trial_none_of_whose_scores_is_a_number_is_marked_failed(space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_complete("a", report(9, math.nan))
    assert trials(database)[0].state == TrialState.FAIL


def test_a_trial_whose_last_score_is_no_number_has_its_best_one_as_a_release_does(space, database):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    search.on_trial_result("a", report(1, 0.9))
    search.on_trial_complete("a", report(9, math.nan))
    assert (trials(database)[0].state, trials(database)[0].value) == (TrialState.COMPLETE, 0.9)


def test_a_step_redone_after_an_interrupt_keeps_the_score_of_the_checkpoint_that_was_kept(space, database, tmp_path):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    state = saved(search, tmp_path)
    search.on_trial_result("a", report(1, 0.6))
    resumed = StudySearch(space, database, "study")
    resumed.restore(str(state))
    resumed.on_trial_result("a", report(1, 0.62))
    resumed.on_trial_complete("a", report(3, 0.7))
    (trial,) = trials(database)
    assert trial.intermediate_values == {1: 0.62, 3: 0.7}


def test_a_trial_is_never_told_twice(space, database, tmp_path):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    state = saved(search, tmp_path)
    search.on_trial_complete("a", report(3, 0.7))
    resumed = StudySearch(space, database, "study")
    resumed.restore(str(state))
    resumed.on_trial_result("a", report(1, 0.1))
    resumed.on_trial_complete("a", report(3, 0.2))
    (trial,) = trials(database)
    assert (trial.value, trial.intermediate_values) == (0.7, {3: 0.7})


def test_a_trial_that_the_restored_experiment_does_not_know_is_marked_failed(space, database, tmp_path):
    search = StudySearch(space, database, "study")
    search.suggest("a")
    state = saved(search, tmp_path)
    search.suggest("b")
    search.on_trial_result("b", report(1, 0.9))

    resumed = StudySearch(space, database, "study")
    resumed.restore(str(state))
    resumed.suggest("c")
    assert [trial.state for trial in trials(database)] == [TrialState.RUNNING, TrialState.FAIL, TrialState.RUNNING]
    assert trials(database)[1].user_attrs[FAILURE] == LOST


def test_a_study_that_begins_anew_on_a_database_gives_up_what_was_running_in_it(space, database):
    StudySearch(space, database, "study").suggest("a")
    StudySearch(space, database, "study").suggest("b")
    assert [trial.state for trial in trials(database)] == [TrialState.FAIL, TrialState.RUNNING]


def play(search: StudySearch, name: str) -> dict[str, Any]:
    """Run one trial whose score depends on its configuration alone."""
    configuration = search.suggest(name)
    assert configuration is not None
    search.on_trial_complete(name, report(9, 1 - abs(math.log10(configuration["rate"]) + 2) / 4))
    return configuration


def test_a_seeded_study_chooses_alike_across_interrupts(space, tmp_path):
    straight = StudySearch(space, tmp_path / "straight.db", "study", seed=7, startup_trials=3)
    chosen = [play(straight, str(number)) for number in range(8)]

    def begin() -> StudySearch:
        return StudySearch(space, tmp_path / "broken.db", "study", seed=7, startup_trials=3)

    search, broken = begin(), []
    for number in range(8):
        if number in (0, 2, 5):
            state = saved(search, tmp_path)
            search.suggest(f"lost {number}")
            search = begin()
            search.restore(str(state))
        broken.append(play(search, str(number)))
    assert broken == chosen
    assert search.ended == 8


def test_an_unseeded_study_chooses_differently_each_time(space, tmp_path):
    first, second = (StudySearch(space, tmp_path / f"{name}.db", "study").suggest("a") for name in "xy")
    assert first != second
