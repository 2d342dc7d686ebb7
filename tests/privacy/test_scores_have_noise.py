"""What a declared budget's policies let out of scores is noisy, as they were charged; whoever the trial is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cohorts import Cohort, Participants
from privacy.ledger.ledger import opened
from privacy.ledger.reading import Reading
from privacy.mechanisms.auc import NoisyScores, ScoreFloors
from privacy.policies.in_secret import InSecret
from privacy.policies.in_the_open import InTheOpen
from tests.privacy.ledgers import everybody

MECHANISM = NoisyScores(ScoreFloors.two(3, 3), classifiers=2, noise_sd=0.1)


class GenerousBooks:
    """Opens participants for whatever is asked for, as often as it is."""

    def read(self, cohort: Cohort, mechanism, purpose) -> Reading:
        return Reading(opened(cohort), mechanism, None)

    def read_run(self, cohort: Cohort, study: str, run: int, mechanism) -> Reading:
        return Reading(opened(cohort), mechanism, None)


@dataclass
class Indifferent:
    """A judge that knows nothing of anybody: every score is 0.5."""

    classifiers = ("one", "other")

    def rankings(self, participants: Participants) -> list[np.ndarray]:
        return [np.zeros(len(participants))] * 2

    def exact(self, participants: Participants) -> dict[str, float]:
        return {f"auc_{name}": 0.5 for name in self.classifiers}


@pytest.mark.parametrize("access", [InTheOpen, InSecret])
def test_scores_that_leave_a_policy_have_the_noise_that_was_charged(access):
    door = access("study", GenerousBooks(), everybody("train"), everybody("validation"), MECHANISM)
    metrics = [door.scores("0", 1, Indifferent())[0] for _ in range(400)]
    assert all(set(each) == {"auc_one", "auc_other"} for each in metrics), "and nothing else leaves it"
    drawn = np.array([list(each.values()) for each in metrics])
    assert drawn.std(axis=0) == pytest.approx(MECHANISM.noise_sd, rel=6 / np.sqrt(2 * 400))
    assert drawn.mean(axis=0) == pytest.approx(0.5, abs=6 * MECHANISM.noise_sd / np.sqrt(400))
