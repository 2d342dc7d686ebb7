"""Reports: one page each that needs nothing else, with n beside every figure, and nobody real where it is published."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.quality.estimates import estimates
from analysis.quality.gate import NOTHING_MEASURED, judge, not_judged
from analysis.reports.internal import BANNER, Opened, difference, internal_report, standard_error
from analysis.reports.pictures import Shown, _densities, means
from analysis.reports.public import Asked, public_report
from analysis.study import StudySettings
from analysis.transfer import Transfer
from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.histograms import Bins
from privacy.mechanisms.measurements import Measured, Measurements
from tests.cohorts.lossy_trial import LOSSY_SCHEMA, lossy_cohort
from tests.conftest import SMALL_SCHEMA, THREE_ARMS, small_cohort
from trainables.scoring import classifiers
from trainables.scoring.judging import Prediction

HOSTILE = "<script>alert('SBP')</script>"
SETTINGS = StudySettings(
    study="s", cohort="c", search_space="measured", policy="measured", epsilon=3, delta=1e-5, trials=2, max_epochs=2,
    engine="packed", created=datetime(2026, 1, 2, tzinfo=UTC),
)  # fmt: skip


class Page(HTMLParser):
    """What a browser would load or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [str(value) for name, value in attrs if name in ("src", "href", "action", "data")]


@pytest.fixture(scope="module")
def trial() -> Participants:
    return small_cohort(hostile_schema(), 300)


@pytest.fixture(scope="module")
def measured(trial: Participants) -> Measured:
    return Measurements.costing(trial.schema, 1.0, 0.224).release(trial.values, trial.labels)


def hostile_schema() -> Schema:
    """Names that would be markup if nobody escaped them."""
    measures = [{**SMALL_SCHEMA["measures"][0], "name": HOSTILE}, SMALL_SCHEMA["measures"][1]]
    classes = [{"name": "A & B", "value": 0, "share": 0.5}, {"name": "<i>C</i>", "value": 1, "share": 0.5}]
    return Schema.model_validate(
        {**SMALL_SCHEMA, "measures": measures, "label": {**SMALL_SCHEMA["label"], "classes": classes}}
    )


def asked_of(release: Participants, measured: Measured | None) -> Asked:
    statement: Any = SimpleNamespace(
        cohort=HOSTILE, first_line="Epsilon 3 covers it.", method="It measured.", score="A score.", picking="Picked.",
        epsilon=3.0, delta=1e-5,
    )  # fmt: skip
    if measured is None:
        return Asked(SETTINGS, statement, not_judged(NOTHING_MEASURED), Shown(release, None, ()), None, "0")
    shown = Shown(release, measured, estimates(measured, release.schema))
    return Asked(SETTINGS, statement, judge(measured, release), shown, None, "0")


def transfer(tested: tuple[int, ...]) -> Transfer:
    scores = {name: Prediction(0.7, 0.6) for name in classifiers()}
    return Transfer(real=scores, release=scores, epochs=(), real_on_release=scores, tested=tested)


@pytest.fixture(scope="module")
def pages(trial, measured) -> dict[str, str]:
    asked = asked_of(trial, measured)
    opened = Opened(trial.take(np.arange(200)), transfer((20, 9)))
    return {"public": public_report(asked).as_html(), "internal": internal_report(asked, opened).as_html()}


@pytest.mark.parametrize("which", ["public", "internal"])
def test_names_are_escaped(pages, which):
    assert HOSTILE not in pages[which] and "&lt;script&gt;" in pages[which]
    assert "<i>C</i>" not in pages[which] and "A &amp; B" in pages[which]
    assert "script" not in Page(pages[which]).tags


@pytest.mark.parametrize("which", ["public", "internal"])
def test_a_page_needs_no_other_file_and_no_network(pages, which):
    sources = Page(pages[which]).sources
    assert any(each.startswith("data:image/png;base64,") for each in sources)
    assert all(each.startswith(("data:", "#")) for each in sources)
    assert "url(" not in pages[which] and "@import" not in pages[which]


def test_every_picture_says_what_to_look_for_and_of_how_many(trial, measured):
    report = public_report(asked_of(trial, measured))
    pictures = [block for section in report.sections for block in section.blocks if block.picture]
    assert len(pictures) >= 3
    assert all(block.look_for for block in pictures)
    assert sum("300 synthetic participants" in block.title for block in pictures) >= 2


def test_the_numbers_are_there_as_json_too(trial, measured):
    report = json.loads(json.dumps(public_report(asked_of(trial, measured)).as_json(), allow_nan=False))
    by_title = {each["title"]: each for each in report["sections"]}
    (table,) = by_title["What was paid for"]["blocks"]
    assert {"estimate", "lower", "upper", "noise_sd"} <= table["rows"][0].keys()
    (picture,) = by_title["How measures move"]["blocks"]
    drawn = picture["data"][0]["release"]["A & B"]
    assert drawn == pytest.approx(means(trial, 0, 0).tolist(), abs=1e-3)


def test_the_internal_page_says_on_every_sheet_what_it_is(pages):
    assert BANNER in pages["internal"] and BANNER not in pages["public"]
    assert re.search(r"<thead><tr><td><div class=.banner.>", pages["internal"])  # of a table as long as the page
    assert "thead { display: table-header-group; }" in pages["internal"]  # which browsers print on every sheet


def test_an_auc_on_few_participants_says_so_and_has_its_interval(trial, measured):
    asked, few, many = asked_of(trial, measured), transfer((20, 9)), transfer((400, 400))
    texts = [internal_report(asked, Opened(trial, each)).as_html() for each in (few, many)]
    assert "Only 29 participants are tested" in texts[0] and "say next to nothing" in texts[0]
    assert "are tested" not in texts[1]
    assert "n = 29" in texts[0] and "0.700 (0." in texts[0]


def test_standard_errors_of_aucs_are_those_of_hanley_and_mcneil():
    assert standard_error(0.893, (51, 58)) == pytest.approx(0.032, abs=0.001)  # the paper's own example


def test_figures_by_copies_are_not_said_to_be_as_they_were_measured(trial, measured):
    asked = asked_of(trial, measured)
    lines = [
        replace(each, combined_estimate=each.estimate, combined_lower=each.lower, combined_upper=each.upper)
        for each in asked.shown.estimates
    ]
    by_copies = public_report(replace(asked, shown=replace(asked.shown, estimates=lines))).as_html()
    alone = public_report(asked).as_html()
    assert "where the two disagree, trust the histogram" in by_copies and "trust the histogram" not in alone
    for page in (by_copies, alone):
        assert "an estimate of the trial" in page and "own figure, as it was measured" not in page
        assert "Noisy estimates of how many participants were measured, about 90% of the trial" in page


def test_what_is_measured_on_a_logarithmic_scale_is_drawn_on_one():
    measures = [{**SMALL_SCHEMA["measures"][0], "lower": lower, "upper": 2000, "scale": "log"} for lower in (0, 1)]
    named = []
    for measure in measures:
        schema = Schema.model_validate({**SMALL_SCHEMA, "measures": [measure]})
        cell = Encoding(schema).cells[-1]
        bins, axes = Bins.of(cell), Figure().subplots()
        _densities(axes, cell, bins, [np.full(bins.width, 1 / bins.width)], [], None)
        texts = [each.get_text() for each in axes.get_xticklabels()]
        named.append(dict(zip(texts, axes.get_xticks(), strict=True)))
    assert list(named[0]) == ["0", "10", "100", "1000"] and list(named[1]) == ["1", "10", "100", "1000"]
    assert named[1]["100"] - named[1]["10"] == pytest.approx(named[1]["1000"] - named[1]["100"], abs=0.02)


def test_without_measurements_the_page_says_that_nothing_was_judged(trial):
    page = public_report(asked_of(trial, None)).as_html()
    assert "not judged" in page and "What was paid for" not in page


def test_what_is_published_is_made_without_real_participants(trial, measured):
    """The published page has no part of the internal one that shows them."""
    page = public_report(asked_of(trial, measured)).as_html()
    assert "real ones" not in page and "Real and synthetic" not in page


def test_values_that_are_missing_three_arms_and_categories_have_their_place():
    schema = Schema.model_validate({**LOSSY_SCHEMA, "nominal_size": 300, "label": THREE_ARMS})
    people = lossy_cohort(300, schema)
    bought = Measurements.costing(schema, 1.0, 5.0).release(people.values, people.labels)
    asked = asked_of(people, bought)
    page = internal_report(asked, Opened(people, transfer((10, 10, 10)))).as_html()
    for phrase in ("half the dose less control", "share of II", "missing", "last visit attended"):
        assert phrase in page


def test_a_difference_is_that_of_means_of_those_who_have_a_value(trial):
    values = trial.values.copy()
    values[0, 0, 2] = np.nan
    schema = trial.schema.model_copy(
        update={"measures": tuple(each.model_copy(update={"missing": "allowed"}) for each in trial.schema.measures)}
    )
    people = replace(trial, schema=schema, values=values)
    found = difference(people, 0, 2, 1, None)
    groups = [values[trial.labels == label, 0, 2] for label in (1, 0)]
    assert found.value == pytest.approx(float(np.nanmean(groups[0]) - np.nanmean(groups[1])), rel=1e-6)
    assert sum(found.sizes) == 299
