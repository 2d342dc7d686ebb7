from __future__ import annotations

import math
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from tuner.asha import SavedRungs, StudyASHA, rungs
from tuner.errors import StudyError

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE


def trial(name: str) -> Any:
    return SimpleNamespace(trial_id=name)


def scheduler(max_epochs: int = 27, *names: str) -> StudyASHA:
    asha = StudyASHA(max_epochs)
    for name in names:
        asha.on_trial_add(None, trial(name))
    return asha


def decide(asha: StudyASHA, name: str, epoch: int, score: float) -> str:
    return asha.on_trial_result(None, trial(name), {"epoch": epoch, "score": score})


@pytest.mark.parametrize(
    ("max_epochs", "epochs"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 3)), (9, (1, 3, 9)), (27, (1, 3, 9, 27)), (40, (1, 3, 9, 27, 40))],
)
def test_epochs_worth_scoring_are_thirds_of_thirds_and_the_last(max_epochs, epochs):
    assert rungs(max_epochs) == epochs


@given(st.integers(1, 2000), st.integers(2, 5))
def test_every_rung_is_scored(max_epochs, reduction_factor):
    epochs = rungs(max_epochs, reduction_factor)
    assert set(StudyASHA(max_epochs, reduction_factor).rungs) <= set(epochs)
    assert epochs[-1] == max_epochs
    assert list(epochs) == sorted(set(epochs))


def test_the_best_third_goes_on():
    asha = scheduler(27, *"abcdef")
    scores = {"a": 0.6, "b": 0.7, "c": 0.5, "d": 0.62, "e": 0.9, "f": 0.55}
    assert [decide(asha, name, 1, score) for name, score in scores.items()] == [
        CONTINUE, CONTINUE, STOP, STOP, CONTINUE, STOP,
    ]  # fmt: skip


def test_a_trial_ends_at_the_longest_training():
    assert decide(scheduler(9, "a"), "a", 9, 0.9) == STOP


def test_a_score_that_is_no_number_stops_its_trial_and_leaves_the_rung_alone():
    asha = scheduler(27, "a", "b", "c")
    decide(asha, "a", 1, 0.6)
    assert decide(asha, "b", 1, math.nan) == STOP
    asha.on_trial_complete(None, trial("b"), {"epoch": 1, "score": math.nan})
    assert asha.state()["rungs"][1] == {"a": 0.6}
    assert decide(asha, "c", 1, 0.7) == CONTINUE


def test_a_report_redone_is_decided_as_it_was_whatever_its_score_now():
    asha = scheduler(27, "a", "b")
    decide(asha, "a", 1, 0.6)
    assert decide(asha, "b", 1, 0.5) == STOP
    assert decide(asha, "b", 1, 0.99) == STOP
    assert decide(asha, "a", 1, 0.1) == CONTINUE


REPORTS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([1, 3, 9]), st.floats(0, 1)), max_size=40)


@given(REPORTS, st.integers(0, 40))
def test_saved_and_restored_rungs_decide_as_those_that_were_never_interrupted(reports, cut):
    straight = scheduler(27, *"abcdefgh")
    decisions = [decide(straight, *report) for report in reports]

    before = scheduler(27, *"abcdefgh")
    early = [decide(before, *report) for report in reports[:cut]]
    state = pickle.loads(pickle.dumps(SavedRungs(before, resume=False).get_state()))
    after = scheduler(27)
    SavedRungs(after, resume=True).set_state(state)
    for name in "abcdefgh":
        after.on_trial_add(None, trial(name))
    assert early + [decide(after, *report) for report in reports[cut:]] == decisions


def test_a_study_that_should_go_on_does_not_begin_anew_when_nothing_was_restored():
    with pytest.raises(StudyError, match="could not restore"):
        SavedRungs(scheduler(), resume=True).setup()


def test_a_new_study_needs_nothing_restored():
    SavedRungs(scheduler(), resume=False).setup()
