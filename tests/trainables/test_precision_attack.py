"""The low bits of a noisy gradient do not tell who was in the batch, on either engine.

The attacker is the one of the definition: they know everything but whether one participant took part. So they know the
clipped sum in both cases, and look for the one in which what is left over is a number that the noise can take.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom, chisquare

from privacy.mechanisms.gradient_noise import grid_step
from tests.trainables.training import ALMOST_NO_NOISE, mechanism_of, settings_of
from trainables.gan import opacus_engine
from trainables.gan.engine import PaidTraining, PublicFigures, RandomStreams, TrainingData
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed import steps
from trainables.gan.packed_engine import PackedEngine

CPU = torch.device("cpu")
PUBLIC = PublicFigures(100, (0.5, 0.5), features=36, grid=(3, 12))
# A batch of about one participant, and an optimizer whose first moment is the gradient it saw last.
CONFIG = {"sampling_rate": 0.01, "adam_beta1": 0.0, "clip_norm": 0.5, "noise_multiplier": 1.5}
RUNS = 40
SURE_BITS = 8
"""Box and Muller's radius comes from a uniform number of 24 bits; those below 2^-8 can be told from the radius."""


def gradient(kind: type, is_in: bool, seed: int, noise: float | None = None) -> np.ndarray:
    """What a checkpoint tells of the last step's gradient (P,), times the public normaliser."""
    config = CONFIG if noise is None else {**CONFIG, "noise_multiplier": noise}
    torch.manual_seed(seed)
    engine = kind(settings_of(config), PUBLIC, CPU)
    features = torch.linspace(-1, 1, 36).repeat(1, 1)[: int(is_in)]
    data = TrainingData(features, torch.ones(int(is_in), dtype=torch.int64))
    mechanism = mechanism_of(config, 1)
    streams = RandomStreams.numbered(seed)
    object.__setattr__(mechanism, "sampling_rate", 1.0)  # the participant, if there is one, is in the batch
    public = PublicFigures(1, PUBLIC.arm_shares, PUBLIC.features, PUBLIC.grid)
    engine._public = public
    engine.train(PaidTraining(data, mechanism, streams))
    state = engine.state_dict()
    if kind is PackedEngine:
        moments = state["discriminator"]["first"].values()
    else:
        moments = [each["exp_avg"] for each in state["discriminator_optimizer"]["state"].values()]
    return torch.cat([each.flatten() for each in moments]).double().numpy()


def off_the_lattice(noise: np.ndarray) -> float:
    """How far numbers are from those that PyTorch's normal generator gives: 0 on its lattice, 0.25 by chance."""
    whole = noise[: len(noise) // 16 * 16].reshape(-1, 2, 8)  # of 16 numbers, the first 8 are cosines, the others sines
    uniform = np.exp(-0.5 * np.square(whole).sum(axis=1)).ravel() * 2**24
    sure = uniform[(uniform < 2 ** (24 - SURE_BITS)) & (uniform > 1)]
    return float(np.abs(sure - np.rint(sure)).mean())


def right_guesses(kind: type) -> int:
    """Of ``RUNS`` participants who are in by a fair coin, how many are told."""
    rng, right = np.random.default_rng(5), 0
    sd = mechanism_of(CONFIG, 1).noise_sd(1)
    for seed in range(RUNS):
        is_in = bool(rng.integers(2))
        seen = gradient(kind, is_in, seed)
        with_, without = (gradient(kind, each, seed, ALMOST_NO_NOISE) for each in (True, False))
        guess = off_the_lattice((seen - with_) / sd) < off_the_lattice((seen - without) / sd)
        right += guess == is_in
    return right


@pytest.mark.parametrize("kind", [OpacusEngine, PackedEngine])
def test_a_checkpoint_tells_nothing_of_the_last_batch(kind):
    assert right_guesses(kind) <= binom.ppf(0.999, RUNS, 0.5)


@pytest.mark.parametrize("kind", [OpacusEngine, PackedEngine])
def test_noise_in_single_precision_is_told_from_a_checkpoint(kind, monkeypatch):
    """What version 0.1 did: so the attack is worth something."""

    def in_single_precision(total: torch.Tensor, noise_sd: float, normals: np.ndarray) -> None:
        if noise_sd > 1e-6:
            total.add_(torch.randn(len(total)) * noise_sd)

    for module in (opacus_engine, steps):
        monkeypatch.setattr(module, "hide_sum", in_single_precision)
    assert right_guesses(kind) >= 0.9 * RUNS


@pytest.mark.parametrize("kind", [OpacusEngine, PackedEngine])
def test_every_gradient_lies_on_one_grid_whose_low_bits_are_fair(kind):
    mechanism = mechanism_of(CONFIG, 1)
    step = grid_step(mechanism.noise_sd(1))
    for is_in in (True, False):
        places = gradient(kind, is_in, seed=1) / step
        assert (places == np.rint(places)).all()
        counts = np.bincount(places.astype(np.int64) % 64, minlength=64)
        assert chisquare(counts).pvalue > 1e-4
