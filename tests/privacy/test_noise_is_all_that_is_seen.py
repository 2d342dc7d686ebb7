"""What is measured once depends on participants through noisy numbers alone, and these on none by more than is charged.

The noisy numbers are held fast, as if the noise had made them so of other participants, too. Then all that is released
must be the same to the last bit, whoever the participants are; and what the noise was added to may move by no more,
with one participant added or removed, than the noise is said to hide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache

import dp_accounting
import numpy as np
import pytest

from cohorts import Participants, Schema
from privacy.mechanisms.gaussian import GaussianNoise, clamp_statistics
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.noisy_top import NoisyTop
from tests.cohorts.lossy_trial import MISSED_SCHEMA, with_missed_visits
from tests.cohorts.outcome_trials import SURVIVAL, survival_cohort, trial

PEOPLE, NOMINAL_SIZE = 300, 400


@dataclass
class Held:
    """Every mechanism that was run, what it was given, and what it gave.

    Args:
        given: what mechanisms are to give instead, in their order; drawn where there are none.
    """

    given: list[np.ndarray] = field(default_factory=list)
    mechanisms: list[GaussianNoise | NoisyTop] = field(default_factory=list)
    inputs: list[np.ndarray] = field(default_factory=list)

    def run(self, mechanism: GaussianNoise | NoisyTop, numbers: np.ndarray, noisy: np.ndarray) -> np.ndarray:
        place = len(self.inputs)
        self.mechanisms.append(mechanism)
        self.inputs.append(np.array(numbers))
        if place == len(self.given):
            self.given.append(noisy)
        assert self.given[place].shape == noisy.shape, "how many numbers there are depends on participants"
        return self.given[place].copy()

    def moved(self, other: Held) -> Iterator[float]:
        """How far each input is from another's, as a share of what the noise is said to hide."""
        for mechanism, one, two in zip(self.mechanisms, self.inputs, other.inputs, strict=True):
            if isinstance(mechanism, NoisyTop):
                yield float(np.abs(one - two).max())
            else:
                yield float(np.linalg.norm(one - two)) / mechanism.sensitivity


@contextmanager
def noise_held(given: list[np.ndarray] | None = None) -> Iterator[Held]:
    held, rng = Held(list(given or [])), np.random.default_rng(0)

    def add(self: GaussianNoise, values: np.ndarray) -> np.ndarray:
        numbers = clamp_statistics(values, self.size, self.lower, self.upper)
        return held.run(self, numbers, numbers + self.scale * rng.standard_normal(self.size))

    def choose(self: NoisyTop, numbers: np.ndarray) -> np.ndarray:
        noisy = numbers + self.scale * rng.gumbel(size=len(numbers))
        return held.run(self, numbers, np.argsort(-noisy)[: self.count])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GaussianNoise, "release", add)
        patch.setattr(NoisyTop, "release", choose)
        yield held


@cache
def people(kind: str) -> Participants:
    if kind == "survival":
        return survival_cohort(PEOPLE, Schema.model_validate({**trial(SURVIVAL), "nominal_size": NOMINAL_SIZE}))
    return with_missed_visits(PEOPLE, Schema.model_validate({**MISSED_SCHEMA, "nominal_size": NOMINAL_SIZE}))


@cache
def mechanism(kind: str) -> Measurements:
    found = Measurements.costing(people(kind).schema, 1.0, rho=2.0)
    assert found.tables is not None
    return replace(found, tables=replace(found.tables, draws=8))


def released(kind: str, who: np.ndarray, given: list[np.ndarray] | None = None) -> tuple[str, Held]:
    """All that is released of some of the participants, as text, and what mechanisms were given."""
    with noise_held(given) as held:
        found = mechanism(kind).release(people(kind).values[who], people(kind).labels[who])
    return json.dumps(found.content()), held


@pytest.fixture(scope="module", params=["survival", "missed visits"])
def kind(request) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def measured(kind) -> tuple[str, Held]:
    """What is released of everybody, and what mechanisms were given and gave."""
    return released(kind, np.arange(PEOPLE))


@pytest.mark.parametrize("others", ["half of them", "four times as many", "nobody of a class", "nobody"])
def test_whoever_the_participants_are_the_same_noisy_numbers_release_the_same(kind, measured, others):
    everybody = np.arange(PEOPLE)
    who = {
        "half of them": everybody[::2],
        "four times as many": np.tile(everybody, 4),
        "nobody of a class": everybody[people(kind).labels > 0],
        "nobody": everybody[:0],
    }[others]
    content, held = measured
    assert released(kind, who, held.given)[0] == content


def test_one_participant_moves_what_noise_is_added_to_by_no_more_than_it_hides(kind, measured):
    content, held = measured
    firsts = [int(np.flatnonzero(people(kind).labels == label)[0]) for label in np.unique(people(kind).labels)]
    for left_out in firsts:
        again, without = released(kind, np.delete(np.arange(PEOPLE), left_out), held.given)
        assert again == content
        assert max(held.moved(without)) <= 1 + 1e-9


def test_nobody_moves_it_by_more_where_hardly_anybody_takes_part(kind, measured):
    """Of four, of whom three are alike, the last has a large share in anything made of all of them, such as a rank."""
    first_class = np.flatnonzero(people(kind).labels == 0)
    row = people(kind).schema.outcome_row or 0
    ascending = first_class[np.argsort(people(kind).values[first_class, row, 0])]
    few = ascending[[0, 0, 0, np.isfinite(people(kind).values[ascending, row, 0]).sum() - 1]]
    all_four, without = (released(kind, who, measured[1].given)[1] for who in (few, few[:3]))
    assert max(all_four.moved(without)) <= 1 + 1e-9


def test_noise_together_costs_no_more_than_is_charged(kind, measured):
    own = math.fsum(each.event.rho for each in measured[1].mechanisms)
    assert own <= math.fsum(each.rho for each in flat(mechanism(kind).event)) * (1 + 1e-9)


def flat(event: dp_accounting.DpEvent) -> Iterator[dp_accounting.ZCDpEvent]:
    """The events that a composition is made of."""
    for each in getattr(event, "events", [event]):
        if each is event:
            yield each
        else:
            yield from flat(each)
