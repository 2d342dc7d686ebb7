"""A participant whose features are infinite or no number has no part in a step, on either engine, and spoils nobody's.

Encoding lets no such participant through; a network whose weights have run away makes any participant one.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils._pytree import tree_leaves

from tests.trainables.training import ALMOST_NO_NOISE, CPU, Recorded, Recorder, made_up, mechanism_of, paid, settings_of
from trainables.gan import opacus_engine
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed import rows
from trainables.gan.packed_engine import PackedEngine

ENGINES = [OpacusEngine, PackedEngine]
# The last is a number, but neither its square nor what a network makes of it is.
SPOILED = [math.nan, math.inf, -math.inf, 3e38]
EVERYBODY = {"sampling_rate": 1.0, "clip_norm": 0.5}
QUIET = {**EVERYBODY, "noise_multiplier": ALMOST_NO_NOISE}
PEOPLE = 12


@pytest.fixture
def no_dropout(monkeypatch):
    """Which units are dropped depends on how many rows there are, and not on whose they are."""
    monkeypatch.setattr(rows.DropoutMasks, "draw", lambda self, sizes, like: like.new_ones(*like.shape[:2], self.units))
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, values: values)


def spoiled(people: TrainingData, who: int, value: float, features: slice = slice(None)) -> TrainingData:
    """The same with a value in place of some features of one of them."""
    changed = people.features.clone()
    changed[who, features] = value
    return TrainingData(changed, people.arms)


def without(people: TrainingData, who: int) -> TrainingData:
    rest = torch.arange(len(people.arms)) != who
    return TrainingData(people.features[rest], people.arms[rest])


def trained(kind: type, config: dict, people: TrainingData, steps: int = 1, nominal: float = 10) -> Recorded:
    return Recorder(kind, config, nominal).alone(people, steps)


def apart(first: Recorded, second: Recorded) -> float:
    """Largest 2-norm by which the gradients of a step differ."""
    return float((first.gradients - second.gradients).norm(dim=1).max())


def all_finite(*made_of_tensors) -> bool:
    tensors = [each for each in tree_leaves(made_of_tensors) if isinstance(each, torch.Tensor)]
    assert tensors
    return all(bool(each.isfinite().all()) for each in tensors)


def finite(done: Recorded) -> bool:
    """Whether everything that was trained with, and came of it, is a number."""
    return all_finite(done.gradients, done.state)


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("noise", [ALMOST_NO_NOISE, 0.0], ids=["clipped", "not private"])
@pytest.mark.parametrize("features", [slice(None), slice(2, 3)], ids=["all", "one"])
@pytest.mark.parametrize("value", SPOILED)
def test_the_others_gradients_are_summed_as_if_they_were_not_there(kind, value, features, noise):
    config = {**EVERYBODY, "noise_multiplier": noise}
    done = trained(kind, config, spoiled(made_up(PEOPLE), 5, value, features))
    assert done.participants == [PEOPLE]  # they were in the batch
    assert finite(done)
    assert apart(done, trained(kind, config, without(made_up(PEOPLE), 5))) < 1e-5


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_so_they_are_in_the_papers_network(kind, value, no_dropout):
    config = {**QUIET, "network": "paper"}
    done = trained(kind, config, spoiled(made_up(3), 1, value), nominal=1)
    assert finite(done)
    assert apart(done, trained(kind, config, without(made_up(3), 1), nominal=1)) < 1e-5


@pytest.mark.parametrize("value", SPOILED)
def test_both_engines_make_the_same_of_them(value):
    people = spoiled(made_up(PEOPLE), 5, value)
    assert apart(*(trained(kind, QUIET, people) for kind in ENGINES)) < 1e-5


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_generator_is_the_one_of_training_without_them(kind, value):
    """After several steps of discriminator and generator, behind the noise that was paid for."""
    config = {**EVERYBODY, "noise_multiplier": 1.0, "discriminator_steps": 1, "width": 16, "latent_size": 4}
    people = spoiled(made_up(PEOPLE), 0, value)
    generators = []
    for each in (people, without(people, 0)):
        torch.manual_seed(7)
        engine = kind(settings_of(config), PublicFigures(10, (0.5, 0.5), 6, (2, 3)), CPU)
        before = torch.cat([weight.detach().flatten().clone() for weight in engine.generator().parameters()])
        engine.train(paid(config, each, 6, RandomStreams.numbered(3)))
        assert all_finite(engine.state_dict())
        generators.append(torch.cat([weight.detach().flatten() for weight in engine.generator().parameters()]))
    assert torch.dist(*generators) < 0.01 * torch.dist(generators[0], before)


@pytest.mark.parametrize("kind", ENGINES)
def test_what_they_hold_tells_nothing(kind):
    """Whether it is infinite or no number, and of which sign: every bit of what is trained is the same."""
    config = {"sampling_rate": 0.3, "clip_norm": 0.5, "noise_multiplier": 1.0}
    one, *more = (trained(kind, config, spoiled(made_up(PEOPLE), 0, value), 12) for value in SPOILED)
    assert len(set(one.participants)) > 1  # batches that are shorter are filled up beside longer ones
    for other in more:
        assert torch.equal(one.gradients, other.gradients)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_batch_of_nobody_else_is_an_empty_one(kind):
    people = made_up(4)
    nobody = TrainingData(torch.full_like(people.features, math.nan), people.arms)
    done, empty = (trained(kind, QUIET, each) for each in (nobody, made_up(0)))
    assert (done.participants, empty.participants) == ([4], [0])
    assert finite(done)
    assert apart(done, empty) < 1e-5


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("who", [0, 5, PEOPLE - 1])
def test_in_a_batch_of_several_passes_they_spoil_none(kind, who, monkeypatch):
    monkeypatch.setattr(opacus_engine, "CHUNK_ROWS", 5)
    monkeypatch.setattr(rows, "CHUNK_ROWS", 5)
    done = trained(kind, QUIET, spoiled(made_up(PEOPLE), who, math.nan))
    assert finite(done)
    assert apart(done, trained(kind, QUIET, without(made_up(PEOPLE), who))) < 1e-5


@pytest.mark.parametrize("value", SPOILED)
def test_trials_that_share_a_pack_with_them_are_none_the_wiser(value):
    ours, others, steps = made_up(PEOPLE), made_up(9, seed=1), 3

    def gradients(people: TrainingData) -> torch.Tensor:
        torch.manual_seed(7)
        return Recorder(PackedEngine, QUIET).together([others, people, others], steps)

    with_them, with_rest = gradients(spoiled(ours, 5, value)), gradients(ours)
    assert with_them.isfinite().all()
    for trial in (0, 2):
        assert torch.equal(with_them[:, trial], with_rest[:, trial])
    assert not torch.equal(with_them[:, 1], with_rest[:, 1])


def run_away(kind: type, layer: int) -> type:
    """The same engine, with an infinite weight in one of the discriminator's layers."""

    class RunAway(kind):
        def __init__(self, *given) -> None:
            super().__init__(*given)
            weights = (
                dict(self._discriminator._module.named_parameters())
                if kind is OpacusEngine
                else self.state.discriminator.weights
            )
            with torch.no_grad():
                [each for each in weights.values() if each.dim() == 2][layer][0, 0] = math.inf

    return RunAway


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("layer", [0, -1], ids=["first", "last"])
def test_where_weights_have_run_away_steps_are_of_noise_alone(kind, layer):
    """As large as was paid for, whoever is in the batch; of a gradient that is infinite in part, no part counts."""
    config = {**EVERYBODY, "noise_multiplier": 1.2}
    done = [trained(run_away(kind, layer), config, people) for people in (made_up(PEOPLE), made_up(0))]
    assert torch.equal(done[0].gradients, done[1].gradients)
    assert done[0].gradients.isfinite().all()
    assert done[0].gradients.std().item() == pytest.approx(mechanism_of(config, 1).noise_sd(1), rel=0.15)
