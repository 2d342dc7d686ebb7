"""The packed engine on a GPU takes the steps that it takes on the CPU, and its noise is what is charged there too."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest

from privacy.mechanisms.gradient_noise import grid_step
from tests.trainables.training import ALMOST_NO_NOISE, paid, settings_of
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData, draw_inputs
from trainables.gan.packed import batch_stream, rows, steps
from trainables.gan.packed_engine import PackedEngine

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU here")

GRID = (3, 4)
FEATURES = GRID[0] * GRID[1]
PUBLIC = PublicFigures(100.0, (0.5, 0.5), FEATURES, GRID)


def participants(count: int, device: str) -> TrainingData:
    features = 2 * torch.rand(count, FEATURES, generator=torch.Generator().manual_seed(0)) - 1
    return TrainingData(features.to(device), (features[:, 0] > 0).long().to(device))


def gradients(device: str, number: int, people: int, monkeypatch, trials: int = 1, **changes) -> torch.Tensor:
    """What Adam is given, times the public normaliser, on the CPU: (number, K, P)."""
    config = {"sampling_rate": 1.0, "width": 16, "latent_size": 4, "discriminator_steps": 1000, **changes}
    seen: list[torch.Tensor] = []
    adam = steps.adam_step
    monkeypatch.setattr(steps, "adam_step", lambda stack: (seen.append(stack.gradient.cpu().clone()), adam(stack)))
    torch.manual_seed(7)
    engines = [PackedEngine(settings_of(config), PUBLIC, torch.device(device)) for _ in range(trials)]
    pack = engines[0].new_pack()
    for trial, engine in enumerate(engines):
        given = paid(config, participants(people, device), number, RandomStreams.numbered(trial, device))
        pack.join(settings_of(config), PUBLIC, engine.state, given)
    pack.advance(number)
    monkeypatch.undo()
    return torch.stack(seen) * PUBLIC.expected_batch(given.mechanism)


def drawn_on_the_cpu(count, latent_size, arm_shares, randomness):
    """Inputs that do not depend on the device."""
    here = torch.Generator().manual_seed(count)
    return tuple(each.to(randomness.device) for each in draw_inputs(count, latent_size, arm_shares, here))


@pytest.mark.parametrize("network", ["compact", "paper"])
@pytest.mark.parametrize("clip_norm", [1e-3, 0.5, 1e3])
def test_the_clipped_sum_is_that_of_the_cpu(network, clip_norm):
    found = {}
    for device in ("cpu", "cuda"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batch_stream, "draw_inputs", drawn_on_the_cpu)
            patch.setattr(
                rows.DropoutMasks, "draw", lambda self, sizes, like: like.new_ones(*like.shape[:2], self.units)
            )
            changes = {"network": network, "clip_norm": clip_norm, "noise_multiplier": ALMOST_NO_NOISE}
            found[device] = gradients(device, 1, 60, patch, **changes)
    assert (found["cpu"] - found["cuda"]).norm() <= 1e-5 * found["cpu"].norm()


def test_noise_is_gaussian_of_the_stated_scale_and_fresh_in_every_step_of_every_trial(monkeypatch):
    """Weights hardly move, so that the same steps with almost no noise say what the noise was."""
    sigma, clip_norm = 2.0, 0.5
    still = {"trials": 3, "clip_norm": clip_norm, "discriminator_learning_rate": 1e-9}
    quiet, noisy = (
        gradients("cuda", 20, 30, monkeypatch, noise_multiplier=noise, **still) for noise in (ALMOST_NO_NOISE, sigma)
    )
    noise = (noisy - quiet).flatten(0, 1).double() / (sigma * clip_norm)  # (60, P)
    assert min(kstest(each.numpy(), "norm").pvalue for each in noise) > 1e-5
    likeness = torch.corrcoef(noise) - torch.eye(len(noise))
    assert likeness.abs().max() < 6 / noise.shape[1] ** 0.5


def test_noisy_sums_lie_on_the_grid(monkeypatch):
    sigma, clip_norm = 2.0, 0.5
    changes = {"noise_multiplier": sigma, "clip_norm": clip_norm, "sampling_rate": 1.0}
    expected = PUBLIC.participants
    gradient = gradients("cuda", 2, 30, monkeypatch, **changes).double() / expected
    points = gradient / grid_step(sigma * clip_norm / expected)
    assert (points - points.round()).abs().max() < 1e-2
