"""Norms and clipped sums from activations and backprops are those of per-participant gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.trainables.packed.reference import CPU, Stacked, random_rows
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.packed.clipping import add_clipped, clip_factors, squared_norms
from trainables.gan.packed.grids import Windows
from trainables.gan.packed.layers import Convolution, Linear
from trainables.gan.packed.layout import Weights
from trainables.gan.packed.networks import Record

GRID = (3, 12)
PAPER = Hyperparameters(network="paper", latent_size=8)
# Nearer to a rectifier's kink than this, float32 may see a unit on its other side.
ROUNDED_OVER = 3e-7


def norms_of(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([gradient.flatten(1) for gradient in gradients.values()], dim=1).norm(dim=1)


def clipped_sum(stacked: Stacked, records: list[Record], factors: torch.Tensor) -> Weights:
    layout = stacked.networks.discriminator.layout
    total = layout.views(torch.zeros(len(factors), layout.size))
    add_clipped(total, records, factors)
    return total


def check(stacked: Stacked, rows, clip_norm: float) -> None:
    """Norms, factors and clipped sums of every trial against float64, to 1e-5."""
    records = stacked.records(rows)
    squares = squared_norms(records)
    factors = clip_factors(squares, torch.full((len(squares), 1), clip_norm, dtype=torch.float64))
    sums = clipped_sum(stacked, records, factors)
    for trial in range(len(squares)):
        gradients = stacked.reference(trial, rows)
        norms = norms_of(gradients)
        row_mask = rows.row_mask[trial]
        torch.testing.assert_close(squares[trial, row_mask].sqrt(), norms, rtol=1e-5, atol=1e-7)
        assert (squares[trial, ~row_mask] < 1e-30).all()
        clipped = (clip_norm / (norms + 1e-6)).clamp(max=1)
        difference, whole = 0.0, 0.0
        for name, gradient in gradients.items():
            expected = torch.einsum("r,r...->...", clipped, gradient)
            difference += (sums[name][trial] - expected).square().sum().item()
            whole += expected.square().sum().item()
        assert difference**0.5 <= 1e-5 * max(whole**0.5, clip_norm)


@settings(max_examples=25)
@given(
    trials=st.integers(1, 17),
    rows=st.integers(1, 9),
    filled=st.integers(0, 3),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 13)),
    width=st.integers(1, 40),
    depth=st.integers(1, 3),
    clip_norm=st.sampled_from([1e-4, 0.3, 100.0]),
    seed=st.integers(0, 2**20),
)
def test_compact_networks_agree_with_float64(trials, rows, filled, grid, width, depth, clip_norm, seed):
    torch.manual_seed(seed)
    stacked = Stacked.of(Hyperparameters(width=width, depth=depth, latent_size=4), trials, grid)
    drawn = random_rows(trials, rows + filled, grid[0] * grid[1], 0, seed, filled=filled)
    assume(stacked.nearest_kink(drawn) > ROUNDED_OVER)
    check(stacked, drawn, clip_norm)


@pytest.mark.parametrize("drop", [0.0, 0.3])
@pytest.mark.parametrize(("trials", "grid"), [(1, GRID), (3, GRID), (2, (2, 5)), (1, (1, 3))])
def test_paper_networks_agree_with_float64(trials, grid, drop):
    torch.manual_seed(3)
    stacked = Stacked.of(PAPER, trials, grid)
    units = stacked.networks.discriminator.dropout_units
    check(stacked, random_rows(trials, 6, grid[0] * grid[1], units, seed=5, drop=drop, filled=1), clip_norm=0.5)


@pytest.mark.slow
@settings(max_examples=15)
@given(
    trials=st.integers(1, 17),
    rows=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 4), st.integers(3, 13)),  # PyTorch's own backward fails below
    drop=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**20),
)
def test_paper_networks_of_any_shape_agree_with_float64(trials, rows, grid, drop, seed):
    torch.manual_seed(seed)
    stacked = Stacked.of(PAPER, trials, grid)
    units = stacked.networks.discriminator.dropout_units
    drawn = random_rows(trials, rows, grid[0] * grid[1], units, seed, drop=drop)
    assume(stacked.nearest_kink(drawn) > ROUNDED_OVER)
    check(stacked, drawn, clip_norm=0.5)


def hard_cases() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Windows (K, R, T, I) and backprops (K, R, T, O) whose outer products cancel, or are large, or are nothing."""
    stream = torch.Generator().manual_seed(0)
    windows = torch.randn(2, 16, 12, 288, generator=stream)
    backprops = torch.randn(2, 16, 12, 64, generator=stream)
    cancelling = backprops - backprops.mean(2, keepdim=True)
    return {
        "random": (windows, backprops),
        "nearly constant activations, cancelling backprops": (1 + 1e-4 * windows, cancelling),
        "large offsets": (1e3 + windows, cancelling),
        "large offsets on both sides": (300 + windows, 300 + backprops),
        "opposite positions": (torch.cat([windows, windows + 0.1], 2), torch.cat([backprops, -backprops], 2)),
        "no gradient": (windows, torch.zeros_like(backprops)),
        "tiny": (1e-12 * windows, 1e-12 * backprops),
        "huge": (1e15 * windows, 1e15 * backprops),
    }


@pytest.mark.parametrize("case", hard_cases())
def test_a_convolutions_norm_survives_cancellation(case):
    windows, backprops = hard_cases()[case]
    layer = Convolution("c", Windows((2, 6), (3, 3), 1, 1, CPU))
    gradients = torch.einsum("krti,krto->kroi", windows.double(), backprops.double())
    squares = gradients.square().sum((2, 3)) + backprops.double().sum(2).square().sum(2)
    ours = layer.squared_norms(windows, backprops)
    torch.testing.assert_close(ours.sqrt(), squares.sqrt(), rtol=1e-5, atol=0)
    assert (ours >= squares * (1 - 1e-12)).all(), "a norm that is too small breaks the guarantee"
    for clip_norm in (1e-4, 1.0, 1e4):
        contribution = contributions(Record(layer, windows, backprops), ours, clip_norm)
        assert (contribution <= clip_norm * (1 + 1e-6)).all()


def test_what_a_convolutions_norm_cannot_tell_is_added_to_it():
    windows, backprops = hard_cases()["random"]
    twins = torch.cat([windows, windows * (1 + 1e-6)], 2), torch.cat([backprops, -backprops], 2)
    gradients = torch.einsum("krti,krto->kroi", twins[0].double(), twins[1].double())
    squares = gradients.square().sum((2, 3)) + twins[1].double().sum(2).square().sum(2)
    ours = Convolution("c", Windows((2, 6), (3, 3), 1, 1, CPU)).squared_norms(*twins)
    assert (ours >= squares).all()
    assert (ours.sqrt() <= 1e-5 * windows[0].norm() * backprops[0].norm()).all()  # yet next to what was added up


@pytest.mark.parametrize(("large", "small"), [(1e18, 1e-22), (1e10, 1e-21), (1.0, 1e-40), (1.0, 1.0)])
@pytest.mark.parametrize("width", [3, 64, 65, 1024])
def test_a_linear_layers_norm_is_never_too_small(large, small, width):
    stream = torch.Generator().manual_seed(0)
    activations = large * torch.randn(2, 30, width, generator=stream)
    backprops = small * torch.randn(2, 30, width, generator=stream)
    exact = backprops.double().square().sum(2) * (activations.double().square().sum(2) + 1)
    ours = Linear("l").squared_norms(activations, backprops)
    assert (ours >= exact).all()
    torch.testing.assert_close(ours.sqrt(), exact.sqrt(), rtol=1e-5, atol=1e-7 * large)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_linear_layers_contribution_never_exceeds_the_clip_norm(scale, offset):
    stream = torch.Generator().manual_seed(0)
    activations = scale * (offset + torch.randn(2, 30, 1, 128, generator=stream))
    backprops = torch.randn(2, 30, 1, 64, generator=stream) / scale
    squares = Linear("l").squared_norms(activations.squeeze(2), backprops.squeeze(2))
    for clip_norm in (1e-4, 1.0, 1e4):
        contribution = contributions(Record(None, activations, backprops), squares, clip_norm)
        assert (contribution <= clip_norm * (1 + 1e-6)).all()


def contributions(record: Record, squares: torch.Tensor, clip_norm: float) -> torch.Tensor:
    """Norms, in float64, of what each row adds to the sum: outer products of what the product is taken of."""
    factors = clip_factors(squares, torch.full((len(squares), 1), clip_norm, dtype=torch.float64))
    weighted = (record.backprops * factors.float()[..., None, None]).double()  # as add_clipped rounds
    gradients = torch.einsum("krti,krto->kroi", record.activations.double(), weighted)
    return (gradients.square().sum((2, 3)) + weighted.sum(2).square().sum(2)).sqrt()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("settings_of", [Hyperparameters(width=16, latent_size=4), PAPER], ids=["compact", "paper"])
def test_an_endless_participant_adds_nothing_and_spoils_nobody(settings_of, bad):
    stacked = Stacked.of(settings_of, 2, GRID)
    rows = random_rows(2, 5, 36, stacked.networks.discriminator.dropout_units, seed=1, drop=0.0)
    clip_norms = torch.ones(2, 1, dtype=torch.float64)

    def summed(chosen) -> dict[str, torch.Tensor]:
        records = stacked.records(chosen)
        return clipped_sum(stacked, records, clip_factors(squared_norms(records), clip_norms))

    rows.row_mask[0, 2] = False
    without = summed(rows)
    rows.row_mask[0, 2] = True
    rows.features[0, 2, :] = bad
    with_bad = summed(rows)
    for name, expected in without.items():
        moved = (with_bad[name] - expected).flatten(1).norm(dim=1)
        assert moved[0] <= 1 + 1e-5  # at most the clip norm, even where the network made something finite of it
        assert moved[1] <= 1e-5
    if bad != 3e38:
        torch.testing.assert_close(with_bad, without, rtol=0, atol=1e-5)


class LargestTensor(TorchDispatchMode):
    """Watches how large a tensor is ever made."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.numbers = max(self.numbers, leaf.untyped_storage().nbytes() // leaf.element_size())
        return result


def test_nothing_of_size_participants_times_parameters_is_allocated():
    stacked = Stacked.of(PAPER, 1, GRID)
    network = stacked.networks.discriminator
    rows = random_rows(1, 64, 36, network.dropout_units, seed=1)
    with LargestTensor() as largest:
        records = stacked.records(rows)
        clipped_sum(stacked, records, clip_factors(squared_norms(records), torch.ones(1, 1, dtype=torch.float64)))
    assert network.layout.size <= largest.numbers < 2 * network.layout.size  # per participant would be 64 times
