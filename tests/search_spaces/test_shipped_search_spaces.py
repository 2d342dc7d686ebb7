import pickle

import optuna
import pytest
from pydantic import BaseModel

from search_spaces import SHIPPED, load_search_space
from trainables.candidate import candidate_of, hyperparameters_of
from tuner.domains import domains

optuna.logging.set_verbosity(optuna.logging.WARNING)


def draws(name: str, count: int) -> list[BaseModel]:
    space = load_search_space(name, domains())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    configs = [space(study.ask()) for _ in range(count)]
    return [candidate_of(config).hyperparameters(**hyperparameters_of(config)) for config in configs]


def test_the_project_comes_with_six_search_spaces():
    assert SHIPPED == ("copula", "default", "measured", "paper", "smoke", "unaccounted")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_space_names_hyperparameters_that_trials_accept(name):
    assert len(draws(name, 50)) == 50


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_space_survives_pickling_as_ray_does_it(name):
    space = load_search_space(name, domains())
    assert pickle.loads(pickle.dumps(space)) == space


def test_the_paper_space_is_the_papers_sweep():
    drawn = draws("paper", 400)
    assert {trial.noise_multiplier for trial in drawn} == {0, 1, 2}, "0 is the non-private twin"
    assert {trial.clip_norm for trial in drawn} == {1e-5, 1e-4}
    learning_rates = {(trial.generator_learning_rate, trial.discriminator_learning_rate) for trial in drawn}
    assert learning_rates == {(2e-5, 2e-5), (2e-4, 2e-4)}, "the paper trains both networks at one rate"
    assert {(trial.network, trial.discriminator_steps, trial.latent_size) for trial in drawn} == {("paper", 1, 100)}
    assert {trial.steps_per_epoch for trial in drawn} == {6000}
    assert {(trial.adam_beta1, trial.label_smoothing) for trial in drawn} == {(0.5, 0)}


def test_the_paper_space_contains_the_papers_winner():
    winner = {"noise_multiplier": 1, "clip_norm": 1e-4, "discriminator_learning_rate": 2e-5}
    assert any(all(getattr(trial, name) == value for name, value in winner.items()) for trial in draws("paper", 100))
