"""`python -m analysis results/STUDY`: rebuild the release and the report of a finished study."""

from __future__ import annotations

import argparse

from rich.console import Console

from cohorts.arguments import path

SUMMARY = "build the release and the report of a finished study (also without the word build)"

DESCRIPTION = """\
Build the release and the report of a finished study, without training anything.

The scored epochs of all trials are gathered, the best by each classifier are picked, and each generates its share of a
synthetic cohort. Two folders of the study are written, each file or folder whole or not at all:

  release/   may be published: the synthetic cohort as CSV and Parquet in the trial's own columns and units, its
             schema, figures of synthetic participants, a datasheet, the privacy statement, and manifest.json
  internal/  never publish: figures and scores computed from real participants
"""

EPILOG = """\
example:
  python tuner/run.py --cohort sprint-simulated --study first
  python -m analysis results/first

A release that is already sealed stays as it is, and only the report is rebuilt: drawing another release once real
results have been seen is a choice that epsilon does not cover. --redraw does so anyway, and the statement says so.
Exit status: 0 when both folders are written, 3 when they are and the release strays from what was measured further than
noise explains, 2 when the study cannot be used and 1 when the ledger or the machine cannot just now, with a paragraph
that says why.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    parser.add_argument("study", type=path, metavar="results/STUDY", help="directory of a finished study")
    parser.add_argument(
        "--redraw", action="store_true", help="draw another release in place of the sealed one; its statement says so"
    )
    parser.add_argument(
        "--release-anyway",
        action="store_true",
        help="release what there is though most trials failed, and end with status 0 though the release strays from "
        "what was measured",
    )


def run(given: argparse.Namespace, console: Console) -> int:
    """Build; returns the exit status."""
    from analysis.build import build_release
    from analysis.report import exit_status, print_report
    from analysis.study import StudyDirectory

    summary = build_release(StudyDirectory(given.study), console, given.redraw, given.release_anyway)
    print_report(summary, console)
    return exit_status(summary.quality, given.release_anyway)
