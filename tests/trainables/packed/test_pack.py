"""A trial in a pack is the trial it would be alone."""

from __future__ import annotations

import pytest
import torch

from tests.trainables.training import paid, settings_of
from trainables.gan.engine import PaidTraining, PublicFigures, RandomStreams, TrainingData
from trainables.gan.packed.networks import Shape
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed_engine import PackedEngine

CPU = torch.device("cpu")
GRID = (3, 12)
STEPS = 50
COMPACT = {"network": "compact", "width": 16, "depth": 2}
# At the paper's own learning rates; at higher ones this network is chaotic and rounding shows after some steps.
PAPER = {"network": "paper", "generator_learning_rate": 2e-5, "discriminator_learning_rate": 2e-5}
# What trials of one shape may differ in.
DIFFERENCES = [
    {},
    {"clip_norm": 0.1, "noise_multiplier": 0.5},
    {"sampling_rate": 0.5},
    {"discriminator_steps": 3},
    {"latent_size": 5, "label_smoothing": 0.2},
    {"adam_beta1": 0.0, "generator_averaging": 0.5},
    {"discriminator_learning_rate": 1e-5, "generator_learning_rate": 1e-5},
    {"noise_multiplier": 0.0, "discriminator_steps": 1},
]


class Trial:
    """One trial: its settings, its participants, its streams."""

    def __init__(self, number: int, network: dict, participants: int = 60) -> None:
        self.config = {"sampling_rate": 0.1, "latent_size": 20, **network, **DIFFERENCES[number]}
        self.settings = settings_of(self.config)
        self.public = PublicFigures(50, (0.5, 0.5), GRID[0] * GRID[1], GRID)
        stream = torch.Generator().manual_seed(number)
        features = 2 * torch.rand(participants + number, GRID[0] * GRID[1], generator=stream) - 1
        self.data = TrainingData(features, (features[:, 0] > 0).long())
        self.streams = RandomStreams.numbered(100 + number)
        torch.manual_seed(number)
        self.engine = PackedEngine(self.settings, self.public, CPU)
        self.state = TrialState.of(self.engine.state_dict())

    def join(self, pack: Pack, steps: int = STEPS) -> int:
        return pack.join(self.settings, self.public, self.state, self.paid(steps))

    def paid(self, steps: int) -> PaidTraining:
        return paid(self.config, self.data, steps, self.streams)

    @property
    def shape(self) -> Shape:
        return Shape.of(self.settings, self.public)


def alone(number: int, network: dict, steps: int = STEPS) -> TrialState:
    trial = Trial(number, network)
    trial.engine.train(trial.paid(steps))
    return TrialState.of(trial.engine.state_dict())


def assert_alike(ours: TrialState, theirs: TrialState) -> None:
    assert ours.steps == theirs.steps
    assert ours.generator.steps == theirs.generator.steps
    for name, value in theirs.discriminator.weights.items():
        torch.testing.assert_close(ours.discriminator.weights[name], value, rtol=0, atol=1e-4)
    for name, value in theirs.generator.weights.items():
        torch.testing.assert_close(ours.generator.weights[name], value, rtol=0, atol=1e-4)
        torch.testing.assert_close(ours.average[name], theirs.average[name], rtol=0, atol=1e-4)


def in_company(network: dict, late: int) -> dict[int, TrialState]:
    """Eight trials, of which some join when the others are half-way."""
    trials = [Trial(number, network) for number in range(8)]
    pack = Pack(trials[0].shape, CPU)
    tickets = {trial.join(pack): number for number, trial in enumerate(trials[late:], start=late)}
    states = {}
    pack.advance(STEPS // 2)
    tickets |= {trial.join(pack): number for number, trial in enumerate(trials[:late])}
    while len(pack):
        pack.advance(pack.remaining)
        for ticket in pack.finished():
            states[tickets[ticket]] = pack.leave(ticket)
    return states


@pytest.mark.parametrize("late", [0, 3])
def test_a_compact_trial_in_company_is_the_same_as_alone(late):
    for number, state in in_company(COMPACT, late).items():
        assert_alike(state, alone(number, COMPACT))


@pytest.mark.slow
@pytest.mark.parametrize("late", [0, 3])
def test_a_paper_trial_in_company_is_the_same_as_alone(late):
    for number, state in in_company(PAPER, late).items():
        assert_alike(state, alone(number, PAPER))


def test_a_trial_may_leave_before_its_stretch_is_over():
    trials = [Trial(number, COMPACT) for number in range(3)]
    pack = Pack(trials[0].shape, CPU)
    tickets = [trial.join(pack) for trial in trials]
    pack.advance(10)
    assert pack.leave(tickets[1]).steps == 10
    pack.advance(STEPS - 10)
    assert sorted(pack.finished()) == [tickets[0], tickets[2]]
    assert_alike(pack.leave(tickets[2]), alone(2, COMPACT))


def test_trials_that_differ_a_little_in_latent_size_share_a_shape():
    assert Trial(0, COMPACT).shape == Trial(4, COMPACT).shape
    assert Trial(0, COMPACT).shape != Trial(0, {**COMPACT, "latent_size": 40}).shape


def test_a_pack_keeps_no_participants_of_trials_that_left():
    import gc
    import weakref

    trial = Trial(0, COMPACT)
    pack = Pack(trial.shape, CPU)
    ticket = trial.join(pack)
    pack.advance(2)
    pack.leave(ticket)
    seen = weakref.ref(trial.data.features)
    del trial
    gc.collect()
    assert seen() is None


def test_trials_join_when_their_generator_steps_fall_together():
    first, second = Trial(0, COMPACT), Trial(0, COMPACT)
    pack = Pack(first.shape, CPU)
    assert pack.steps_until_in_step(first.settings, 3) == 0  # nobody to wait for
    first.join(pack)
    for _ in range(first.settings.discriminator_steps):
        wait = pack.steps_until_in_step(second.settings, second.state.steps)
        assert (pack._clock + wait - second.state.steps) % second.settings.discriminator_steps == 0
        pack.advance(1)
