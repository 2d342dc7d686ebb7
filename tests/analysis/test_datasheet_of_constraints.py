"""The datasheet says what is true of every synthetic participant."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from analysis.datasheet import datasheet
from analysis.quality.gate import not_judged
from cohorts import Schema
from tests.conftest import SMALL_SCHEMA

FILES = [Path("visits.csv"), Path("visits.parquet")]


def test_every_constraint_is_in_the_datasheet():
    said: Any = SimpleNamespace(study="s", cohort="small", method="", score="", picking="")
    schema = Schema.model_validate(SMALL_SCHEMA)
    bound = schema.model_copy(update={"constraints": ("dose rises", "pressure[week 8] <= 140")})
    text = datasheet(said, "synthetic", bound, said, not_judged(""), FILES)
    assert "True of every synthetic participant" in text and "`dose rises`, `pressure[week 8] <= 140`." in text
    assert "True of every" not in datasheet(said, "synthetic", schema, said, not_judged(""), FILES)
