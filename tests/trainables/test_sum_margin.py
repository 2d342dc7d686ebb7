"""What one participant moves a sum computed in single precision by is no more than the noise was charged for."""

from __future__ import annotations

import pytest
import torch

from privacy.mechanisms.dpsgd import DPSGD, SUM_MARGIN, sum_margin
from tests.trainables.training import ALMOST_NO_NOISE, Recorder, made_up
from trainables.gan.engine import TrainingData
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed import rows
from trainables.gan.packed_engine import PackedEngine

ENGINES = [OpacusEngine, PackedEngine]
MEASURED = 1e-5  # what the margin's own text says of it


@pytest.fixture
def no_dropout(monkeypatch):
    """Which units are dropped depends on how many rows there are, and not on whose they are."""
    monkeypatch.setattr(rows.DropoutMasks, "draw", lambda self, sizes, like: like.new_ones(*like.shape[:2], self.units))
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, values: values)


def moved(kind: type, config: dict, others: int, largeness: float, nominal: float) -> float:
    """By how many clip norms one participant moves the sum of them and some others, who are all alike."""
    people = made_up(others + 1)
    people.features[:-1], people.arms[:-1] = people.features[0].clone(), people.arms[0].clone()
    people.features[-1] *= largeness
    fewer = TrainingData(people.features[:-1], people.arms[:-1])
    config = {"sampling_rate": 1.0, "noise_multiplier": ALMOST_NO_NOISE, **config}
    both = (Recorder(kind, config, nominal).alone(each, 1).gradients[0].double() for each in (people, fewer))
    return float(torch.dist(*both)) / config["clip_norm"]


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("largeness", [1, 40, 1e6])
@pytest.mark.parametrize("clip_norm", [1e-4, 1.0])
@pytest.mark.parametrize("others", [0, 20, 2500])
def test_one_participant_moves_a_sum_by_less_than_the_margin_above_the_clip_norm(kind, others, clip_norm, largeness):
    """Of nobody else, or of more others than one pass of either engine takes, whose sum is thousands of clip norms."""
    share = moved(kind, {"clip_norm": clip_norm}, others, largeness, nominal=1)
    assert 0.99 < share <= 1 + SUM_MARGIN
    assert share <= 1 + MEASURED


@pytest.mark.parametrize("kind", ENGINES)
def test_so_it_does_in_a_network_of_a_million_weights(kind, no_dropout):
    share = moved(kind, {"clip_norm": 0.5, "network": "paper"}, others=2, largeness=40, nominal=1)
    assert 0.99 < share <= 1 + MEASURED


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("participants", [20_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_the_margin_grows_with_a_batch_of_participants_who_are_much_alike(kind, participants):
    """What is rounded is as large as their sum: of 200,000 one moved it by 1.026 clip norms. Whoever comes first moves
    everybody else to another place in it.
    """
    torch.manual_seed(3)
    people = made_up(participants + 1)
    alike = people.features[0] + 0.05 * torch.randn_like(people.features)
    people = TrainingData(alike.clamp(-1, 1), people.arms[0].expand(len(alike)).clone())
    fewer, config = TrainingData(people.features[1:], people.arms[1:]), {"clip_norm": 1e-4, "sampling_rate": 1.0}
    given = {**config, "noise_multiplier": ALMOST_NO_NOISE}
    both = (Recorder(kind, given, 1).alone(each, 1).gradients[0].double() for each in (people, fewer))
    assert 0.9 < float(torch.dist(*both)) / config["clip_norm"] <= 1 + sum_margin(participants) / 3


def test_noise_is_larger_for_larger_batches():
    assert sum_margin(0) == sum_margin(2048) == SUM_MARGIN
    assert DPSGD(1, 1.0, 1).noise_sd(200_000) == pytest.approx(1.095, rel=0.001)


@pytest.mark.parametrize("clip_norm", [1e-4, 0.3, 1e3])
@pytest.mark.parametrize("noise_multiplier", [0.01, 1.0, 37.0])
def test_noise_is_as_large_as_it_must_be_for_that(noise_multiplier, clip_norm):
    """It is charged for as ``noise_multiplier`` times what one participant moves."""
    mechanism = DPSGD(0.1, noise_multiplier, 1, clip_norm)
    assert mechanism.unit.event.noise_multiplier == noise_multiplier
    assert mechanism.noise_sd(1) >= noise_multiplier * clip_norm * (1 + 50 * MEASURED)
    assert mechanism.noise_sd(1) == pytest.approx(noise_multiplier * clip_norm, rel=0.001)
