"""The losses of both networks: what they are, that both engines agree, and who sees them."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import one_hot

from cohorts import Schema
from privacy.policies.unaccounted import Freely
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from tests.trainables.training import CPU, made_up, paid, settings_of
from trainables.gan.engine import PublicFigures, RandomStreams
from trainables.gan.losses import Losses
from trainables.gan.opacus_engine import OpacusEngine, ac_gan_losses
from trainables.gan.packed.rows import Rows
from trainables.gan.packed.steps import losses
from trainables.gan.packed_engine import PackedEngine

PUBLIC = PublicFigures(100, (0.5, 0.5), 6, (2, 3))
CONFIG = {"noise_multiplier": 0.0, "discriminator_steps": 2, "width": 16, "latent_size": 4, "sampling_rate": 0.2}


def trained(kind, steps=20, watched=True, **config):
    torch.manual_seed(1)
    engine = kind(settings_of({**CONFIG, **config}), PUBLIC, CPU)
    given = paid({**CONFIG, **config}, made_up(100), steps, RandomStreams.numbered(4))
    engine.train(replace(given, watched=watched))
    return engine.losses


def test_a_loss_of_the_packed_engine_is_that_of_the_reference():
    stream = torch.Generator().manual_seed(2)
    logits, targets = torch.randn(1, 8, 3, generator=stream), torch.rand(1, 8, generator=stream)
    arms = torch.randint(0, 2, (1, 8), generator=stream)
    rows = Rows(torch.zeros(1, 8, 6), one_hot(arms, 2).float(), targets, torch.arange(8).lt(6).unsqueeze(0), None)
    torch.testing.assert_close(losses(logits, rows)[0, :6], ac_gan_losses(logits[0], arms[0], targets[0])[:6])
    assert losses(logits, rows)[0, 6:].tolist() == [0, 0], "rows that only fill up"


def test_both_engines_count_the_same_steps_and_find_about_the_same_losses():
    """They draw their inputs in another order, so that no two steps are the same."""
    opacus, packed = trained(OpacusEngine), trained(PackedEngine)
    assert (opacus.discriminator_steps, opacus.generator_steps) == (20, 10)
    assert (packed.discriminator_steps, packed.generator_steps) == (20, 10)
    assert packed.means == pytest.approx(opacus.means, rel=0.02)


@pytest.mark.parametrize("kind", [OpacusEngine, PackedEngine])
def test_networks_that_know_nothing_have_the_loss_of_guessing(kind):
    """ln 2 for real against generated, and ln 2 for two arms."""
    still = {"generator_learning_rate": 1e-12, "discriminator_learning_rate": 1e-12}
    assert trained(kind, **still).means == pytest.approx(
        dict.fromkeys(["discriminator", "generator"], 2 * math.log(2)), rel=0.1
    )


@pytest.mark.parametrize("kind", [OpacusEngine, PackedEngine])
def test_nothing_is_added_up_unless_it_is_watched(kind):
    assert trained(kind, watched=False) == Losses()


@pytest.mark.parametrize("public", [True, False])
def test_losses_leave_a_trial_of_a_public_cohort_alone(public):
    """Under the policy that charges nothing for a search, too: they would be in Optuna's storage and in logs."""
    cohort = sealed(small_cohort(Schema.model_validate({**SMALL_SCHEMA, "public": public}), 60))
    assert Freely("study", None, cohort, cohort).shows_losses is public


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
