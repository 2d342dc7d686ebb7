"""What a noisy sum is: the multiple of one public power of two that lies nearest to sum and noise together."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from privacy.mechanisms.gradient_noise import GRID_BITS, grid_step, hide_sum
from privacy.mechanisms.randomness import CryptographicStream
from privacy.mechanisms.standard_normal import StandardNormals

noise_sds = st.floats(1e-20, 1e20)
SIZE = 2000
CLIP_NORM = 0.7


def hidden(total: torch.Tensor, noise_sd: float, normals: np.ndarray | None = None, seed: int = 1) -> torch.Tensor:
    """A copy of a sum behind noise."""
    copy = total.clone()
    drawn = StandardNormals(CryptographicStream.seeded(seed)).draw(len(total)) if normals is None else normals.copy()
    hide_sum(copy, noise_sd, drawn)
    return copy


def sums(scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    """A sum of clipped gradients (P,)."""
    return scale * torch.randn(SIZE, generator=torch.Generator().manual_seed(seed))


def one_participants(norm: float = CLIP_NORM, seed: int = 9) -> torch.Tensor:
    """A clipped gradient (P,)."""
    direction = sums(seed=seed)
    return norm * direction / direction.norm()


def on_grid(noisy: torch.Tensor, noise_sd: float) -> bool:
    places = noisy.double() / grid_step(noise_sd)
    return torch.equal(places, places.round())


@given(noise_sds)
def test_points_of_the_grid_lie_a_power_of_two_apart_a_thousandth_of_the_noise_or_less(noise_sd):
    step = grid_step(noise_sd)
    assert math.frexp(step)[0] == 0.5
    assert noise_sd / 2 ** (GRID_BITS + 1) < step <= noise_sd / 2**GRID_BITS


@given(noise_sd=noise_sds, largeness=st.floats(1e-6, 1e4))
def test_every_number_lies_on_the_grid_whatever_the_sum(noise_sd, largeness):
    assert on_grid(hidden(sums(largeness * noise_sd), noise_sd), noise_sd)


@pytest.mark.parametrize("noise_sd", [0.003, 0.5, 1.0, 7.3])
def test_the_grid_is_the_same_with_and_without_a_participant(noise_sd):
    """Not one that is shifted or finer for one of the two, so that no number is possible for one of them alone."""
    without = sums()
    both = without, without + one_participants()
    for total in (*both, torch.zeros(SIZE)):
        assert on_grid(hidden(total, noise_sd), noise_sd)
    remainders = [np.bincount((hidden(each, noise_sd) / grid_step(noise_sd)).long() % 4, minlength=4) for each in both]
    assert (np.array(remainders) > 0.8 * SIZE / 4).all()  # no part of the grid is left out for one of them


@given(
    total=st.floats(-1e3, 1e3, width=32),
    normal=st.floats(-8, 8),
    noise_sd=st.floats(1e-3, 1e3),
)
def test_the_point_is_the_nearest_to_sum_and_noise_together(total, normal, noise_sd):
    """By exact arithmetic; double precision may choose the other of two points about as near."""
    step = Fraction(grid_step(noise_sd))
    noisy = Fraction(hidden(torch.tensor([total]), noise_sd, np.array([normal])).double().item())
    exact = Fraction(total) + Fraction(normal) * Fraction(noise_sd)
    in_float32 = abs(exact) * Fraction(2) ** -23  # of a point more than 2^24 steps from 0
    in_float64 = (abs(exact) + abs(Fraction(total))) * Fraction(2) ** -50
    assert abs(noisy - exact) <= step / 2 + in_float64 + (in_float32 if abs(exact) >= step * 2**24 else 0)


@pytest.mark.parametrize("total", [0.0, 1.5, -700.0])
@pytest.mark.parametrize("point", [-3000, -1, 0, 77, 3001])
def test_sum_and_noise_are_added_in_double_precision(total, point):
    """Single precision could not tell on which side of the middle between two points they lie."""
    step, aside = grid_step(1.0), 2.0**-40
    for side, nearest in ((-aside, point), (aside, point + 1)):
        noisy = hidden(torch.tensor([total]), 1.0, np.array([(point + 0.5) * step + side]))
        assert noisy.item() == total + nearest * step


@pytest.mark.parametrize("noise_sd", [0.01, 1.0, 300.0])
def test_zero_has_no_sign(noise_sd):
    """A sum just below 0 must not end up at another zero than one just above."""
    step = grid_step(noise_sd)
    for total, normal in ((-0.3 * step, 0.0), (0.3 * step, 0.0), (-0.0, 0.0), (-0.0, -0.0), (0.0, -1e-9), (0.0, 1e-9)):
        noisy = hidden(torch.tensor([total]), noise_sd, np.array([normal]))
        assert noisy.numpy().tobytes() == bytes(4)


def test_of_many_zeros_none_has_a_sign():
    noisy = hidden(torch.zeros(500_000), 1.0)
    zeros = noisy[noisy == 0]
    assert len(zeros) > 50
    assert not torch.signbit(zeros).any()


@given(noise_sd=noise_sds, points=st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=50))
def test_a_sum_that_is_moved_along_the_grid_moves_what_is_seen_and_nothing_else(noise_sd, points):
    """Low bits of the noise are gone: they are not left over beside a sum of fewer bits."""
    moved = grid_step(noise_sd) * torch.tensor(points, dtype=torch.float32)
    normals = StandardNormals(CryptographicStream.seeded(4)).draw(len(points))
    still = hidden(torch.zeros(len(points)), noise_sd, normals)
    assert torch.equal(hidden(moved, noise_sd, normals), still + moved)


def test_the_noise_has_the_stated_standard_deviation():
    noise_sd, total = 0.37, sums(5.0)
    noise = (hidden(total, noise_sd) - total).double() / noise_sd
    assert noise.std().item() == pytest.approx(1, abs=5 / math.sqrt(2 * SIZE))
    assert abs(noise.mean()) < 5 / math.sqrt(SIZE)


def test_rounding_adds_less_than_a_ten_millionth_of_the_variance():
    for noise_sd in (0.5, 0.999, 1.0, 1.7):
        assert grid_step(noise_sd) ** 2 / 12 < 1e-7 * noise_sd**2


def test_without_noise_a_sum_stays_as_it_is():
    total = torch.tensor([0.1, -0.0, 1e-30, -3e30])
    assert hidden(total, 0.0, np.ones(4)).numpy().tobytes() == total.numpy().tobytes()
