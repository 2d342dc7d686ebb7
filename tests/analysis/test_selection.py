import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.train import Checkpoint

from analysis.epochs import ScoredEpoch
from analysis.selection import select
from privacy import DPSGD, epsilon
from privacy.statements.statement import Chosen
from trainables.gan.hyperparameters import Hyperparameters

DELTA = 1e-5


def scored(trial, epoch, forest, logistic, **hyperparameters):
    return ScoredEpoch(
        trial_id=trial,
        epoch=epoch,
        scores={"auc_random_forest": forest, "auc_logistic_regression": logistic},
        epsilon=1.0,
        checkpoint=Checkpoint(f"/nowhere/{trial}/{epoch}"),
        config=hyperparameters,
        training=Hyperparameters(**hyperparameters).training(epoch).event,
    )


def picked(selection, classifier):
    return [(p.epoch.trial_id, p.epoch.epoch) for p in selection.picks if p.selected_by == classifier]


aucs = st.floats(0, 1)


@given(st.lists(st.tuples(aucs, aucs), min_size=1, max_size=30))
def test_no_epoch_left_out_is_better_than_one_picked(scores):
    epochs = [scored(f"t{n % 4}", n + 1, forest, logistic) for n, (forest, logistic) in enumerate(scores)]
    selection = select(epochs)
    for classifier in ("random_forest", "logistic_regression"):
        chosen = picked(selection, classifier)
        assert len(chosen) == len(set(chosen)) == min(5, len(epochs))
        ranked = sorted((epoch.scores[f"auc_{classifier}"] for epoch in epochs), reverse=True)
        found = [p.epoch.scores[f"auc_{classifier}"] for p in selection.picks if p.selected_by == classifier]
        assert found == ranked[:5]


def test_an_epoch_that_is_best_by_both_is_picked_by_each():
    selection = select([scored("a", 1, 0.9, 0.9), scored("a", 2, 0.8, 0.7), scored("b", 1, 0.6, 0.8)], 2)
    assert picked(selection, "random_forest") == [("a", 1), ("a", 2)]
    assert picked(selection, "logistic_regression") == [("a", 1), ("b", 1)]


def test_ties_go_to_the_earlier_epoch():
    selection = select([scored("a", 4, 0.9, 0.9), scored("b", 2, 0.9, 0.9)], 1)
    assert picked(selection, "random_forest") == [("b", 2)]


def test_the_last_epoch_shown_is_that_of_the_best_chosen_trial():
    epochs = [scored("a", 1, 0.95, 0.5), scored("b", 1, 0.9, 0.9), scored("b", 7, 0.5, 0.5)]
    last = select(epochs, 1).last
    assert (last.trial_id, last.epoch) == ("b", 7)


def test_a_chosen_trial_is_charged_once_for_all_of_its_training():
    short = scored("a", 1, 0.9, 0.9, sampling_rate=0.01, noise_multiplier=1.0)
    late = scored("a", 5, 0.8, 0.8, sampling_rate=0.01, noise_multiplier=1.0)
    other = scored("b", 2, 0.7, 0.9, sampling_rate=0.02, noise_multiplier=2.0)
    unused = scored("c", 9, 0.1, 0.1)
    selection = select([short, late, other, unused], 2)
    assert selection.training == (DPSGD(0.01, 1.0, 500).event, DPSGD(0.02, 2.0, 100).event)
    chosen = Chosen(cohort="small", epochs=3, training=selection.training, nominal_size=400)
    mechanisms = [DPSGD(0.01, 1.0, 500), DPSGD(0.02, 2.0, 100)]
    assert chosen.epsilon(DELTA) == pytest.approx(epsilon(mechanisms, DELTA))
    assert chosen.winning_run_epsilon(DELTA) == pytest.approx(epsilon(mechanisms[:1], DELTA))


def test_training_without_noise_has_no_epsilon():
    selection = select([scored("a", 1, 0.9, 0.9, noise_multiplier=0.0)])
    assert math.isinf(Chosen(cohort="small", epochs=1, training=selection.training, nominal_size=400).epsilon(DELTA))
