"""A trial of which nothing is to be predicted."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from cohorts import CohortError, Schema, load_participants, write_cohort
from tests.cohorts.little_trial import people_frame, schema_mapping, write_trial


def without_label() -> dict:
    schema = schema_mapping()
    del schema["label"]
    return schema


def test_everybody_is_of_one_class_and_comes_back_as_they_were(tmp_path):
    cohort, _ = load_participants(write_trial(tmp_path / "in", schema=without_label()))
    assert not cohort.labels.any() and [each.share for each in cohort.schema.label.classes] == [1]
    write_cohort(cohort, tmp_path / "out")
    again, _ = load_participants(str(tmp_path / "in" / "little.yaml"), tmp_path / "out")
    np.testing.assert_array_equal(again.values, cohort.values)
    assert "arm" not in (tmp_path / "out" / "people.csv").read_text()


def test_a_column_that_was_the_label_may_be_a_covariate(tmp_path):
    schema = without_label()
    schema["covariates"].append(
        {"name": "arm", "kind": "binary", "categories": ["C", "T"], "table": "people", "column": "arm"}
    )
    cohort, _ = load_participants(write_trial(tmp_path, schema=schema))
    np.testing.assert_array_equal(cohort.values[:, -1, 0] == 1, people_frame()["arm"] == "T")


def test_the_first_table_lists_who_is_enrolled(tmp_path):
    people = people_frame().iloc[:70]
    with pytest.raises(CohortError, match=r"a participant is not enrolled: .*people\.csv does not list them"):
        load_participants(write_trial(tmp_path, people, schema=without_label()))


def test_a_schema_without_label_written_as_yaml_is_read_as_the_same():
    schema = Schema.model_validate(without_label())
    text = yaml.safe_dump(schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True))
    assert Schema.model_validate(yaml.safe_load(text)) == schema
