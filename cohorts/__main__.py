"""`python -m cohorts NAME_OR_PATH`: check a schema against its files and show what each rule drops.

For the data steward. Counts are of participants, so those of a private cohort are rounded to tens: enough to see
whether a rule drops too many, too coarse to tell whether one person is among them in most cases. Statements say that
they were shown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cohorts.catalogue import BUNDLED, load_participants
from cohorts.errors import CohortError
from cohorts.participants import Participants
from cohorts.report import LoadReport

ROUNDED_TO = 10


def main(arguments: list[str] | None = None) -> int:
    """Check a cohort.

    Returns:
        The exit status: 0, or 2 when schema or files are not usable.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cohorts",
        description="Check a schema against its files. For the data steward: counts of a private cohort are rounded to "
        "the nearest ten, but even so are not for publication.",
    )
    parser.add_argument("cohort", help=f"{', '.join(BUNDLED)}, or the path of a schema in YAML")
    parser.add_argument("--data", type=Path, help="where the tables are (default: the schema's folder, or data/NAME)")
    given = parser.parse_args(arguments)
    try:
        cohort, report = load_participants(given.cohort, given.data)
    except CohortError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        return 2
    _show(cohort, report, Console(highlight=False))
    return 0


def _show(cohort: Participants, report: LoadReport, console: Console) -> None:
    schema = cohort.schema

    def count(number: int) -> str:
        return shown(number, exactly=schema.public)

    console.print(
        f"{schema.name}: {len(schema.measures)} measures at {len(schema.visit_names)} visits, "
        f"{len(schema.covariates)} covariates, {'public' if schema.public else 'private'}",
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
            f"{rows.file}: {count(rows.read)} rows, {count(rows.other_visits)} of no listed visit, "
            f"{count(rows.superseded)} in a window but incomplete or not chosen",
            markup=False,
            soft_wrap=True,
        )
    counts = ", ".join(
        f"{count(int((cohort.labels == index).sum()))} {each.name}" for index, each in enumerate(schema.label.classes)
    )
    console.print(
        f"kept {count(report.kept)} complete participants ({counts}); the schema's public nominal size is "
        f"{schema.nominal_size}",
        markup=False,
        soft_wrap=True,
    )


def shown(number: int, exactly: bool) -> str:
    """A count of participants as it may be shown: about how many, unless everybody may know."""
    if exactly:
        return str(number)
    return "fewer than 10" if number < ROUNDED_TO else f"about {round(number / ROUNDED_TO) * ROUNDED_TO}"


if __name__ == "__main__":
    sys.exit(main())
