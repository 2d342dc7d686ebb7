"""The packed engine on a GPU takes the steps that it takes on the CPU, and its noise is what is charged there too."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from scipy.stats import kstest

from benchmarks.recorded import RecordedPack
from privacy.mechanisms.gradient_noise import GRID_BITS, grid_step
from tests.trainables.training import ALMOST_NO_NOISE, paid, settings_of
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData, draw_inputs
from trainables.gan.packed import batch_stream, pack, rows, steps
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed_engine import PackedEngine

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU here")
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="the host draws the noise here")

GRID = (3, 4)
FEATURES = GRID[0] * GRID[1]
PUBLIC = PublicFigures(100.0, (0.5, 0.5), FEATURES, GRID)


def participants(count: int, device: str) -> TrainingData:
    features = 2 * torch.rand(count, FEATURES, generator=torch.Generator().manual_seed(0)) - 1
    return TrainingData(features.to(device), (features[:, 0] > 0).long().to(device))


def gradients(device: str, number: int, people: int, trials: int = 1, **changes) -> torch.Tensor:
    """What Adam is given, times the public normaliser, on the CPU: (number, K, P)."""
    config = {"sampling_rate": 1.0, "width": 16, "latent_size": 4, "discriminator_steps": 1000, **changes}
    seen: list[torch.Tensor] = []
    torch.manual_seed(7)
    engines = [PackedEngine(settings_of(config), PUBLIC, torch.device(device)) for _ in range(trials)]
    pack = engines[0].new_pack()
    for trial, engine in enumerate(engines):
        given = paid(config, participants(people, device), number, RandomStreams.numbered(trial, device))
        pack.join(settings_of(config), PUBLIC, engine.state, given)
    for _ in range(number):
        pack.advance(1)
        seen.append(pack._slots.discriminators.gradient.cpu().clone())
    return torch.stack(seen) * PUBLIC.expected_batch(given.mechanism)


def noise_of_segments(segments: list[RandomStreams], company: int, number: int = 5) -> torch.Tensor:
    """Noise of a trial that leaves its pack after so many steps and joins again, in units of sigma C: (steps, P).

    There is so much noise that hardly anything else is seen.

    Args:
        segments: random numbers of each.
        company: trials that are there all the time, before and after it.
        number: steps of a segment.
    """
    config = {
        "sampling_rate": 0.5,
        "noise_multiplier": 1e4,
        "width": 16,
        "latent_size": 4,
        "discriminator_steps": 1000,
        "discriminator_learning_rate": 1e-9,
    }
    settings, data = settings_of(config), participants(30, "cuda")
    seen: list[torch.Tensor] = []
    torch.manual_seed(7)
    engine = PackedEngine(settings, PUBLIC, torch.device("cuda"))
    pack, state = engine.new_pack(), engine.state
    for other in range(company):
        given = paid(config, data, number * len(segments), RandomStreams.numbered(100 + other, "cuda"))
        pack.join(settings, PUBLIC, engine.state, given)
    for streams in segments:
        given = paid(config, data, number, streams)
        ticket = pack.join(settings, PUBLIC, state, given)
        for _ in range(number):
            pack.advance(1)
            seen.append(pack._slots.discriminators.gradient.cpu().clone())
        keys = pack._slots.noise.keys
        state = pack.leave(ticket)
        assert not keys.any()  # what the trial's key was in
    return (
        torch.stack(seen)[:, -1].double()
        * PUBLIC.expected_batch(given.mechanism)
        / given.mechanism.noise_sd(PUBLIC.expected_batch(given.mechanism))
    )


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
            patch.setattr(pack, "draws_noise", lambda device: False)  # what little noise there is shall be the same
            patch.setattr(
                rows.DropoutMasks, "draw", lambda self, sizes, like: like.new_ones(*like.shape[:2], self.units)
            )
            changes = {"network": network, "clip_norm": clip_norm, "noise_multiplier": ALMOST_NO_NOISE}
            found[device] = gradients(device, 1, 60, **changes)
    assert (found["cpu"] - found["cuda"]).norm() <= 1e-5 * found["cpu"].norm()


def test_noise_is_gaussian_of_the_stated_scale_and_fresh_in_every_step_of_every_trial():
    """Weights hardly move, so that the same steps with almost no noise say what the noise was."""
    sigma, clip_norm = 2.0, 0.5
    still = {"trials": 3, "clip_norm": clip_norm, "discriminator_learning_rate": 1e-9}
    quiet, noisy = (gradients("cuda", 20, 30, noise_multiplier=noise, **still) for noise in (ALMOST_NO_NOISE, sigma))
    noise = (noisy - quiet).flatten(0, 1).double() / (sigma * clip_norm)  # (60, P)
    assert min(kstest(each.numpy(), "norm").pvalue for each in noise) > 1e-5
    likeness = torch.corrcoef(noise) - torch.eye(len(noise))
    assert likeness.abs().max() < 6 / noise.shape[1] ** 0.5


def test_noisy_sums_lie_on_the_grid():
    sigma, clip_norm = 2.0, 0.5
    changes = {"noise_multiplier": sigma, "clip_norm": clip_norm, "sampling_rate": 1.0}
    expected = PUBLIC.participants
    gradient = gradients("cuda", 2, 30, **changes).double() / expected
    points = gradient / grid_step(sigma * clip_norm / expected)
    assert (points - points.round()).abs().max() < 1e-2


@needs_triton
@pytest.mark.parametrize("secret", [True, False])
def test_a_trial_that_leaves_and_joins_again_never_repeats_noise(secret):
    """Whether its streams are new, as in private studies, or the ones it had."""
    device = torch.device("cuda")
    streams = [RandomStreams.secret(device) for _ in range(4)] if secret else [RandomStreams.numbered(1, device)] * 4
    noise = noise_of_segments(streams, 2)
    assert min(kstest(each.numpy(), "norm").pvalue for each in noise) > 1e-5
    likeness = torch.corrcoef(noise) - torch.eye(len(noise))
    assert likeness.abs().max() < 6 / noise.shape[1] ** 0.5


@needs_triton
def test_noise_comes_from_the_seed_whoever_shares_the_pack():
    alone, together = (
        noise_of_segments([RandomStreams.numbered(number, "cuda") for number in (1, 2)], company) for company in (0, 3)
    )
    assert (alone - together).abs().max() <= 2 * 2.0**-GRID_BITS  # a point aside, where the sums differ by rounding
    other = noise_of_segments([RandomStreams.numbered(3, "cuda")], 0)
    assert abs(torch.corrcoef(torch.stack([alone[0], other[0]]))[0, 1]) < 6 / alone.shape[1] ** 0.5


@needs_triton
def test_the_gpu_draws_the_noise(monkeypatch):
    monkeypatch.setattr(steps, "hide_sum", lambda *_: pytest.fail("the host drew it"))
    gradients("cuda", 2, 30)


def test_without_triton_the_host_draws_the_noise(monkeypatch):
    monkeypatch.setattr(pack, "draws_noise", lambda device: False)
    noise = gradients("cuda", 2, 0, noise_multiplier=1e4, clip_norm=1.0)
    assert noise.std().item() == pytest.approx(1e4, rel=0.2)


def trained(network: str, kind: type[Pack]) -> tuple[Pack, list[TrialState]]:
    """Three trials, of which the last joins late and one clips nothing, and their pack shortly before they leave."""
    torch.manual_seed(7)
    differences = ({}, {"noise_multiplier": 0.0, "latent_size": 5}, {"clip_norm": 0.1, "label_smoothing": 0.2})
    configs = [
        {"network": network, "sampling_rate": 0.3, "latent_size": 8, "discriminator_steps": 3, **SLOW, **each}
        | ({"width": 16} if network == "compact" else {})
        for each in differences
    ]
    together = None
    for number, (config, late) in enumerate(zip(configs, (0, 0, 9), strict=True)):
        settings = settings_of(config)
        engine = PackedEngine(settings, PUBLIC, torch.device("cuda"))
        together = together or kind(engine.shape, torch.device("cuda"))
        if late:
            together.advance(late)
        given = paid(config, participants(60, "cuda"), 40 - late, RandomStreams.numbered(number, "cuda"))
        together.join(settings, PUBLIC, engine.state, given)
    together.advance(31)
    return together, [together._slots.state(row, 0, 5) for row in range(3)]


SLOW = {"generator_learning_rate": 1e-5, "discriminator_learning_rate": 1e-5}


@needs_triton
@pytest.mark.parametrize("network", ["compact", "paper"])
def test_recorded_steps_are_the_steps_that_were_recorded(network):
    (recorded, ours), (asked_for, theirs) = trained(network, RecordedPack), trained(network, Pack)
    assert len(recorded.recordings) == 2
    assert recorded.remaining == asked_for.remaining == 0
    for one, other in zip(ours, theirs, strict=True):
        assert one.generator.steps == other.generator.steps and one.discriminator.steps == other.discriminator.steps
        for mine, its in ((one.discriminator, other.discriminator), (one.generator, other.generator)):
            for name, weights in its.weights.items():
                torch.testing.assert_close(mine.weights[name], weights, rtol=0, atol=1e-4)
                assert (mine.first[name] - its.first[name]).norm() <= 0.02 * its.first[name].norm() + 1e-7
