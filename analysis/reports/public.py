"""The report that may be published: figures that were paid for, and synthetic participants, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.dataset.sums import SUMS_FILE
from analysis.datasheet import attendance_sentence
from analysis.quality.comparisons import between
from analysis.quality.estimates import Estimate, is_complement
from analysis.quality.gate import NAMES, Quality, in_units, least_of
from analysis.reports.blocks import Report, Section, Table
from analysis.reports.numbers import interval
from analysis.reports.pictures import Shown, correlations, marginals, trajectories
from analysis.reports.surviving import survival_sections
from analysis.reports.tried import Tried, tried_section
from analysis.study import StudySettings
from cohorts import Schema
from cohorts.publication import Publication
from privacy.policies.picking import counted
from privacy.statements.statement import Statement

MOST_FINDINGS = 25
PAID_FOR_FILE = "paid_for_estimates.csv"
BY_COPIES = (
    " Where the copies of this release say something of a figure, it is combined from them: it then rests on a model "
    "of how values hang together as well, and its interval is narrower. The file has each figure from the noisy "
    "histogram alone, too; where the two disagree, trust the histogram."
)
CITING = "How to cite"
ALL_TO_LOOK_FOR = (
    "Each cell is an estimate of the trial's own figure, which rests on the noisy measurements, and its 95 % interval, "
    "noise and sampling included. Where an interval is wide, the noise hides the figure from everybody. Each is kept "
    "within what is possible, so a difference need not be exactly that of the two figures beside it."
)


@dataclass(frozen=True)
class Asked:
    """What a report is about. Nothing of it was computed from participants but what was paid for.

    Args:
        settings: of the study.
        statement: of privacy.
        quality: what the gate found.
        shown: the release, and what was paid for.
        tried: candidates, where their scores may be published.
        version: of the package.
    """

    settings: StudySettings
    statement: Statement
    quality: Quality
    shown: Shown
    tried: Tried | None
    version: str

    @property
    def schema(self) -> Schema:
        """Of the trial."""
        return self.shown.schema


def public_report(asked: Asked) -> Report:
    """Write the report of a release."""
    return Report(
        title=f"Synthetic cohort {asked.statement.cohort}",
        subtitle=f"Quality report of study {asked.settings.study}, begun {asked.settings.created.date()}. Made from "
        "what was paid for and from synthetic participants alone, so it may be published with the release.",
        banner="",
        verdict=asked.quality.verdict,
        summary=asked.quality.summary(),
        sections=tuple(said_sections(asked, picture_sections(asked.shown))),
    )


def picture_sections(shown: Shown) -> Iterable[Section]:
    """Pictures of the release, of what was paid for, and of real participants where there are any."""
    how = "How" if shown.real is None else "Real and synthetic: how"
    yield from survival_sections(shown)
    if pictures := tuple(trajectories(shown)):
        yield Section(f"{how} measures move", blocks=pictures)
    yield Section(f"{how} values are spread", blocks=tuple(marginals(shown)))
    yield Section(f"{how} measures hang together", blocks=(correlations(shown),))


def said_sections(asked: Asked, pictures: Iterable[Section]) -> Iterable[Section]:
    """What is said without real participants, and pictures where they belong."""
    yield _what_was_asked(asked)
    yield _privacy(asked)
    yield _gate(asked)
    if asked.shown.estimates:
        yield _paid_for(asked.shown.estimates, asked.schema, 1 - asked.settings.shares.test)
    yield from pictures
    if asked.tried:
        yield tried_section(asked.tried)
    yield _how_to_cite(asked)


def _what_was_asked(asked: Asked) -> Section:
    settings, schema, statement = asked.settings, asked.schema, asked.statement
    found = np.bincount(asked.shown.release.labels, minlength=len(schema.label.classes)) / len(asked.shown.release)
    shares = ", ".join(f"{each.name} {share:.0%}" for each, share in zip(schema.label.classes, found, strict=True))
    sizes = {"measure": schema.measures, "visit": schema.visit_names, "covariate": schema.covariates}
    parts = [counted(len(each), what) for what, each in sizes.items()]
    rows = [
        ("cohort", f"{statement.cohort}: {', '.join(parts)}"),
        ("synthetic participants", f"{len(asked.shown.release):,}"),
        (schema.label.name, f"{shares}; {'randomised' if schema.label.randomised else 'an outcome'}"),
        ("privacy budget", f"epsilon {settings.epsilon:g} at delta {settings.delta:g}"),
        ("policy", settings.policy),
        ("search", f"{settings.trials} trials of at most {settings.max_epochs} epochs, search space "
         f"{settings.search_space}"),
    ]  # fmt: skip
    good_for = _plain(asked.quality.good_for(schema))
    return Section("What was asked", (good_for,), (Table("The study", ("", ""), rows),))


def _privacy(asked: Asked) -> Section:
    statement = asked.statement
    return Section(
        "Privacy",
        (
            statement.first_line,
            f"{statement.method} {statement.score} {statement.picking}",
            "The whole statement, with what it does not cover, is privacy_statement.md beside this page.",
        ),
    )


def _gate(asked: Asked) -> Section:
    quality = asked.quality
    if quality.verdict == "not judged":
        return Section("Is it any good?", (quality.summary(),))
    seen = Table(
        "What was compared",
        ("figures", "compared", "furthest from what was measured", "a difference matters from", "would be found from"),
        [
            (
                NAMES[each.what],
                str(each.figures),
                each.strayed,
                in_units(each.what, least_of(each.what)),
                each.found,
            )
            for each in quality.sight
        ],
        f"Noise and sampling alone take one figure among all of these further than {quality.threshold:.1f} standard "
        "deviations in one release in a hundred. Where the last column is larger than the one before it, noise hid "
        "differences that matter. Shares are out of 1, means in standard deviations.",
    )
    blocks = [seen]
    if quality.findings:
        rows = [
            (each.of, each.column, each.visit, each.group, each.detail, f"{each.released:.3g}",
             f"{each.measured:.3g}", f"{each.sd:.2g}")
            for each in quality.findings[:MOST_FINDINGS]
        ]  # fmt: skip
        more = len(quality.findings) - MOST_FINDINGS
        blocks.append(
            Table(
                "What strays" + (f": the worst {MOST_FINDINGS} of {len(quality.findings)} figures" if more > 0 else ""),
                ("of", "measure", "visit", "group", "figure", "synthetic", "as measured", "error explained"),
                rows,
                "The release and the measurement should differ by a few times the last column at most.",
                [each.model_dump() for each in quality.findings],
            )
        )
    words = (
        f"Each figure of the release{', and of its copies together,' if quality.copies else ''} was set beside the "
        "same figure as it was measured of the trial, and the difference taken over the error that noise and sampling "
        "explain. A column strays when one is larger than chance allows, "
        "so many having been compared, and large enough to matter.",
    )
    return Section("Is it any good?", words, tuple(blocks))


def _paid_for(estimates: Sequence[Estimate], schema: Schema, measured: float) -> Section:
    """Means and shares by class, and their differences, a line for each visit; of which share of the participants."""
    classes = [each.name for each in schema.label.classes]
    groups = [*classes, *(between(schema, label) for label in range(1, len(classes)))]
    lines: dict[tuple[str, ...], dict[str, Estimate]] = {}
    for each in estimates:
        if each.quantity != "variance" and not is_complement(schema, each.measure, each.category):
            figure = (
                "missing" if each.quantity == "missing" else f"share of {each.category}" if each.category else "mean"
            )
            name = f"{each.measure}, {each.unit}" if each.unit and figure == "mean" else each.measure
            lines.setdefault((name, each.visit, figure), {})[each.group] = each
    rows, before = [], ""
    for (name, visit, figure), line in lines.items():
        cells = (_cell(line[group]) if group in line else "" for group in groups)
        rows.append((name if name != before else "", visit, figure, *cells))
        before = name
    sizes = {each.group: each.participants for each in estimates if each.group in classes}
    counted = ", ".join(f"{group} {size:,}" for group, size in sizes.items())
    words = (
        "These figures are the trial's, not the release's: they were computed from the noisy measurements that were "
        "bought anyway. Cite them as estimates, rather than figures of synthetic participants."
        f"{BY_COPIES if any(each.combined_estimate is not None for each in estimates) else ''}",
        f"Noisy estimates of how many participants were measured, about {measured:.0%} of the trial's: {counted}. "
        f"{PAID_FOR_FILE} has the same figures with variances, both errors apart, and what bins may add.",
        *filter(None, [_plain(attendance_sentence(schema)).strip()]),
    )
    data = [vars(each) for each in estimates]
    table = Table("Estimates of the trial", ("measure", "visit", "figure", *groups), rows, ALL_TO_LOOK_FOR, data)
    return Section("What was paid for", words, (table,))


def _plain(sentence: str) -> str:
    """A datasheet's sentence without the marks that Markdown gives it."""
    return sentence.replace("**", "").replace("`", "")


def _cell(line: Estimate) -> str:
    shares = "share" in line.quantity or line.quantity == "missing"
    return interval(*line.cited, decimals=3 if shares else None)


def named(stated: Publication, cohort: str, study: str, year: int) -> str:
    """How to cite a release, but for how it was made."""
    return stated.citation or f"Synthetic cohort {cohort}, study {study} ({year})."


def under_licence(stated: Publication) -> str:
    """Under which licence a release is, in a sentence."""
    return f"Licence: {stated.licence}." if stated.licence else "The publisher stated no licence."


def _how_to_cite(asked: Asked) -> Section:
    statement, settings, stated = asked.statement, asked.settings, asked.schema.publication
    cited = named(stated, statement.cohort, settings.study, settings.created.date().year)
    return Section(
        CITING,
        (
            f"{cited} Generated by dpgan-tune {asked.version}, policy {settings.policy}, at epsilon "
            f"{statement.epsilon:.3g} and delta {statement.delta:g}. Give the SHA-256 of {SUMS_FILE} with it: it says "
            "which release is meant.",
            under_licence(stated),
            "Say in a publication that participants are synthetic, what the statement covers, and which figures are "
            "paid-for estimates of the trial.",
        ),
    )
