import json
from dataclasses import replace

import pytest

from analysis import transfer
from analysis.selection import Selected
from analysis.transfer import count_of_models, measure_transfer
from tests.analysis.test_selection import scored
from tests.conftest import small_cohort
from trainables.scoring import classifiers
from trainables.scoring.judging import evaluate


@pytest.fixture
def cohorts(schema):
    """Real train and test, a release that is real enough, and an epoch that takes one arm for the other."""
    wrong = small_cohort(schema, 200, seed=4)
    wrong = replace(wrong, labels=1 - wrong.labels)
    return *(small_cohort(schema, 200, seed=seed) for seed in (1, 2, 3)), wrong


def measured(cohorts):
    train, test, release, wrong = cohorts
    singles = [
        (Selected(scored("a", 3, 0.5, 0.5), "random_forest"), wrong),
        (Selected(scored("a", 3, 0.5, 0.5), "logistic_regression"), wrong),
    ]
    steps = []
    result = measure_transfer(train, test, release, singles, 0, lambda: steps.append(1))
    assert len(steps) == count_of_models(singles) == 3 * len(classifiers())
    return result


def test_the_table_tells_good_participants_from_bad_ones(cohorts):
    result = measured(cohorts)
    assert set(result.release) == set(classifiers())
    for classifier in classifiers():
        assert result.release[classifier].auc > 0.9
        assert result.epochs[0].scores[classifier].auc < 0.1


def test_real_to_real_trains_on_train_and_tests_on_test(cohorts):
    train, test, *_ = cohorts
    assert measured(cohorts).real["random_forest"] == evaluate("random_forest", train, test, 0)


def test_the_reverse_trains_on_real_train_and_tests_on_the_release(cohorts):
    train, _, release, _ = cohorts
    assert measured(cohorts).real_on_release["random_forest"] == evaluate("random_forest", train, release, 0)


def test_the_json_has_the_agreed_form(cohorts):
    content = json.loads(json.dumps(measured(cohorts).as_json(), allow_nan=False))
    assert content.keys() == {"real", "release", "epochs", "real_on_release", "test_participants"}
    assert sum(content["test_participants"]) == 200
    assert content["real"]["linear_svm"].keys() == {"auc", "accuracy"}
    assert [(e["trial"], e["epoch"], e["selected_by"]) for e in content["epochs"]] == [
        ("a", 3, "random_forest"),
        ("a", 3, "logistic_regression"),
    ]
    assert content["epochs"][0]["random_forest"] == content["epochs"][1]["random_forest"]


def test_the_frame_has_a_row_for_each_score(cohorts):
    frame = measured(cohorts).as_frame()
    assert len(frame) == 4 * len(classifiers())
    assert set(frame["trained_on"]) == {"real", "release", "epoch"}


def test_test_participants_of_one_arm_give_unknown_scores_not_an_error(cohorts):
    train, test, release, wrong = cohorts
    result = measured((train, test.take(test.labels == 1), release, wrong))
    assert result.as_json()["real"]["random_forest"] == {"auc": None, "accuracy": None}
    assert transfer._cell(result.real["random_forest"]) == "unknown"
