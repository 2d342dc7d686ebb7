"""The discriminator step is the mechanism that the accounting assumes."""

from copy import deepcopy

import pytest
import torch

from trainables import opacus_engine
from trainables.engine import PublicFigures, RandomStreams, TrainingData
from trainables.hyperparameters import Hyperparameters
from trainables.opacus_engine import OpacusEngine, ac_gan_losses

FEATURES = 6
ALMOST_NO_NOISE = 1e-9


def participants(count: int, seed: int = 0) -> TrainingData:
    stream = torch.Generator().manual_seed(seed)
    features = 2 * torch.rand(count, FEATURES, generator=stream) - 1
    return TrainingData(features, (features[:, 0] > 0).long())


def engine(size: float = 100, **changes: float) -> OpacusEngine:
    settings = {"sampling_rate": 1.0, "width": 16, "latent_size": 4, "discriminator_steps": 1000, **changes}
    public = PublicFigures(size, (0.5, 0.5), FEATURES, grid=(2, 3))
    torch.manual_seed(7)  # the same weights every time
    return OpacusEngine(Hyperparameters(**settings), public, torch.device("cpu"))


def streams(seed: int = 3) -> RandomStreams:
    return RandomStreams(torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1))


def gradient_of_one_step(trained: OpacusEngine, data: TrainingData, seed: int = 3) -> torch.Tensor:
    """The gradient handed to Adam in the first discriminator step, (P,)."""
    seen = []
    trained._discriminator_optimizer.attach_step_hook(
        lambda optimizer: seen.append(torch.cat([p.grad.flatten().clone() for p in optimizer.params]))
    )
    trained.train(data, 1, streams(seed))
    return seen[0]


@pytest.mark.parametrize("clip_norm", [0.01, 0.5])
def test_one_more_participant_moves_the_gradient_by_at_most_the_clip_norm(clip_norm):
    data = participants(60)
    data.features[-1] *= 50  # an extreme participant
    changes = {"clip_norm": clip_norm, "noise_multiplier": ALMOST_NO_NOISE}
    without = gradient_of_one_step(engine(**changes), TrainingData(data.features[:-1], data.arms[:-1]))
    with_all = gradient_of_one_step(engine(**changes), data)
    moved = (with_all - without).norm() * 100  # the normaliser is public: q x nominal size = 100
    assert 0.5 * clip_norm < moved <= clip_norm * (1 + 1e-4)


def test_noise_has_the_stated_scale_whatever_the_batch():
    sigma, clip_norm = 2.0, 0.5
    for count in (0, 30, 300):
        data = participants(count)
        quiet = gradient_of_one_step(engine(clip_norm=clip_norm, noise_multiplier=ALMOST_NO_NOISE), data)
        noisy = gradient_of_one_step(engine(clip_norm=clip_norm, noise_multiplier=sigma), data)
        noise = (noisy - quiet) * 100
        assert abs(noise.mean()) < 0.2
        assert noise.std().item() == pytest.approx(sigma * clip_norm, rel=0.1)


def test_an_empty_batch_still_adds_noise_and_moves_the_discriminator():
    data = participants(5)
    trained = engine(sampling_rate=1e-6, size=1000)
    before = [p.clone() for p in trained._discriminator.parameters()]
    trained.train(data, 1, streams())
    assert any(not torch.equal(a, b) for a, b in zip(before, trained._discriminator.parameters(), strict=True))


def test_a_long_batch_in_chunks_gives_the_same_gradient(monkeypatch):
    data = participants(90)
    whole = gradient_of_one_step(engine(), data)
    monkeypatch.setattr(opacus_engine, "CHUNK_ROWS", 17)
    chunked = gradient_of_one_step(engine(), data)
    torch.testing.assert_close(whole, chunked, rtol=1e-4, atol=1e-6)


def test_without_noise_the_gradient_is_the_ordinary_one():
    data = participants(60)
    trained = engine(noise_multiplier=0.0)
    ours = gradient_of_one_step(trained, data)
    plain = engine(noise_multiplier=0.0)
    generated, generated_arms = plain._generate(100, streams())
    logits = plain._discriminator._module(torch.cat([data.features, generated]))
    targets = torch.cat([torch.ones(60), torch.zeros(100)])
    loss = ac_gan_losses(logits, torch.cat([data.arms, generated_arms]), targets).sum() / 100
    theirs = torch.autograd.grad(loss, list(plain._discriminator._module.parameters()))
    torch.testing.assert_close(ours, torch.cat([g.flatten() for g in theirs]), rtol=1e-4, atol=1e-6)


def test_the_generator_moves_once_per_so_many_discriminator_steps():
    data = participants(40)
    trained = engine(discriminator_steps=3)

    def weights() -> torch.Tensor:
        return torch.cat([p.detach().flatten().clone() for p in trained.generator().parameters()])

    start = weights()
    trained.train(data, 2, streams())
    assert torch.equal(start, weights())
    trained.train(data, 1, streams())
    assert not torch.equal(start, weights())


def test_a_state_loaded_elsewhere_goes_on_the_same():
    data = participants(40)
    first = engine(discriminator_steps=2)
    first.train(data, 3, streams())
    second = engine(discriminator_steps=2)
    second.load_state_dict(deepcopy(first.state_dict()))
    first.train(data, 4, streams(9))
    second.train(data, 4, streams(9))
    for ours, theirs in zip(first.generator().parameters(), second.generator().parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
