"""`python -m analysis paper results/STUDY ...`: the paper's figures of one or several studies, on one page."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

SUMMARY = "draw the figures of the SPRINT paper for one study or several, and plots for a blinded reader"

DESCRIPTION = """\
Draw the figures of Beaulieu-Jones et al. 2019 for finished studies of one cohort, on one page.

Epochs trained with noise are shown as private, epochs trained without as non-private, and both beside real
participants: losses, medians by visit, correlations, accuracy of classifiers and what they look at, delta by epoch,
scores of epochs, principal components. A kit of 100 plots for a blinded reader is made with it. The page lies in the
folder of the first study: of a private cohort in internal/paper/, which must never be published, of a public one in
paper/.
"""

EPILOG = """\
examples:
  python -m analysis paper results/first
  python -m analysis paper results/private results/non-private

The studies' releases must be sealed. That somebody looked at real participants is written into the cohort's ledger, and
later statements say so. Exit status: 0, or 2 with a paragraph that says why there is no page.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    parser.add_argument("studies", type=Path, nargs="+", metavar="results/STUDY", help="directory of a finished study")
    parser.add_argument(
        "--participants",
        type=_enough,
        metavar="N",
        help="synthetic participants of each of the ten subsets that classifiers learn from (default: the cohort's "
        "nominal size, at most 5,000)",
    )


def run(given: argparse.Namespace, console: Console) -> int:
    """Make the page; returns the exit status."""
    from analysis.paper.build import build_page
    from analysis.study import StudyDirectory
    from cohorts import storage

    with storage.private_files():  # plots of real participants, among others
        page = build_page([StudyDirectory(each) for each in given.studies], console, given.participants)
    console.print(f"Wrote [bold]{escape(str(page))}[/], and its figures beside it.", soft_wrap=True, highlight=False)
    if page.parent.parent.name == "internal":
        console.print("Computed from real participants: never publish.")
    return 0


def _enough(text: str) -> int:
    number = int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"{number} participants are too few for a classifier to learn from")
    return number
