"""The packed engine's discriminator step is the mechanism that the accounting assumes, as the reference's is."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from scipy.stats import kstest

from privacy.mechanisms.randomness import CryptographicStream
from tests.trainables.training import ALMOST_NO_NOISE, paid, settings_of
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed import batch_stream, rows
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed_engine import PackedEngine

GRID = (3, 4)
FEATURES = GRID[0] * GRID[1]
NOMINAL = 100.0
NETWORKS = ["compact", "paper"]


def participants(count: int, seed: int = 0, arms: int = 2) -> TrainingData:
    stream = torch.Generator().manual_seed(seed)
    features = 2 * torch.rand(count, FEATURES, generator=stream) - 1
    return TrainingData(features, (arms * (features[:, 0] + 1) / 2).long().clamp(max=arms - 1))


class Training:
    """An engine, and what it is paid for."""

    def __init__(self, kind: type, arms: int, changes: dict) -> None:
        self.config = {"sampling_rate": 1.0, "width": 16, "latent_size": 4, "discriminator_steps": 1000, **changes}
        public = PublicFigures(NOMINAL, (1 / arms,) * arms, FEATURES, GRID)
        torch.manual_seed(7)  # the same weights every time
        self.settings = settings_of(self.config)
        self.engine = kind(self.settings, public, torch.device("cpu"))
        self.state_dict, self.load_state_dict = self.engine.state_dict, self.engine.load_state_dict
        self.generator = self.engine.generator

    def train(self, data: TrainingData, steps: int, streams: RandomStreams) -> None:
        self.engine.train(paid(self.config, data, steps, streams))


def engine(kind: type = PackedEngine, arms: int = 2, **changes: float | str) -> Training:
    return Training(kind, arms, changes)


def streams(seed: int = 3) -> RandomStreams:
    return RandomStreams.numbered(seed)


def gradient_of_one_step(trained: Training, data: TrainingData, seed: int = 3) -> torch.Tensor:
    """The gradient handed to Adam in the first discriminator step (P,): its first moment begins as a share of it."""
    trained.train(data, 1, streams(seed))
    first = trained.state_dict()["discriminator"]["first"]
    share = 1 - trained.settings.adam_beta1
    return torch.cat([value.flatten() for value in first.values()]) / share


def opacus_gradient(trained: Training, data: TrainingData, seed: int = 3) -> torch.Tensor:
    seen = []
    trained.engine._discriminator_optimizer.attach_step_hook(
        lambda optimizer: seen.append(torch.cat([p.grad.flatten().clone() for p in optimizer.params]))
    )
    trained.train(data, 1, streams(seed))
    return seen[0]


@pytest.fixture
def no_dropout(monkeypatch):
    """The engines draw their masks from different streams."""
    monkeypatch.setattr(rows.DropoutMasks, "draw", lambda self, sizes, like: like.new_ones(*like.shape[:2], self.units))
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, values: values)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("clip_norm", [1e-3, 0.5, 1e3])
def test_the_clipped_sum_is_that_of_opacus(network, clip_norm, no_dropout):
    changes = {"network": network, "clip_norm": clip_norm, "noise_multiplier": ALMOST_NO_NOISE, "label_smoothing": 0.1}
    ours = gradient_of_one_step(engine(**changes), participants(60))
    theirs = opacus_gradient(engine(OpacusEngine, **changes), participants(60))
    assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


@pytest.mark.parametrize("network", NETWORKS)
def test_of_three_arms_the_clipped_sum_is_that_of_opacus_too(network, no_dropout):
    changes = {"network": network, "clip_norm": 0.5, "noise_multiplier": ALMOST_NO_NOISE, "label_smoothing": 0.1}
    ours = gradient_of_one_step(engine(arms=3, **changes), participants(60, arms=3))
    theirs = opacus_gradient(engine(OpacusEngine, arms=3, **changes), participants(60, arms=3))
    assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


@pytest.mark.parametrize(
    ("network", "arms"), [("compact", 2), ("compact", 3), pytest.param("paper", 2, marks=pytest.mark.slow)]
)
def test_without_privacy_whole_training_is_that_of_opacus(network, arms, no_dropout):
    rates = {"generator_learning_rate": 1e-4, "discriminator_learning_rate": 1e-4}
    changes = {"network": network, "noise_multiplier": 0.0, "discriminator_steps": 2, "label_smoothing": 0.1, **rates}
    ours, theirs = engine(arms=arms, **changes), engine(OpacusEngine, arms, **changes)
    for number in range(6):  # one step at a time, since the engines look ahead differently in their streams
        for each in (ours, theirs):
            each.train(participants(30, arms=arms), 1, streams(number))
    pairs = zip(ours.generator().parameters(), theirs.generator().parameters(), strict=True)
    apart = torch.cat([(packed - reference).detach().abs().flatten() for packed, reference in pairs])
    # Adam moves a weight whose gradient is rounding alone by a whole learning rate, whichever way; such are few.
    assert (apart > 1e-5).float().mean() < 1e-3
    assert apart.max() < 3 * rates["generator_learning_rate"]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("clip_norm", [0.01, 0.5])
def test_one_more_participant_moves_the_gradient_by_at_most_the_clip_norm(network, clip_norm, no_dropout):
    data = participants(60)
    data.features[-1] *= 50  # an extreme participant
    fewer = TrainingData(data.features[:-1], data.arms[:-1])
    changes = {"network": network, "clip_norm": clip_norm, "noise_multiplier": ALMOST_NO_NOISE}
    without = gradient_of_one_step(engine(**changes), fewer)
    with_all = gradient_of_one_step(engine(**changes), data)
    moved = (with_all - without).norm() * NOMINAL  # the normaliser is public: q x nominal size
    assert 0.5 * clip_norm < moved <= clip_norm * (1 + 1e-4)


def test_noise_has_the_stated_scale_whatever_the_batch():
    sigma, clip_norm = 2.0, 0.5
    for count in (0, 30, 300):
        quiet = gradient_of_one_step(engine(clip_norm=clip_norm, noise_multiplier=ALMOST_NO_NOISE), participants(count))
        noisy = gradient_of_one_step(engine(clip_norm=clip_norm, noise_multiplier=sigma), participants(count))
        noise = (noisy - quiet) * NOMINAL
        assert abs(noise.mean()) < 0.2
        assert noise.std().item() == pytest.approx(sigma * clip_norm, rel=0.1)


@pytest.mark.slow
def test_ten_thousand_noisy_gradients_are_the_mechanisms():
    """Mean, covariance, and Kolmogorov-Smirnov distances of projections; chances of failing below 1 in 1,000 each."""
    draws, sigma, clip_norm = 10_000, 1.3, 0.7
    data, changes = participants(30), {"width": 2, "depth": 1, "clip_norm": clip_norm}
    quiet = gradient_of_one_step(engine(**changes, noise_multiplier=ALMOST_NO_NOISE), data)
    noisy = []
    for seed in range(draws):
        trained = engine(**changes, noise_multiplier=sigma)
        secret = replace(streams(), noise=CryptographicStream.seeded(10 + seed))
        trained.train(data, 1, secret)
        first = trained.state_dict()["discriminator"]["first"]
        noisy.append(torch.cat([value.flatten() for value in first.values()]) / 0.5)
    scaled = (torch.stack(noisy) - quiet).double() * NOMINAL / (sigma * clip_norm)  # (draws, P), standard normal
    size = scaled.shape[1]
    assert scaled.mean(0).norm() ** 2 * draws < size + 3.3 * (2 * size) ** 0.5
    covariance = scaled.T.cov() * 1.0
    off = covariance - torch.eye(size)
    assert off.abs().max() < 4.5 * (2 / draws) ** 0.5
    directions = torch.randn(10, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    for projection in (scaled @ directions.T).T:
        assert kstest(projection.numpy(), "norm").pvalue > 1e-4


def test_an_empty_batch_still_adds_noise_and_moves_the_discriminator():
    trained = engine(sampling_rate=1e-6)
    before = deepcopy(trained.state_dict()["discriminator"]["weights"])
    trained.train(participants(5), 1, streams())
    after = trained.state_dict()["discriminator"]["weights"]
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_long_batch_in_chunks_gives_the_same_gradient(network, monkeypatch):
    changes = {"network": network, "noise_multiplier": ALMOST_NO_NOISE}
    whole = gradient_of_one_step(engine(**changes), participants(90))
    monkeypatch.setattr(rows, "CHUNK_ROWS", 17)
    chunked = gradient_of_one_step(engine(**changes), participants(90))
    torch.testing.assert_close(whole, chunked, rtol=1e-4, atol=1e-6)


def test_a_diverged_trial_goes_on_with_noise_alone():
    trained = engine()
    state = deepcopy(trained.state_dict())
    state["discriminator"]["weights"]["layers.0.weight"].fill_(torch.inf)
    trained.load_state_dict(state)
    gradient = gradient_of_one_step(trained, participants(40))
    assert gradient.isfinite().all()
    assert gradient.std() * NOMINAL == pytest.approx(1.2, rel=0.1)


def test_the_generator_moves_once_per_so_many_discriminator_steps():
    trained = engine(discriminator_steps=3)

    def weights() -> torch.Tensor:
        return torch.cat([p.detach().flatten().clone() for p in trained.generator().parameters()])

    start = weights()
    trained.train(participants(40), 2, streams())
    assert torch.equal(start, weights())
    trained.train(participants(40), 1, streams())
    assert not torch.equal(start, weights())


def test_a_generator_that_moves_less_often_than_batches_are_drawn_moves_all_the_same():
    trained = engine(discriminator_steps=2 * batch_stream.AHEAD + 3, sampling_rate=0.2)
    before = TrialState.of(deepcopy(trained.state_dict()))
    trained.train(participants(40), 5 * batch_stream.AHEAD, streams())
    assert trained.engine.state.generator.steps == 2
    for name, weights in trained.engine.state.generator.weights.items():
        assert weights.isfinite().all()
        assert not torch.equal(weights, before.generator.weights[name])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_state_loaded_elsewhere_goes_on_the_same(network, tmp_path):
    first = engine(network=network, discriminator_steps=2)
    first.train(participants(40), 3, streams())
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = engine(network=network, discriminator_steps=2)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    first.train(participants(40), 4, streams(9))
    second.train(participants(40), 4, streams(9))
    for ours, theirs in zip(first.generator().parameters(), second.generator().parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
