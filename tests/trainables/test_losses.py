"""The losses of both networks: what they are, that both engines agree, and who sees them."""

import math
from dataclasses import replace

import pytest
import torch

from tests.trainables.training import CPU, made_up, paid, settings_of
from trainables.gan.engine import PublicFigures, RandomStreams
from trainables.gan.losses import Losses
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed_engine import PackedEngine

PUBLIC = PublicFigures(100, (0.5, 0.5), 6, (2, 3))
CONFIG = {"noise_multiplier": 0.0, "discriminator_steps": 2, "width": 16, "latent_size": 4, "sampling_rate": 0.2}


def trained(kind, steps=20, watched=True, **config):
    torch.manual_seed(1)
    engine = kind(settings_of({**CONFIG, **config}), PUBLIC, CPU)
    given = paid({**CONFIG, **config}, made_up(100), steps, RandomStreams.numbered(4))
    engine.train(replace(given, watched=watched))
    return engine.losses


def test_both_engines_report_the_same_losses_of_the_same_steps():
    opacus, packed = trained(OpacusEngine), trained(PackedEngine)
    assert (opacus.discriminator_steps, opacus.generator_steps) == (20, 10)
    assert (packed.discriminator_steps, packed.generator_steps) == (20, 10)
    assert packed.means == pytest.approx(opacus.means, rel=1e-4)


@pytest.mark.parametrize("kind", [OpacusEngine, PackedEngine])
def test_networks_that_know_nothing_have_the_loss_of_guessing(kind):
    """ln 2 for real against generated, and ln 2 for two arms."""
    still = {"generator_learning_rate": 1e-12, "discriminator_learning_rate": 1e-12}
    assert trained(kind, **still).means == pytest.approx(
        dict.fromkeys(["discriminator", "generator"], 2 * math.log(2)), rel=0.05
    )


@pytest.mark.parametrize("kind", [OpacusEngine, PackedEngine])
def test_nothing_is_added_up_unless_it_is_watched(kind):
    assert trained(kind, watched=False) == Losses()


def test_a_trial_has_its_own_losses_whoever_shares_its_pack():
    torch.manual_seed(1)
    engine = PackedEngine(settings_of(CONFIG), PUBLIC, CPU)
    pack = engine.new_pack()
    tickets = []
    for number in (4, 5):
        given = paid(CONFIG, made_up(100), 20, RandomStreams.numbered(number))
        tickets.append(pack.join(settings_of(CONFIG), PUBLIC, engine.state, replace(given, watched=True)))
    pack.advance(20)
    together = [pack.leave(ticket).losses for ticket in tickets]
    assert together[0].means == pytest.approx(trained(PackedEngine).means, rel=1e-4)
    assert together[1].means != together[0].means
