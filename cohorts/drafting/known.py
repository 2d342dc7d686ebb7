"""Common measures of clinical trials with public limits, and names that tell what a column is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from cohorts.drafting.headers import Column

PARTICIPANT = """usubjid subjid subject subjectid subjectno subjectnumber participant participantid patient patientid
    patientno patno patid patnum pid pidnum ptid ptno recordid maskid personid id"""
VISIT_CODE = "avisit visit visitcode visitname redcapeventname timepoint avisitn visitnum visitno visitid period"
VISIT_TIME = "ady studyday day visitday week month vsdy lbdy obstime"
ARM = """trt01p trt01a arm armcd actarm actarmcd trt01pn trt01an trtp trta trt treatment treat treatmentarm
    treatmentgroup studyarm randarm randgroup randomisation randomization allocation group drug"""
LEFT_OUT = "studyid siteid site siteno sitenum invid investigator domain seq country region epoch comment comments"
"""Names of columns by role, compared as `plain` writes them; the more specific first."""


@dataclass(frozen=True)
class Limits:
    """Public limits in one unit."""

    unit: str
    lower: float
    upper: float
    decimals: int | None


@dataclass(frozen=True)
class Known:
    """A measure that many trials have, from measures.yaml.

    Args:
        name: what it is usually called.
        what: what it is, in words.
        kind: as in a schema.
        limits: in the usual unit first; none where it has categories.
        categories: its categories, empty where the protocol must say them.
        numeric_categories: the same where the column holds numbers.
        scale: as in a schema: log of what is skewed in most trials.
        once: whether it is known once per participant.
        guess: whether categories differ between trials.
        source: where the limits come from.
    """

    name: str
    what: str
    kind: str
    limits: tuple[Limits, ...]
    categories: tuple[object, ...]
    numeric_categories: tuple[object, ...]
    scale: str
    once: bool
    guess: bool
    source: str


def plain(text: str) -> str:
    """A name without case, spaces and punctuation, and without a unit in brackets behind it.

    Example:
        >>> [plain(text) for text in ("SYS_BP", "Glucose (mmol/l)", "heart rate [bpm]")]
        ['sysbp', 'glucose', 'heartrate']
    """
    return "".join(letter for letter in without_unit(text).casefold() if letter.isalnum())


def without_unit(text: str) -> str:
    """A name without what stands in brackets behind it, unless that is all of it."""
    return re.sub(r"\s*[(\[][^()\[\]]*[)\]]\s*$", "", text) or text


def find(column: Column) -> Known | None:
    """The known measure that a column's name, or else its label, says it is."""
    known = by_alias()
    return known.get(plain(column.name)) or known.get(plain(column.label))


def limits_for(known: Known, column: Column) -> Limits:
    """The limits in the unit that name or label mention in brackets, or else in the usual one."""
    said = re.findall(r"[(\[]([^()\[\]]*)[)\]]", f"{column.name} {column.label}")
    units = {_plain_unit(unit) for unit in said}
    return next((each for each in known.limits if _plain_unit(each.unit) in units), known.limits[0])


@cache
def by_alias() -> dict[str, Known]:
    """Every known measure under each of its names, as `plain` writes them."""
    listed = yaml.safe_load((files("cohorts.drafting") / "measures.yaml").read_text(encoding="utf-8"))
    return {plain(alias): _known(each) for each in listed for alias in (each["name"], each["what"], *each["aliases"])}


def _known(given: dict[str, Any]) -> Known:
    limits = []
    if "lower" in given:
        limits = [Limits(given["unit"], given["lower"], given["upper"], given.get("decimals"))]
        limits += [Limits(unit, *numbers) for unit, numbers in given.get("other_units", {}).items()]
    categories = tuple(given.get("categories", ()))
    return Known(
        given["name"],
        given["what"],
        given["kind"],
        tuple(limits),
        categories,
        tuple(given.get("numeric_categories", categories)),
        given.get("scale", "linear"),
        given.get("once", False),
        given.get("guess", False),
        given["source"],
    )


def _plain_unit(unit: str) -> str:
    return re.sub(r"[\s^*]", "", unit).casefold().replace("µ", "u").replace("μ", "u")
