from dataclasses import replace

import numpy as np
import pytest

from analysis.figures import Panel, drawn_measures, figures, median_table, medians_by_arm
from cohorts import Schema
from tests.conftest import SMALL_SCHEMA, small_cohort

PNG = b"\x89PNG\r\n"


@pytest.fixture
def panels(schema):
    return [Panel(f"key{n}", f"title {n}", small_cohort(schema, 60, seed=n)) for n in range(4)]


def test_medians_are_those_of_each_arm_at_each_visit(cohort):
    pressure = cohort.schema.measures[0]
    medians = medians_by_arm(cohort, pressure)
    assert medians.shape == (2, 3)
    assert medians[1, 2] == np.median(cohort.values[cohort.labels == 1, 0, 2])


def test_every_measure_with_two_visits_is_drawn(panels, cohort):
    drawn = figures(panels, cohort, "note")
    assert list(drawn) == ["pressure", "dose"]
    assert all(picture.startswith(PNG) for picture in drawn.values())


def test_a_measure_of_one_visit_has_nothing_to_draw():
    single = SMALL_SCHEMA | {"visits": {"column": "visit", "codes": ["week 0"]}}
    assert drawn_measures(Schema.model_validate(single)) == ()


def test_a_dollar_sign_or_a_missing_arm_breaks_no_figure(panels, schema):
    measure = schema.measures[0].model_copy(update={"name": "cost $^{"})
    odd = schema.model_copy(update={"measures": (measure, schema.measures[1])})
    lonely = [
        replace(panel, synthetic=replace(panel.synthetic, schema=odd, labels=np.zeros(60, dtype=np.int64)))
        for panel in panels
    ]
    assert figures(lonely, None, "note")["cost $^{"].startswith(PNG)


def test_the_table_of_medians_names_real_participants_only_when_given(panels, cohort):
    assert set(median_table(panels, None)["participants"]) == {"key0", "key1", "key2", "key3"}
    table = median_table(panels, cohort)
    assert len(table) == 2 * 3 * 2 * 5
    assert "real" in set(table["participants"])
