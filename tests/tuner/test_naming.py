"""Trials are called by what they are, with numbers that can be read."""

from ray import tune
from ray.tune.experiment import Trial

from search_spaces import load_search_space
from trainables.service.trials import DPGANTrial
from tuner.domains import domains
from tuner.naming import LONGEST_NAME, TrialFolder, named, trial_name


def trial(**config) -> Trial:
    return Trial("toy", stub=True, trial_id="6933e7ea", config=config)


def test_a_folder_tells_what_was_drawn_and_leaves_out_what_is_alike_in_all_trials():
    folder = TrialFolder.of(load_search_space("smoke", domains()))
    config = {"network": "compact", "generator_learning_rate": 2e-5, "discriminator_steps": 2, "width": 16}
    expected = "gan-6933e7ea,generator_learning_rate=2e-05,discriminator_steps=2,width=16"
    assert folder(trial(**config)) == expected


def test_no_value_makes_a_folder_that_cannot_be_written():
    folder = TrialFolder(("network",))
    assert folder(trial(candidate="ours", network="a/b c:d")) == "ours-6933e7ea,network=a_b_c_d"
    assert len(folder(trial(network="x" * 999))) == LONGEST_NAME


def test_the_class_that_rays_dashboard_shows_is_the_trials_own():
    wrapped = named(tune.with_parameters(DPGANTrial, trials=None))
    assert wrapped.__qualname__ == wrapped.__name__ == "DPGANTrial"
    assert trial_name(trial()) == "gan-6933e7ea"
