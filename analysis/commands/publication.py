"""`python -m analysis publication results/STUDY`: another licence or citation for a sealed release."""

from __future__ import annotations

import argparse
from datetime import date

from rich.console import Console

from cohorts.arguments import path

SUMMARY = "change the licence, citation or publisher that a sealed release states; nothing is drawn anew"

DESCRIPTION = """\
Change what a sealed release says of its publication. Tables, figures and the privacy statement stay as they are to the
byte; its README.md, report, schema, Croissant metadata, manifest and SHA256SUMS say the same afterwards, and the ledger
keeps that it was relabelled.

What is not given stays as it is. With none of the options, everything is taken from the key `publication` of the
trial's schema.
"""

EPILOG = """\
examples:
  python -m analysis publication results/first --licence CC-BY-4.0 --creator "Example University Hospital"
  python -m analysis publication results/first --citation "Example University Hospital. A synthetic copy. 2026."
  python -m analysis publication results/first --licence ""      # no licence is stated any more

Participants drawn beside a release (draws/) keep what they state; draw them after the schema says it.
Exit status: 0, or with a paragraph that says why nothing was changed 2, and 1 where the ledger or the machine cannot
be used just now.
"""

FIELDS = {
    "title": "of the data set",
    "creator": "the institution or person that publishes it",
    "licence": "its identifier in the SPDX list, such as CC-BY-4.0, or the address of its text",
    "citation": "how to cite it, as a reference list has it",
    "url": "where it is published",
    "version": "of the data set",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    parser.add_argument("study", type=path, metavar="results/STUDY", help="directory of a study with a release")
    for name, what in FIELDS.items():
        parser.add_argument(f"--{name}", metavar="TEXT", help=what)
    parser.add_argument("--published", type=date.fromisoformat, metavar="DAY", help="on which day, such as 2026-05-01")


def run(given: argparse.Namespace, console: Console) -> int:
    """Change it; returns the exit status."""
    from analysis.dataset.sums import SUMS_FILE, sha256
    from analysis.restating import restate_publication, stated_in
    from analysis.study import StudyDirectory
    from cohorts import resolve_schema

    directory = StudyDirectory(given.study)
    asked = {name: getattr(given, name) for name in (*FIELDS, "published") if getattr(given, name) is not None}
    if asked:
        publication = stated_in(directory).model_copy(update=asked)
    else:
        publication = resolve_schema(directory.settings().cohort).publication
    restate_publication(directory, publication)
    console.print(
        f"{directory.release} states\n"
        f"  licence:  {publication.licence or 'none'}\n"
        f"  citation: {publication.citation or 'the one that dpgan-tune writes'}\n"
        f"SHA-256 of {SUMS_FILE}, to be published in another place:\n{sha256(directory.release / SUMS_FILE)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0
