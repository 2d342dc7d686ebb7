"""On a GPU the host hands out the work of a step without ever waiting for a result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from privacy.mechanisms.randomness import CryptographicStream
from tests.trainables.training import paid, settings_of
from trainables.gan.engine import PublicFigures, RandomStreams, TrainingData
from trainables.gan.packed import batch_stream, steps
from trainables.gan.packed.clipping import clip_factors
from trainables.gan.packed.networks import Shape
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed_engine import PackedEngine

# Its tensors have shapes and hold no numbers, so to look at one is an error; all else is as on a GPU.
NOWHERE = torch.device("meta")
PUBLIC = PublicFigures(50, (0.5, 0.5), features=36, grid=(3, 12))
SETTINGS = {"sampling_rate": 0.1, "latent_size": 20, "width": 16}


@pytest.fixture(autouse=True)
def drawn_before(monkeypatch):
    """Batches of many steps are drawn beforehand, on the host; inputs are drawn where the networks are."""

    def batches(participants: int, rate: float, steps: int, stream: None) -> tuple[np.ndarray, list[int]]:
        sizes = [3 + step % 4 for step in range(steps)]
        return np.zeros(sum(sizes), dtype=np.int64), sizes

    def inputs(count: int, latent_size: int, shares: tuple[float, float], stream: None) -> tuple[Tensor, Tensor]:
        arms = torch.zeros(count, dtype=torch.int64, device=NOWHERE)
        return torch.zeros(count, latent_size, device=NOWHERE), arms

    monkeypatch.setattr(batch_stream, "poisson_batches", batches)
    monkeypatch.setattr(batch_stream, "draw_inputs", inputs)


def take_steps(network: str) -> Pack:
    """Some steps of trials whose generator steps fall together and apart."""
    pack = None
    for discriminator_steps in (1, 2, 2, 5):
        config = {"network": network, "discriminator_steps": discriminator_steps, **SETTINGS}
        settings = settings_of(config)
        pack = pack or Pack(Shape.of(settings, PUBLIC), NOWHERE)
        state = tree_map_only(
            Tensor, lambda t: t.to(NOWHERE), PackedEngine(settings, PUBLIC, torch.device("cpu")).state_dict()
        )
        data = TrainingData(torch.zeros(60, 36, device=NOWHERE), torch.zeros(60, dtype=torch.int64, device=NOWHERE))
        streams = RandomStreams(None, CryptographicStream(), None, None)
        pack.join(settings, PUBLIC, TrialState.of(state), paid(config, data, 20, streams))
    pack.advance(20)
    return pack


@pytest.mark.parametrize("network", ["compact", "paper"])
def test_a_step_waits_for_nothing(network):
    assert take_steps(network).remaining == 0


def test_a_step_that_looked_at_a_number_would_be_noticed(monkeypatch):
    def looking(squares: Tensor, clip_norms: Tensor) -> Tensor:
        assert squares.max() >= 0
        return clip_factors(squares, clip_norms)

    monkeypatch.setattr(steps, "clip_factors", looking)
    with pytest.raises(RuntimeError):
        take_steps("compact")
