"""The datasheet says what is true of every synthetic participant, and how many of them there are of each class."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from analysis.datasheet import datasheet
from analysis.quality.gate import not_judged
from analysis.release import _shares_drawn
from cohorts import Schema
from tests.conftest import SMALL_SCHEMA, small_cohort

FILES = [Path("visits.csv"), Path("visits.parquet")]


def test_every_constraint_is_in_the_datasheet():
    said: Any = SimpleNamespace(study="s", cohort="small", method="", score="", picking="")
    schema = Schema.model_validate(SMALL_SCHEMA)
    bound = schema.model_copy(update={"constraints": ("dose rises", "pressure[week 8] <= 140")})
    text = datasheet(said, "synthetic", bound, said, not_judged(""), FILES)
    assert "True of every synthetic participant" in text and "`dose rises`, `pressure[week 8] <= 140`." in text
    assert "True of every" not in datasheet(said, "synthetic", schema, said, not_judged(""), FILES)


def test_whose_shares_the_classes_have_is_said_of_arms_and_of_outcomes():
    """A GAN tosses a coin for each participant, so its arms may be 48 and 52 % where the schema says one half."""
    arms = Schema.model_validate(SMALL_SCHEMA)
    people = small_cohort(arms, 401)
    assert _shares_drawn(people) is None
    assert "50% control and 50% treated (arm); these are the shares of the trial's randomisation" in text_of(arms)
    outcome = Schema.model_validate({**SMALL_SCHEMA, "label": {**SMALL_SCHEMA["label"], "randomised": False}})
    shares = _shares_drawn(replace(people, schema=outcome))
    assert shares == [(people.labels == label).mean() for label in (0, 1)]
    assert "these are the shares of a published report" in text_of(outcome)  # where nothing was measured
    said = text_of(outcome, copies=10, shares=[0.87, 0.13])
    assert "Participants are 87% control and 13% treated (arm)." in said
    assert (
        "other generators draw as many as were expected, 50% control and 50% treated. How many there are in a" in said
    )
    assert "in a copy" not in text_of(outcome, shares=[0.87, 0.13])


def text_of(schema: Schema, **more: Any) -> str:
    said: Any = SimpleNamespace(study="s", cohort="small", method="", score="", picking="")
    return " ".join(datasheet(said, "synthetic", schema, said, not_judged(""), FILES, **more).split())
