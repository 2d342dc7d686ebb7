"""Whether a machine tells synthetic participants from real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from analysis.detection import detection
from tests.conftest import small_cohort


def test_people_drawn_alike_cannot_be_told_apart_and_people_who_are_others_can(schema):
    people, alike = small_cohort(schema, 1000), small_cohort(schema, 1000, seed=1)
    assert abs(detection(alike, people) - 0.5) < 0.06
    others = replace(alike, values=alike.values + np.float32([[25], [0]]))
    assert detection(others, people) > 0.9


def test_too_few_of_one_kind_say_nothing(schema):
    assert np.isnan(detection(small_cohort(schema, 4), small_cohort(schema, 100)))


def test_it_takes_one_thread_however_many_cores_there_are(schema, monkeypatch):
    """On a busy machine its many short loops would each wait for the slowest of several threads."""
    threads, fit = [], HistGradientBoostingClassifier.fit

    def fitted(self, *data):
        threads.extend(each["num_threads"] for each in threadpool_info() if each["user_api"] == "openmp")
        return fit(self, *data)

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", fitted)
    with threadpool_limits(limits=2):
        detection(small_cohort(schema, 50), small_cohort(schema, 50, seed=1))
    assert threads and set(threads) == {1}
