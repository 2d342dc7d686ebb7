"""The datasheet of a release: what its files hold, how they were made, what they are not good for.

Written from the schema, the settings, what was paid for and the synthetic participants alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from analysis.dataset.combining import combining_lines
from analysis.dataset.describe import FILES as DESCRIPTIONS
from analysis.dataset.describe import licence_section
from analysis.dataset.dictionary import table_section
from analysis.dataset.reading import reading_lines
from analysis.dataset.sums import SUMS_FILE
from analysis.quality.by_copies import width_beside_sampling
from analysis.quality.estimates import Estimate
from analysis.quality.gate import FALSE_ALARMS, NAMES, Quality
from analysis.study import StudySettings
from cohorts import Schema
from cohorts.labels.survival_label import SurvivalLabel
from cohorts.left_out import left_out, many_left_out
from cohorts.visits import ATTENDED, PRESENT
from privacy.mechanisms.labels import shares_of_classes
from privacy.statements.statement import Statement

MOST_FINDINGS = 12

PAID_FOR = """\
- `paid_for_estimates.csv`: means, shares, variances and differences of the trial itself, as they were measured with
  noise, with 95 % intervals that hold noise and sampling; cite these rather than figures of synthetic
  participants{of_copies}
"""

OF_COPIES = """. Each figure is there twice. `combined_estimate`, from the copies, is nearer to the trial's as a
  rule, but rests on a model of how values hang together as well; `estimate`, from its histogram alone, rests on no
  model. Cite the former where there is one; where the two disagree, trust the latter"""

INTERVALS = """\
Each of the {copies} copies could be the trial that was measured, as far as the noise tells; they differ by as much as
the noise hides. Carry out an analysis on each copy by itself, as one would on the trial, and combine the results by
Rubin's rules: the interval then holds the noise and the trial's own sampling. In R, for example:

```r
{lines}
```

{merging}In Python, `combine` of dpgan-tune's module `analysis` takes the estimates and the standard errors of all
copies. An interval from a single copy, or from the synthetic cohort itself, is too narrow.{width}

What the copies keep of the trial is how values are spread, and how each two of them rise and fall together, by class.
{tables}Of anything else intervals say nothing, however narrow: of what first rises and then falls with another measure,
and so of an effect that is adjusted for a confounder of that kind; of interactions and effects in subgroups; of a
response that is a change between two visits cut at a point; and of rules between columns, such as one that follows from
another.
"""

TEMPLATE = """\
# Synthetic cohort {cohort}

{participants:,} generated participants in the format of the clinical trial `{cohort}`. **Read
[privacy_statement.md](privacy_statement.md) before you use or pass on these files**: it says how they were made, what
is guaranteed about the trial's participants, and what is not.
{left_out}
## Files

{files}
{paid_for}- `report.html`: how good it is, a page for a browser or a printer; `report.json` has the same numbers
{descriptions}
`manifest.json` names the study and the budget. `sha256sum --check {sums}` finds out whether every file is as it was
published, and `python -m analysis verify .`, of dpgan-tune, whether the tables also are as they are described.
`privacy_events.json` lists everything that was charged, and `check_epsilon.py` computes epsilon from it again.

## Read it

{reading}

`{schema_file}` describes the tables to dpgan-tune itself, should you wish to try it on them.

## Tables

{tables}

{label}
{visits}

Ranges are public limits chosen before the search, not the extremes of anyone's values. Participant identifiers
are numbered from S000001 and belong to nobody.

## How it was made

This is what study `{study}` did. {method} {score} {picking} Each generated an equal share of the
participants, and an epoch that was picked more than once a share for each time; all were then shuffled. The
search follows Beaulieu-Jones et al., Circ Cardiovasc Qual Outcomes 2019;12:e005122.

## What it is good for, and what it is not

{good_for} Not good for clinical conclusions: estimates differ from the trial's own, rare kinds of participant
are imitated least well, and confidence intervals computed from synthetic participants as if they were real are too
narrow. Confirm any finding on the trial itself.

## Quality

{quality}

## Intervals

{intervals}

## Licence and citation

{licence}
"""


def datasheet(
    settings: StudySettings,
    marking: str,
    schema: Schema,
    statement: Statement,
    quality: Quality,
    tables: Sequence[Path],
    copies: int = 0,
    estimates: Sequence[Estimate] = (),
    shares: Sequence[float] | None = None,
) -> str:
    """The datasheet as Markdown.

    Args:
        settings: what the study was asked to do.
        marking: what the files carry in their names.
        schema: of the released files.
        statement: of privacy; it counts what was released.
        quality: what the gate found.
        tables: the files that hold the synthetic participants.
        copies: how many copies there are.
        estimates: the paid-for table, which says how wide intervals are.
        shares: of an outcome's classes in the release, where these were measured.
    """
    return TEMPLATE.format(
        cohort=statement.cohort,
        left_out=_left_out_paragraph(schema),
        participants=schema.nominal_size,
        study=settings.study,
        method=statement.method,
        score=statement.score,
        picking=statement.picking,
        files="\n".join([*_file_lines(schema, tables, marking), *_copy_lines(schema, copies)]),
        paid_for="" if quality.verdict == "not judged" else PAID_FOR.format(of_copies=OF_COPIES if copies > 1 else ""),
        tables="\n\n".join(table_section(schema, table) for table in schema.tables),
        label=_label_sentence(schema, shares, copies),
        visits=_visit_sentence(schema)
        + attendance_sentence(schema)
        + _row_sentence(schema)
        + _constraint_sentence(schema),
        good_for=quality.good_for(schema),
        quality=quality_section(quality),
        intervals=interval_section(schema, copies, width_beside_sampling(estimates), quality.tables),
        schema_file=schema_file_name(marking),
        descriptions=DESCRIPTIONS,
        sums=SUMS_FILE,
        reading=reading_lines(schema),
        licence=licence_section(schema.publication, statement.cohort, settings.study),
    )


def _left_out_paragraph(schema: Schema) -> str:
    """Who is not described, a paragraph of its own, in bold where they are many; nothing where nobody is left out."""
    said = left_out(schema)
    if said is None:
        return ""
    return f"\n**{said}**\n" if many_left_out(schema) else f"\n{said}\n"


def interval_section(schema: Schema, copies: int, width: float | None = None, pairs: Sequence[str] = ()) -> str:
    """How to get an interval that holds, in Markdown; or that there is none to be had, and why."""
    if not copies:
        return (
            "No interval that holds can be computed from these participants: how far noise may have moved an estimate "
            "cannot be seen in a single synthetic cohort, and this release has no copies beside it, because none were "
            "asked for or nothing was measured that they could be drawn from."
        )
    return INTERVALS.format(
        copies=copies,
        lines=combining_lines(schema),
        merging=_merging(schema),
        width=_width_sentence(width),
        tables=_tables_sentence(pairs),
    )


def _merging(schema: Schema) -> str:
    """How rows of copies are put together, as sentences that others follow."""
    by = ", ".join(f'"{column}"' for column in ("copy", *schema.id_columns))
    said = ""
    if len(schema.tables) > 1:
        said = f"Merge tables by copy and participant, `by = c({by})`, since each copy numbers its own from S000001. "
    if schema.visit_tables:
        said += "Of a table of visits take one visit, or an analysis of repeated measurements. "
    return said


def _tables_sentence(pairs: Sequence[str]) -> str:
    """Which pairs copies keep however they hang together, a sentence that others follow."""
    if not pairs:
        return ""
    return (
        "Of these pairs two-way tables were measured, all classes together, so that a few parts of each are kept, "
        f"however they hang together: {'; '.join(pairs)}. "
    )


def _width_sentence(width: float | None) -> str:
    if width is None:
        return ""
    little = ": noise hides more than the trial's size does, and most analyses will tell little" if width > 2 else ""
    wide = f"about {width:.2g} times as wide as the trial's own{little}"
    return f" Combined intervals of means, shares and differences are {wide}."


def quality_section(quality: Quality) -> str:
    """What the gate found, and how well it could see, in Markdown."""
    if quality.verdict == "not judged":
        return quality.summary()
    strayed = "".join(f"\n- {each.sentence()}" for each in quality.findings[:MOST_FINDINGS])
    more = len(quality.findings) - MOST_FINDINGS
    strayed += f"\n- and {more} more, which manifest.json has" if more > 0 else ""
    rows = [f"| {NAMES[each.what]} | {each.figures} | {each.strayed} | {each.found} |" for each in quality.sight]
    return "\n".join(
        [
            quality.summary() + strayed,
            "",
            f"A figure strays when its difference is beyond {quality.threshold:.1f} standard deviations of what noise "
            f"and sampling explain, which one of so many is by chance in {FALSE_ALARMS:.0%} of releases, and large "
            "enough to matter. Means are in standard deviations.",
            "",
            "| figures | compared | furthest from what was measured | would be found from |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _copy_lines(schema: Schema, copies: int) -> Iterable[str]:
    for table in schema.tables if copies else ():
        stem = schema.stem(table)
        yield (
            f"- `{stem}-copies.csv`, `{stem}-copies.parquet`: table `{table}` of {copies} further synthetic cohorts, "
            "numbered in the first column, for intervals"
        )


def schema_file_name(marking: str) -> str:
    """File name of the released schema."""
    return f"schema-{marking}.yaml"


def survival_file(marking: str) -> str:
    """File name of the table of survival, where the label is a time to an event; no table of a trial ends like that."""
    return f"survival-{marking}-estimates.csv"


def _file_lines(schema: Schema, tables: Sequence[Path], marking: str) -> Iterable[str]:
    for table in schema.tables:
        same = [file.name for file in tables if file.stem == schema.stem(table)]
        names, formats = ", ".join(f"`{name}`" for name in same), {2: "two", 3: "three"}[len(same)]
        yield f"- {names}: table `{table}`, the same rows in {formats} formats"
    if isinstance(schema.label, SurvivalLabel):
        yield (
            f"- `survival-{marking}.png` and `{survival_file(marking)}`: Kaplan-Meier curves of these participants, "
            "the log-rank test, and hazard ratios by Cox's model, whose intervals leave out the noise; where there are "
            "copies, the same combined from them, whose intervals hold it: cite those"
        )


def _label_sentence(schema: Schema, shares: Sequence[float] | None, copies: int) -> str:
    if len(schema.label.classes) == 1:
        return "No column is a label that something was to predict."
    drawn = _in_words(schema, shares_of_classes(schema))
    if shares is not None:
        of_copies = " How many there are in a copy differs by as much as noise hides." if copies else ""
        return (
            f"Participants are {_in_words(schema, shares)} ({schema.label.name}). A network or a copula that is fitted "
            "to the measurements draws as many of each class as was measured, with noise; other generators draw as "
            f"many as were expected, {drawn}.{of_copies}"
        )
    source = "the trial's randomisation" if schema.label.randomised else "a published report"
    return f"Participants are drawn {drawn} ({schema.label.name}); these are the shares of {source}."


def _in_words(schema: Schema, shares: Sequence[float]) -> str:
    *most, last = (f"{share:.0%} {each.name}" for each, share in zip(schema.label.classes, shares, strict=True))
    return f"{', '.join(most)} and {last}"


def _constraint_sentence(schema: Schema) -> str:
    """What is true of every synthetic participant, as a paragraph of its own; nothing where nothing was said."""
    said = ", ".join(f"`{each}`" for each in schema.constraints)
    return f"\n\nTrue of every synthetic participant, by what the schema says of any: {said}." if said else ""


def _row_sentence(schema: Schema) -> str:
    """Who has no row, where visits may be without a value."""
    if not schema.visit_tables or not schema.may_be_missing.any():
        return ""
    return (
        " A visit at which a participant has no value at all has no row, but for one of whoever has none at any, so "
        "shares of missing values are of participants, not of rows."
    )


def attendance_sentence(schema: Schema) -> str:
    """Who need not attend which visits, and what figures of that are of, after a space; empty where everybody does."""
    said, visits, names = "", schema.visits, schema.visit_names
    if visits.dropout:
        when = f"after {names[visits.surely_attended - 1]}" if visits.surely_attended else "before or after any visit"
        said += f" Participants may leave {when}: `{ATTENDED}` is the number of the last, from 1."
    if visits.may_be_missed:
        of_whom = ", of those who had not left, and `missing` there that they had" if visits.dropout else ""
        said += (
            f" They may miss {', '.join(visits.may_be_missed)} and come again: `{PRESENT}` says whether they were there"
            f"{of_whom}."
        )
    if isinstance(schema.label, SurvivalLabel) and len(names) > 1:
        said += (
            " **Visits do not end with the follow-up**: a synthetic participant may have values at a visit after the "
            "event, or after being censored. Leave such rows out where that matters."
        )
    return said


def _visit_sentence(schema: Schema) -> str:
    if schema.visits.windows is None:
        return f"Visits, in order: {', '.join(schema.visit_names)}."
    windows = ", ".join(f"{each.name} ({each.start:g} to {each.end:g})" for each in schema.visits.windows)
    days = "days from the origin of visits to " if schema.visit_origins else ""
    return (
        f"Visits are windows of {days}`{schema.visits.column}`: {windows}. It is the same for everybody at a visit, in "
        "the window's middle unless the schema says where."
    )
