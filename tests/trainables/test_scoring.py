import numpy as np
import pytest

from cohorts import Cohort
from tests.conftest import small_cohort
from trainables.fidelity import fidelity
from trainables.scoring import CLASSIFIERS, evaluate


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_participants_like_the_real_ones_teach_a_classifier_to_predict_them(classifier, schema):
    score = evaluate(classifier, small_cohort(schema, 300, 1), small_cohort(schema, 300, 2), seed=0)
    assert score.auc > 0.9
    assert score.accuracy > 0.8


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_participants_with_shuffled_arms_teach_nothing(classifier, schema):
    honest = small_cohort(schema, 600, 1)
    shuffled = Cohort(schema, honest.ids, np.random.default_rng(0).permutation(honest.labels), honest.values)
    score = evaluate(classifier, shuffled, small_cohort(schema, 600, 2), seed=0)
    assert abs(score.auc - 0.5) < 0.15


def test_a_cohort_is_like_itself_and_less_like_one_without_correlations(cohort):
    itself = fidelity(cohort, cohort)
    assert itself.spearman == pytest.approx(1)
    assert itself.ks == 0
    rng = np.random.default_rng(0)
    uniform = rng.uniform([[80], [0]], [[200], [10]], (len(cohort), 2, 3)).astype(np.float32)
    noise = fidelity(Cohort(cohort.schema, cohort.ids, cohort.labels, uniform), cohort)
    assert noise.spearman < 0.9
    assert noise.ks > 0.2


def test_a_measure_that_never_varies_spoils_nothing(cohort):
    values = cohort.values.copy()
    values[:, 1] = 5
    constant = Cohort(cohort.schema, cohort.ids, cohort.labels, values)
    assert np.isfinite(fidelity(constant, cohort).spearman)
