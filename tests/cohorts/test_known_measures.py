"""The shipped table of common measures is sound: every suggestion is a measure that a schema can have."""

from importlib.resources import files

import pytest
import yaml

from cohorts import Measure
from cohorts.drafting.headers import Column
from cohorts.drafting.known import by_alias, find, limits_for, plain

LISTED = yaml.safe_load((files("cohorts.drafting") / "measures.yaml").read_text(encoding="utf-8"))
KNOWN = {known.name: known for known in by_alias().values()}


def test_it_holds_some_sixty_measures_each_with_a_source():
    assert len(KNOWN) == len(LISTED) >= 60
    assert all(known.source and known.what for known in KNOWN.values())


def test_no_name_means_two_measures():
    names = [alias for each in LISTED for alias in {plain(a) for a in (each["name"], each["what"], *each["aliases"])}]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", KNOWN)
def test_every_suggestion_is_a_sound_measure(name):
    known = KNOWN[name]
    for limits in known.limits:
        given = {"kind": "continuous", "decimals": limits.decimals} if limits.decimals else {"kind": "integer"}
        given |= {"lower": limits.lower, "upper": limits.upper, "scale": known.scale, "table": "t", "column": "c"}
        measure = Measure.model_validate({"name": name, **given})
        assert measure.range > 0
    for categories in (known.categories, known.numeric_categories):
        if categories:
            given = {"name": name, "kind": known.kind, "categories": categories, "table": "t", "column": "c"}
            assert Measure.model_validate(given).count == len(categories)
    assert known.limits or known.kind in ("binary", "categorical", "ordinal")


@pytest.mark.parametrize(
    ("name", "other", "factor"),
    [
        ("creatinine", "umol/L", 88.4),
        ("glucose", "mmol/L", 0.0555),
        ("total cholesterol", "mmol/L", 0.02586),
        ("LDL", "mmol/L", 0.02586),
        ("HDL", "mmol/L", 0.02586),
        ("triglycerides", "mmol/L", 0.01129),
        ("haemoglobin", "g/L", 10),
        ("haemoglobin", "mmol/L", 0.6206),
        ("bilirubin", "umol/L", 17.1),
        ("uric acid", "umol/L", 59.48),
        ("calcium", "mmol/L", 0.2495),
        ("magnesium", "mmol/L", 0.4114),
        ("phosphate", "mmol/L", 0.3229),
        ("urea nitrogen", "mmol/L", 0.357),
        ("urea", "mg/dL", 6.006),
        ("weight", "lb", 2.2046),
        ("height", "in", 0.3937),
        ("albumin-creatinine ratio", "mg/mmol", 0.113),
        ("CRP", "mg/dL", 0.1),
    ],
)
def test_limits_in_other_units_are_the_same_limits(name, other, factor):
    usual = KNOWN[name].limits[0]
    limits = limits_for(KNOWN[name], Column(name, label=f"{name} ({other})"))
    assert limits.unit == other
    assert limits.lower == pytest.approx(usual.lower * factor, rel=0.1, abs=1)
    assert limits.upper == pytest.approx(usual.upper * factor, rel=0.01)


@pytest.mark.parametrize(
    "name", ["SBP", "SYSBP", "systolic", "Systolic BP", "sys_bp", "Systolic blood pressure (mmHg)"]
)
def test_names_are_known_in_any_spelling(name):
    known = find(Column(name))
    assert known is not None
    assert known.name == "SBP"


def test_a_change_from_baseline_is_no_blood_pressure():
    assert find(Column("CHG", label="Change from baseline in systolic blood pressure")) is None
