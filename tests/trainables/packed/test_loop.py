"""Trials that come and go while others train."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.trainables.packed.test_pack import COMPACT, CPU, STEPS, Trial, alone, assert_alike
from trainables.gan.packed.loop import PackLoop
from trainables.gan.packed.slots import TrialState


def train(loop: PackLoop, trial: Trial) -> TrialState:
    return loop.train(trial.settings, trial.state, trial.paid(STEPS))


def test_trials_that_come_at_any_time_are_trained_as_if_alone():
    networks = [COMPACT, {**COMPACT, "width": 24}]  # two shapes, so two packs that take turns
    trials = [(number, network) for number in range(4) for network in networks]
    loop = PackLoop(Trial(0, COMPACT).public, CPU)
    with ThreadPoolExecutor(len(trials)) as threads:
        waiting = [threads.submit(train, loop, Trial(number, network)) for number, network in trials]
        for (number, network), trained in zip(trials, waiting, strict=True):
            assert_alike(trained.result(timeout=500), alone(number, network))


def test_who_cannot_train_learns_why_and_the_next_ones_train_on():
    loop = PackLoop(Trial(0, COMPACT).public, CPU)
    misfit = Trial(0, COMPACT)
    misfit.data = replace(misfit.data, features=misfit.data.features[:, :-1])
    with pytest.raises(RuntimeError, match="size"):
        train(loop, misfit)
    assert_alike(train(loop, Trial(1, COMPACT)), alone(1, COMPACT))
