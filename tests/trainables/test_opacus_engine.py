"""The discriminator step is the mechanism that the accounting assumes."""

from copy import deepcopy

import pytest
import torch

from tests.trainables.training import ALMOST_NO_NOISE, paid, settings_of
from trainables.gan import opacus_engine
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData
from trainables.gan.opacus_engine import OpacusEngine, ac_gan_losses

FEATURES = 6


def participants(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    features = 2 * torch.rand(count, FEATURES, generator=stream) - 1
    return features, (features[:, 0] > 0).long()


class EngineOn(OpacusEngine):
    """An engine that always trains on the same participants, by the same configuration."""

    def train(self, steps: int, streams: RandomStreams) -> None:
        super().train(paid(self.config, self.data, steps, streams))


def engine(features: torch.Tensor, arms: torch.Tensor, size: float = 100, **changes: float) -> EngineOn:
    config = {"sampling_rate": 1.0, "width": 16, "latent_size": 4, "discriminator_steps": 1000, **changes}
    public = PublicFigures(size, (0.5, 0.5), FEATURES, grid=(2, 3))
    torch.manual_seed(7)  # the same weights every time
    made = EngineOn(settings_of(config), public, torch.device("cpu"))
    made.config, made.data = config, TrainingData(features, arms)
    return made


def streams(seed: int = 3) -> RandomStreams:
    return RandomStreams.numbered(seed)


def gradient_of_one_step(trained: OpacusEngine, seed: int = 3) -> torch.Tensor:
    """The gradient handed to Adam in the first discriminator step, (P,)."""
    seen = []
    trained._discriminator_optimizer.attach_step_hook(
        lambda optimizer: seen.append(torch.cat([p.grad.flatten().clone() for p in optimizer.params]))
    )
    trained.train(1, streams(seed))
    return seen[0]


@pytest.mark.parametrize("clip_norm", [0.01, 0.5])
def test_one_more_participant_moves_the_gradient_by_at_most_the_clip_norm(clip_norm):
    features, arms = participants(60)
    features[-1] *= 50  # an extreme participant
    changes = {"clip_norm": clip_norm, "noise_multiplier": ALMOST_NO_NOISE}
    without = gradient_of_one_step(engine(features[:-1], arms[:-1], **changes))
    with_all = gradient_of_one_step(engine(features, arms, **changes))
    moved = (with_all - without).norm() * 100  # the normaliser is public: q x nominal size = 100
    assert 0.5 * clip_norm < moved <= clip_norm * (1 + 1e-4)


def test_noise_has_the_stated_scale_whatever_the_batch():
    sigma, clip_norm = 2.0, 0.5
    for count in (0, 30, 300):
        features, arms = participants(count)
        quiet = gradient_of_one_step(engine(features, arms, clip_norm=clip_norm, noise_multiplier=ALMOST_NO_NOISE))
        noisy = gradient_of_one_step(engine(features, arms, clip_norm=clip_norm, noise_multiplier=sigma))
        noise = (noisy - quiet) * 100
        assert abs(noise.mean()) < 0.2
        assert noise.std().item() == pytest.approx(sigma * clip_norm, rel=0.1)


def test_an_empty_batch_still_adds_noise_and_moves_the_discriminator():
    features, arms = participants(5)
    trained = engine(features, arms, sampling_rate=1e-6, size=1000)
    before = [p.clone() for p in trained._discriminator.parameters()]
    trained.train(1, streams())
    assert any(not torch.equal(a, b) for a, b in zip(before, trained._discriminator.parameters(), strict=True))


def test_a_long_batch_in_chunks_gives_the_same_gradient(monkeypatch):
    features, arms = participants(90)
    whole = gradient_of_one_step(engine(features, arms))
    monkeypatch.setattr(opacus_engine, "CHUNK_ROWS", 17)
    chunked = gradient_of_one_step(engine(features, arms))
    torch.testing.assert_close(whole, chunked, rtol=1e-4, atol=1e-6)


def test_without_noise_the_gradient_is_the_ordinary_one():
    features, arms = participants(60)
    trained = engine(features, arms, noise_multiplier=0.0)
    ours = gradient_of_one_step(trained)
    plain = engine(features, arms, noise_multiplier=0.0)
    generated, generated_arms = plain._generate(100, streams())
    logits = plain._discriminator._module(torch.cat([features, generated]))
    targets = torch.cat([torch.ones(60), torch.zeros(100)])
    loss = ac_gan_losses(logits, torch.cat([arms, generated_arms]), targets).sum() / 100
    theirs = torch.autograd.grad(loss, list(plain._discriminator._module.parameters()))
    torch.testing.assert_close(ours, torch.cat([g.flatten() for g in theirs]), rtol=1e-4, atol=1e-6)


def test_the_generator_moves_once_per_so_many_discriminator_steps():
    features, arms = participants(40)
    trained = engine(features, arms, discriminator_steps=3)

    def weights() -> torch.Tensor:
        return torch.cat([p.detach().flatten().clone() for p in trained.generator().parameters()])

    start = weights()
    trained.train(2, streams())
    assert torch.equal(start, weights())
    trained.train(1, streams())
    assert not torch.equal(start, weights())


def test_a_state_loaded_elsewhere_goes_on_the_same():
    features, arms = participants(40)
    first = engine(features, arms, discriminator_steps=2)
    first.train(3, streams())
    second = engine(features, arms, discriminator_steps=2)
    second.load_state_dict(deepcopy(first.state_dict()))
    first.train(4, streams(9))
    second.train(4, streams(9))
    for ours, theirs in zip(first.generator().parameters(), second.generator().parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
