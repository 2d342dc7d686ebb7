import pickle

import optuna
import pytest
from pydantic import BaseModel

from search_spaces import SHIPPED, load_search_space
from trainables.candidate import candidate_of, hyperparameters_of
from tuner.domains import default_configurations, domains

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


@pytest.mark.parametrize("name", SHIPPED)
def test_a_search_can_begin_with_the_defaults_of_its_candidates(name):
    """What Optuna is told to begin with it also draws; of the rest nothing is asked, or the default is out of reach."""
    space = load_search_space(name, domains())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    first = default_configurations(space)
    for wanted in first:
        study.enqueue_trial(wanted)
    drawn = [space(study.ask()) for _ in first]
    for wanted, config in zip(first, drawn, strict=True):
        fields = candidate_of(config).hyperparameters.model_fields
        asked = {each for each, entry in space.entries if each in fields and entry.may_suggest(fields[each].default)}
        assert asked <= wanted.keys()
        assert {each: config[each] for each in asked} == {each: fields[each].default for each in asked}


def test_the_measured_search_begins_with_the_default_network_and_then_the_default_gan():
    space = load_search_space("measured", domains())
    network, gan = default_configurations(space)
    assert (network["candidate"], gan["candidate"]) == ("measured", "gan")
    assert {"batch_size": 1024, "histograms_weight": 1, "batch_variance": 0.05, "width": 128}.items() <= network.items()
    assert {"discriminator_steps": 5, "latent_size": 32, "sampling_rate": 0.0125}.items() <= gan.items()
