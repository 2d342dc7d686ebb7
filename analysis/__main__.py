"""`python -m analysis results/STUDY`: rebuild the release and the report of a finished study."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

DESCRIPTION = """\
Build the release and the report of a finished study, without training anything.

The scored epochs of all trials are gathered, the best by each classifier are picked, and each generates its share of a
synthetic cohort. Two folders of the study are written, each file or folder whole or not at all:

  release/   may be published: the synthetic cohort as CSV and Parquet in the trial's own columns and units, its
             schema, figures of synthetic participants, a datasheet, the privacy statement, and manifest.json
  internal/  never publish: figures and scores computed from real participants
"""

EPILOG = """\
examples:
  python tuner/run.py --cohort sprint-simulated --study first
  python -m analysis results/first
  python -m analysis paper results/first       the figures of the SPRINT paper; `paper --help` says more

A release that is already sealed stays as it is, and only the report is rebuilt: drawing another release once real
results have been seen is a choice that epsilon does not cover. --redraw does so anyway, and the statement says so.
Exit status: 0 when both folders are written, 3 when they are and the release strays from what was measured further than
noise explains, 2 when the study cannot be used, with a paragraph that says why.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["paper"]:
        from analysis.paper.command import main as paper

        return paper(words[1:])
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", type=Path, metavar="results/STUDY", help="directory of a finished study")
    parser.add_argument(
        "--redraw", action="store_true", help="draw another release in place of the sealed one; its statement says so"
    )
    parser.add_argument(
        "--release-anyway",
        action="store_true",
        help="end with status 0 though the release strays from what was measured",
    )
    given = parser.parse_args(words)

    # Imported here so that --help does not wait for PyTorch and Ray.
    from analysis.build import build_release
    from analysis.errors import AnalysisError
    from analysis.report import exit_status, print_report
    from analysis.study import StudyDirectory
    from cohorts import CohortError
    from privacy import LedgerError, PlanError

    console = Console()
    try:
        summary = build_release(StudyDirectory(given.study), console, given.redraw)
    except (AnalysisError, CohortError, LedgerError, PlanError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 2
    print_report(summary, console)
    return exit_status(summary.quality, given.release_anyway)


if __name__ == "__main__":
    sys.exit(main())
