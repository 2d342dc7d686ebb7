"""Every step that either engine takes is one of the mechanism that was paid for, and it takes no other.

The claims are about what reaches Adam, whichever way it came there; ``tests/planted_bugs.py`` names the mistakes that
they catch.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom, chi2, chisquare

from cohorts import Schema
from privacy.ledger.reading import Reading
from privacy.mechanisms.dpsgd import DPSGD
from privacy.mechanisms.gradient_noise import grid_step
from tests.conftest import SMALL_SCHEMA, small_cohort
from tests.trainables.training import ALMOST_NO_NOISE, CPU, Recorder, made_up, mechanism_of
from trainables.gan.engine import PaidTraining, RandomStreams
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed_engine import PackedEngine

ENGINES = [OpacusEngine, PackedEngine]
# About one participant and one generated one a step, whose clipped gradients are small beside the noise.
FAINT = {"sampling_rate": 0.01, "noise_multiplier": 2.0, "clip_norm": 0.5}
UNLIKELY = 1e-7


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("paid_for", [1, 31, 70])
def test_as_many_steps_are_taken_as_were_paid_for(kind, paid_for):
    done = Recorder(kind, FAINT).alone(made_up(60), paid_for)
    assert len(done.gradients) == paid_for
    assert done.state["steps"] == paid_for


@pytest.mark.parametrize("kind", ENGINES)
def test_every_number_of_every_gradient_is_hidden(kind):
    steps = 60
    done = Recorder(kind, FAINT).alone(made_up(60), steps)
    standardised = done.gradients.double() / mechanism_of(FAINT, 1).noise_sd(1)  # (steps, P)
    spread = standardised.var(dim=0) * (steps - 1)
    few, many = (chi2.ppf(level, steps - 1) for level in (UNLIKELY, 1 - UNLIKELY))
    assert (spread > few).all(), "a number that varies less than the noise does is not hidden by it"
    assert (spread < 2 * many).all()


@pytest.mark.parametrize("kind", ENGINES)
def test_no_step_uses_the_noise_of_another(kind):
    done = Recorder(kind, FAINT).alone(made_up(60), 40)
    alike = np.corrcoef(done.gradients.numpy())
    assert np.abs(alike - np.eye(40)).max() < 7 / np.sqrt(done.gradients.shape[1])


@pytest.mark.parametrize("kind", ENGINES)
def test_adam_remembers_the_noisy_gradients_and_nothing_else(kind):
    done = Recorder(kind, {**FAINT, "adam_beta1": 0.5}).alone(made_up(60), 12)
    scaled = done.gradients / (FAINT["sampling_rate"] * 100)  # as Adam was given them
    first = second = torch.zeros_like(scaled[0])
    for gradient in scaled:
        first, second = 0.5 * first + 0.5 * gradient, 0.999 * second + 0.001 * gradient**2
    if kind is PackedEngine:
        moments = done.state["discriminator"]
        remembered = [torch.cat([each.flatten() for each in moments[name].values()]) for name in ("first", "second")]
    else:
        moments = done.state["discriminator_optimizer"]["state"].values()
        remembered = [torch.cat([each[name].flatten() for each in moments]) for name in ("exp_avg", "exp_avg_sq")]
    torch.testing.assert_close(remembered[0], first, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(remembered[1], second, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ENGINES)
def test_batches_are_as_long_as_tossed_coins_make_them(kind):
    """None is cut, filled up or left out: sizes are binomial, the empty ones and the long ones included."""
    people, rate, steps = 40, 0.05, 300
    done = Recorder(kind, {**FAINT, "sampling_rate": rate}, nominal=people).alone(made_up(people), steps)
    sizes = np.bincount(done.participants, minlength=people + 1)
    assert sizes.sum() == steps
    expected = steps * binom.pmf(np.arange(7), people, rate)
    expected = np.append(expected[:6], steps - expected[:6].sum())
    assert chisquare(np.append(sizes[:6], sizes[6:].sum()), expected).pvalue > UNLIKELY
    assert max(done.participants) > 2 * people * rate


def test_trials_that_share_a_pack_hide_an_empty_batch_like_any_other():
    steps = 30
    gradients = Recorder(PackedEngine, FAINT).together([made_up(0), made_up(60), made_up(0)], steps)
    noise_sd = mechanism_of(FAINT, 1).noise_sd(1)
    assert gradients.shape[:2] == (steps, 3)
    for trial in range(3):
        spread = gradients[:, trial].std(dim=1) / noise_sd
        assert (spread > 0.8).all() and (spread < 1.3).all()
    across = np.corrcoef(gradients.flatten(1, 2).reshape(steps * 3, -1).numpy())
    assert np.abs(across - np.eye(steps * 3)).max() < 7 / np.sqrt(gradients.shape[2])


@pytest.mark.parametrize("kind", ENGINES)
def test_one_participant_moves_a_step_by_no_more_than_the_clip_norm(kind):
    config = {"sampling_rate": 1.0, "noise_multiplier": ALMOST_NO_NOISE, "clip_norm": 0.05}
    people = made_up(20)
    people.features[-1] *= 40
    fewer = type(people)(people.features[:-1], people.arms[:-1])
    with_all, without = (Recorder(kind, config).alone(each, 1).gradients[0] for each in (people, fewer))
    moved = (with_all - without).norm().item()
    assert 0.5 * config["clip_norm"] < moved <= config["clip_norm"] * (1 + 2.0**-10)


@pytest.mark.parametrize("kind", ENGINES)
def test_the_gradient_is_scaled_by_what_is_public(kind):
    """The same batch, whether the split holds it alone or not: the normaliser tells nothing of the batch's size."""
    config = {"sampling_rate": 1.0, "noise_multiplier": 50.0}  # the participants' part is small beside it
    spreads = [Recorder(kind, config).alone(made_up(count), 3).gradients.std().item() for count in (0, 10, 300)]
    assert max(spreads) < 1.1 * min(spreads)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_gradient_lies_on_the_grid(kind):
    done = Recorder(kind, FAINT).alone(made_up(60), 5)
    places = done.gradients.double() / grid_step(mechanism_of(FAINT, 1).noise_sd(1))  # the normaliser is 1
    assert torch.equal(places, places.round())


def readings(mechanism: DPSGD) -> list[PaidTraining]:
    """Two segments of one private trial, as engines get them."""
    people = small_cohort(Schema.model_validate({**SMALL_SCHEMA, "name": "segments", "public": False}), 60)
    return [PaidTraining.of(Reading(people, mechanism, None), None, CPU) for _ in range(2)]


def test_no_two_segments_and_no_two_purposes_share_random_numbers():
    segments = readings(DPSGD(0.1, 1.0, 5))
    drawn = [
        stream.words(64).tobytes() for each in segments for stream in (each.streams.participants, each.streams.noise)
    ]
    others = [
        torch.rand(64, generator=stream).numpy().tobytes()
        for each in segments
        for stream in (each.streams.inputs, each.streams.dropout)
    ]
    assert len(set(drawn + others)) == 8


@pytest.mark.parametrize("kind", ENGINES)
def test_what_was_paid_for_is_what_is_trained(kind):
    """The engine is told of the mechanism by what was paid, and by nothing else."""
    data = made_up(200)
    for mechanism in (DPSGD(0.05, 3.0, 40, 0.2), DPSGD(0.3, 0.7, 25, 2.0)):
        recorder = Recorder(kind, {}, nominal=200)
        config = {
            "sampling_rate": mechanism.sampling_rate,
            "noise_multiplier": mechanism.noise_multiplier,
            "clip_norm": mechanism.clip_norm,
        }
        recorder.config |= config
        done = recorder.alone(data, mechanism.steps, RandomStreams.numbered(5))
        expected = 200 * mechanism.sampling_rate
        assert len(done.gradients) == mechanism.steps
        assert abs(np.mean(done.participants) - expected) < 6 * np.sqrt(expected / mechanism.steps)
        spread = (done.gradients[1:] - done.gradients[:-1]).std().item() / np.sqrt(2)
        assert spread == pytest.approx(mechanism.noise_sd(1), rel=0.2)
