"""The bench of adversaries: what it spends, and that its discriminator learns what it is there for."""

import numpy as np
import pytest
import torch

from benchmarks.adversary import Trial, adversarial
from benchmarks.anchored import Adversary, Way
from privacy.mechanisms.dpsgd import DPSGD
from tests.conftest import small_cohort
from trainables.gan.engine import PaidTraining, RandomStreams


@pytest.fixture
def trial(cohort) -> Trial:
    return Trial(cohort, cohort.take(np.arange(360)))


def test_measurements_and_training_together_spend_the_budget_and_no_more(trial):
    network, spent = trial.measure(3.0, 0.7)
    assert 2.9 < adversarial(trial, network, Way(share=0.3, steps=2, noise=True), 3.0, spent) <= 3.0


def test_without_noise_a_discriminator_learns_to_tell_people_whose_pressure_is_another(trial):
    network, _ = trial.measure(3.0, 1.0)
    others = small_cohort(trial.real.schema, 360, seed=1)
    others.values[:, 0] -= 15
    adversary = Adversary(network, Way(), [0.5, 0.5])
    data = trial.scores(others, network)
    adversary.train(PaidTraining(data, DPSGD(1.0, 0.0, 40), RandomStreams.numbered(0)), 360, generator_moves=False)
    with torch.no_grad():
        drawn = adversary._draw(torch.Generator().manual_seed(0))[1]
        said = [
            float(adversary._discriminator(rows, labels)[:, 0].mean())
            for rows, labels in ((data.features, data.arms), (drawn, adversary._labels))
        ]
    assert said[0] > 0 > said[1]
