"""What the data steward is shown of a cohort that was loaded: how many participants each rule drops.

Counts are of participants, so those of a private cohort are rounded to tens: enough to see whether a rule drops too
many, too coarse to tell whether one person is among them in most cases. Statements say that they were shown.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats.contingency import association

from cohorts.participants import Participants
from cohorts.published import PUBLISHED
from cohorts.report import LoadReport, RuleCount, VisitWithoutRows
from cohorts.visits import Visits

ROUNDED_TO = 10
MOST_EXPLAINED = 0.25
"""Of the variance of what is from before randomisation, by arms: chance leaves far less in 50 participants."""

MANY_INCOMPLETE = 0.1
"""Above this share of dropped participants the steward is warned."""


def show(cohort: Participants, report: LoadReport, console: Console) -> None:
    """Print a cohort's schema in a line, what each rule dropped, who is left, and a warning where one is due."""
    schema = cohort.schema

    def count(number: int) -> str:
        return shown(number, exactly=schema.public)

    def told(number: int) -> bool:
        """Whether there is a word of it at all, which must not hang on one person either."""
        return _coarse(number, exactly=schema.public) > 0

    console.print(
        f"{schema.name}: {_counted(len(schema.measures), 'measure')} at {_counted(len(schema.visit_names), 'visit')}, "
        f"{_counted(len(schema.covariates), 'covariate')}, {'public' if schema.public else 'private'}",
        markup=False,
    )
    rules = Table("rule", "participants dropped", "left", title="For the data steward only", title_justify="left")
    left = report.enrolled
    rules.add_row("enrolled", "", count(left), end_section=True)
    for rule in report.rules:
        left -= rule.dropped
        rules.add_row(rule.rule, count(rule.dropped), count(left))
    console.print(rules)
    for rows in report.rows:
        console.print(
            f"{rows.file}: {count(rows.read)} rows, {count(rows.other_visits)} of no listed visit"
            + (f", {count(rows.superseded)} in a window but incomplete or not chosen" if schema.visits.windows else "")
            + (
                f", {count(rows.other_parameters)} of parameters that are not listed"
                if told(rows.other_parameters)
                else ""
            )
            + (f", {count(rows.not_where)} left out by where" if told(rows.not_where) else ""),
            markup=False,
            soft_wrap=True,
        )
    for cells in filter(lambda each: told(each.cells), report.cells):
        console.print(
            f"{cells.file}, column {cells.column}: {count(cells.cells)} cells {cells.what}",
            markup=False,
            soft_wrap=True,
        )
    sizes = [int((cohort.labels == index).sum()) for index in range(len(schema.label.classes))]
    counts = ", ".join(f"{count(size)} {each.name}" for size, each in zip(sizes, schema.label.classes, strict=True))
    if len(schema.label.classes) == 1:
        counts = "no label, so nothing is to be predicted"
    console.print(
        f"kept {count(report.kept)} participants ({counts}); the schema's public nominal size is {schema.nominal_size}",
        markup=False,
        soft_wrap=True,
    )
    published = PUBLISHED.get(schema.name)
    if published is not None:
        compared = published.compared(report.enrolled, sizes, partial(_coarse, exactly=schema.public))
        console.print(compared, markup=False, soft_wrap=True)
    for warning in warnings_of(report, schema.public, schema.visits):
        console.print(warning, style="bold red", markup=False, soft_wrap=True)
    for hint in hints_of(cohort, exactly=schema.public):
        console.print(hint, style="yellow", markup=False, soft_wrap=True)


def warnings_of(report: LoadReport, exactly: bool, visits: Visits) -> list[str]:
    """What a data steward should not miss, a paragraph each.

    Args:
        report: what loading left out.
        exactly: whether exact counts may be shown.
        visits: as the schema has them.
    """
    incomplete = many_incomplete(report, exactly, visits)
    return [_absent(each) for each in report.absent] + ([incomplete] if incomplete is not None else [])


def hints_of(cohort: Participants, exactly: bool) -> list[str]:
    """What the schema could say of visits that not everybody attends, and what it says and is not so, a paragraph each.

    Args:
        cohort: participants. Sensitive: of how many it is so is rounded as other counts are.
        exactly: whether exact counts may be shown.
    """
    return [*_torn_visits(cohort, exactly), *_sure_baseline(cohort, exactly), *_known_by_arm(cohort)]


def _known_by_arm(cohort: Participants) -> list[str]:
    """Where what is said to be from before randomisation differs so much between arms that it is not."""
    schema = cohort.schema
    names = [
        measure.name
        for row, measure in enumerate(schema.recorded)
        if schema.before_randomisation[row].any()
        and _explained(cohort.values[:, row, 0], cohort.labels, measure.kind == "categorical") > MOST_EXPLAINED
    ]
    if not names:
        return []
    return [
        f"HINT: {', '.join(names)} {'tells' if len(names) == 1 else 'tell'} much of {schema.label.name}, which "
        f"randomisation leaves no room for. What is measured by {schema.visits.baseline}, and every covariate, is "
        "drawn alike in all arms, so synthetic participants would not have what belongs to theirs. Leave out what "
        "follows from the arm, such as a planned dose, and give what is known only later as a measure of a later visit."
    ]


def _explained(values: np.ndarray, labels: np.ndarray, nominal: bool) -> float:
    """Share of the variance of values (n,), NaN where missing, that lies between classes; of categories, Cramer's V^2.

    Source: Cramer, "Mathematical Methods of Statistics", 1946, 21.9.
    """
    known = ~np.isnan(values)
    values, labels = values[known], labels[known]
    if len(np.unique(values)) < 2 or len(np.unique(labels)) < 2:
        return 0.0
    if nominal:
        counts = pd.crosstab(values, labels).to_numpy()
        return float(association(counts, method="cramer")) ** 2
    means = pd.Series(values).groupby(labels).transform("mean")
    return float(means.var(ddof=0) / values.var())


def _sure_baseline(cohort: Participants, exactly: bool) -> list[str]:
    """Where everybody attended the baseline, and the schema lets participants leave before it."""
    visits = cohort.schema.visits
    without = np.isnan(cohort.values[:, : len(cohort.schema.measures), 0]).all(axis=1)  # the baseline is the first
    if visits.dropout is not True or visits.baseline is None or _coarse(int(without.sum()), exactly):
        return []
    return [
        f"HINT: everybody attended {visits.baseline}, as far as is counted. Say dropout: {{from: {visits.baseline}}} "
        "of the visits, so that everybody synthetic does."
    ]


def _torn_visits(cohort: Participants, exactly: bool) -> list[str]:
    """Where measures that may each be missing mostly are so together."""
    schema = cohort.schema
    measures = slice(len(schema.measures))
    expected = schema.observed[measures] & ~schema.gone(cohort.values)[:, measures]  # (n, M, V)
    known = ~np.isnan(cohort.values[:, measures])
    several = (schema.observed & schema.may_be_missing)[measures].sum(axis=0) > 1
    nothing = expected.any(axis=1) & ~known.any(axis=1) & several  # (n, V)
    part = known.any(axis=1) & (expected & ~known).any(axis=1) & several
    later = np.flip(np.logical_or.accumulate(np.flip(known.any(axis=1), axis=1), axis=1), axis=1)
    hints = []
    for what, said, who in (
        ("and came again", "missed: [{}] of the visits", nothing & later),
        ("and did not come again", "dropout: true of the visits", nothing & ~later & (not schema.visits.dropout)),
    ):
        counts = [(int(who[:, visit].sum()), int(part[:, visit].sum())) for visit in range(len(several))]
        of_them = [visit for visit, (all_, some) in enumerate(counts) if _mostly(all_, some, exactly)]
        if of_them:
            names = [schema.visit_names[visit] for visit in of_them]
            most = ", ".join(f"{shown(counts[visit][0], exactly)} at {schema.visit_names[visit]}" for visit in of_them)
            hints.append(
                f"HINT: participants have no value of anything at a visit {what} ({most}), more of them than lack part "
                f"of it. Say {said.format(', '.join(names))}, so that nobody synthetic has half of one and noise is "
                "less, and missing: allowed only of what is missing by itself where somebody was present."
            )
    return hints


def _mostly(all_of_it: int, part: int, exactly: bool) -> bool:
    """Whether more have nothing at a visit than part of it, as far as rounded counts say."""
    return _coarse(all_of_it, exactly) > _coarse(part, exactly)


def _absent(absent: VisitWithoutRows) -> str:
    return (
        f"WARNING: {absent.file} has no row of the visit {absent.visit} (column {absent.column}), so nobody has a "
        "value there of what the file holds. Unless nobody has come so far, correct the visit in the schema; if nobody "
        "will, remove it."
    )


def many_incomplete(report: LoadReport, exactly: bool, visits: Visits) -> str | None:
    """A warning that names the worst rule and a remedy, if more than a tenth of those enrolled is dropped.

    Args:
        report: what loading left out.
        exactly: whether exact counts may be shown. Otherwise the warning depends on rounded counts alone, whether it
            is given included: two trials whose counts round alike get the same.
        visits: as the schema has them: what it says already is no remedy.
    """
    dropped, enrolled = (_coarse(number, exactly) for number in (report.enrolled - report.kept, report.enrolled))
    if dropped <= MANY_INCOMPLETE * enrolled:
        return None
    worst = max(report.rules, key=lambda rule: _coarse(rule.dropped, exactly))
    reason = f"Most are dropped because {worst.rule} ({shown(worst.dropped, exactly)}). {_remedy(worst, visits)}"
    if not _coarse(worst.dropped, exactly):
        reason = f"No rule alone drops {ROUNDED_TO} or more. Fewer measures, covariates or visits keep more of them."
    return (
        f"WARNING: {shown(report.enrolled - report.kept, exactly)} of {shown(report.enrolled, exactly)} enrolled "
        f"participants ({dropped / enrolled:.0%}) are dropped as incomplete. The release will describe those who "
        f"remain, who may differ from those who left the trial. {reason}"
    )


def shown(number: int, exactly: bool) -> str:
    """A count of participants as it may be shown: about how many, unless everybody may know."""
    if exactly:
        return str(number)
    return f"fewer than {ROUNDED_TO}" if number < ROUNDED_TO else f"about {_coarse(number, exactly)}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _coarse(number: int, exactly: bool) -> int:
    if exactly:
        return number
    return 0 if number < ROUNDED_TO else round(number / ROUNDED_TO) * ROUNDED_TO


def _remedy(worst: RuleCount, visits: Visits) -> str:
    words = worst.rule.split()
    if words[0] == "covariate":
        return "Say missing: allowed of this covariate, and they are kept, or leave it out if you can do without it."
    if words[0] == "measure":
        return (
            "Say missing: allowed of this measure, and they are kept; dropout: true of the visits if participants "
            "left, missed: true if they came again; or visits: [...] of the measure if it was not planned at all of "
            "them."
        )
    if visits.dropout and visits.missed:
        return (
            "A visit counts as attended, with all before it, if anything of it is known. Give what is known of those "
            "who did not come, such as an outcome, as a measure of a visit of its own, the last, and say missed of the "
            "others in place of dropout; where visits are windows, wider ones find more rows."
        )
    remedies = [
        *(["dropout: true of the visits if participants left"] if not visits.dropout else []),
        *([f"missed: true{'' if visits.dropout else ' if they came again'}"] if not visits.missed else []),
    ]
    return f"Say {', '.join(remedies)}, and they are kept; where visits are windows, wider ones find more rows."
