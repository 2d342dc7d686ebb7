import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from cohorts import Encoding, Participants, Schema
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.scoring import classifiers, likenesses, steering
from trainables.scoring.correlations import rank_correlation_of_correlations
from trainables.scoring.judging import Fitted, SyntheticJudge, evaluate
from trainables.scoring.marginals import mean_ks_distance


@pytest.mark.parametrize("classifier", classifiers())
def test_participants_like_the_real_ones_teach_a_classifier_to_predict_them(classifier, schema):
    score = evaluate(classifier, small_cohort(schema, 300, 1), small_cohort(schema, 300, 2), seed=0)
    assert score.auc > 0.9
    assert score.accuracy > 0.8


@pytest.mark.parametrize("classifier", classifiers())
def test_participants_with_shuffled_arms_teach_nothing(classifier, schema):
    honest = small_cohort(schema, 600, 1)
    shuffled = Participants(schema, honest.ids, np.random.default_rng(0).permutation(honest.labels), honest.values)
    score = evaluate(classifier, shuffled, small_cohort(schema, 600, 2), seed=0)
    assert abs(score.auc - 0.5) < 0.15


def test_a_cohort_is_like_itself_and_less_like_one_without_correlations(cohort):
    assert rank_correlation_of_correlations(cohort, cohort) == pytest.approx(1)
    assert mean_ks_distance(cohort, cohort) == 0
    rng = np.random.default_rng(0)
    uniform = rng.uniform([[80], [0]], [[200], [10]], (len(cohort), 2, 3)).astype(np.float32)
    noise = Participants(cohort.schema, cohort.ids, cohort.labels, uniform)
    assert rank_correlation_of_correlations(noise, cohort) < 0.9
    assert mean_ks_distance(noise, cohort) > 0.2


@pytest.mark.parametrize("sizes", [(2, 3), (40, 7), (30, 300)])
def test_the_distance_of_marginals_is_that_of_kolmogorov_and_smirnov(schema, sizes):
    first, second = (small_cohort(schema, size, seed) for seed, size in enumerate(sizes))
    first.values[:, :, 1] = np.round(first.values[:, :, 1], -1)  # ties
    ours, theirs = (Encoding(schema).encode(each.values) for each in (first, second))
    expected = [ks_2samp(a, b, method="asymp").statistic for a, b in zip(ours.T, theirs.T, strict=True)]
    assert mean_ks_distance(first, second) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("classifier", classifiers())
def test_accuracy_is_that_of_the_classifiers_own_predictions(classifier, schema):
    train, test = small_cohort(schema, 60, 1), small_cohort(schema, 200, 2)
    encode = Encoding(schema).encode
    model = classifiers()[classifier].new(0).fit(encode(train.values), train.labels)
    assert evaluate(classifier, train, test, 0).accuracy == model.score(encode(test.values), test.labels)


def test_synthetic_participants_of_one_arm_predict_that_arm(cohort):
    only = cohort.take(np.flatnonzero(cohort.labels == 1))
    score = evaluate("random_forest", only, cohort, seed=0)
    assert (score.auc, score.accuracy) == (0.5, cohort.labels.mean())


def test_a_measure_that_never_varies_spoils_nothing(cohort):
    values = cohort.values.copy()
    values[:, 1] = 5
    constant = Participants(cohort.schema, cohort.ids, cohort.labels, values)
    assert np.isfinite(rank_correlation_of_correlations(constant, cohort))


def test_of_a_single_measure_nothing_hangs_together():
    one = {"name": "one", "measures": SMALL_SCHEMA["measures"][:1], "visits": {"column": "visit", "codes": ["week 0"]}}
    schema, cohort = (
        Schema.model_validate({**SMALL_SCHEMA, **one}),
        small_cohort(Schema.model_validate(SMALL_SCHEMA), 60),
    )
    alone = Participants(schema, cohort.ids, cohort.labels, cohort.values[:, :1, :1])
    assert rank_correlation_of_correlations(alone, alone) == 0


@pytest.mark.parametrize("classifier", steering())
def test_who_else_is_ranked_does_not_show_in_a_participants_rank(classifier, schema):
    fitted = Fitted(steering()[classifier].steering(0), small_cohort(schema, 300, 1))
    people = small_cohort(schema, 257, 2)
    together = fitted.ranking(people)
    for others in (slice(0, 1), slice(0, 2), slice(5, 38), slice(1, 257)):
        assert (fitted.ranking(people.take(np.arange(257)[others])) == together[others]).all()


def test_a_judge_without_noise_gives_the_auc_everyone_knows(schema):
    synthetic, real = small_cohort(schema, 300, 1), small_cohort(schema, 200, 2)
    judge = SyntheticJudge(synthetic, dict.fromkeys(steering(), 0))
    exact = judge.exact(real)
    for name, ranking in zip(judge.classifiers, judge.rankings(real), strict=True):
        assert exact[f"auc_{name}"] == pytest.approx(roc_auc_score(real.labels, ranking))


def test_a_split_without_one_arm_scores_nothing_and_breaks_nothing(schema):
    people = small_cohort(schema, 200, 2)
    judge = SyntheticJudge(small_cohort(schema, 300, 1), dict.fromkeys(steering(), 0))
    one_arm = judge.exact(people.take(people.labels == 1))
    assert one_arm["auc_random_forest"] == 0


def test_every_score_says_which_way_is_better_and_what_it_costs():
    from privacy.mechanisms.auc import ScoreFloors

    floors = ScoreFloors.two(30, 40)
    for each in classifiers().values():
        assert (each.score.direction, each.score.bounds) == ("maximize", (0, 1))
        assert each.score.sensitivity(floors) == floors.sensitivity
    for each in likenesses().values():
        assert each.score.sensitivity == "free"
