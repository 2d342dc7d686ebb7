"""`python -m analysis paper`: the paper's figures of one or several studies, and the score of a blinded reader."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

PROGRAM = "python -m analysis paper"
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
  python -m analysis paper results/private results/non-private
  python -m analysis paper score results/private/internal/paper/reader

The study's release must be sealed. That somebody looked at real participants is written into the cohort's ledger, and
later statements say so. Exit status: 0, or 2 when a study cannot be used, with a paragraph that says why.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    if arguments[:1] == ["score"]:
        return _run(_score, _score_parser().parse_args(arguments[1:]))
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", type=Path, nargs="+", metavar="results/STUDY", help="directory of a finished study")
    parser.add_argument(
        "--participants",
        type=int,
        metavar="N",
        help="synthetic participants of each of the ten subsets that classifiers learn from (default: the cohort's "
        "nominal size, at most 5,000)",
    )
    given = parser.parse_args(arguments)
    if given.participants is not None and given.participants < 2:
        parser.error(f"--participants is {given.participants}; a classifier learns from two participants at least")
    return _run(_page, given)


def _score_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} score",
        description="Say whether a blinded reader told real participants from synthetic ones.",
    )
    parser.add_argument("kit", type=Path, metavar="KIT", help="folder of the kit, such as results/STUDY/paper/reader")
    parser.add_argument("--sheet", type=Path, help="the sheet as the reader returned it (default: the one in the kit)")
    return parser


def _page(given: argparse.Namespace, console: Console) -> None:
    from analysis.paper.build import build_page
    from analysis.study import StudyDirectory
    from cohorts import storage

    with storage.private_files():  # plots of real participants, among others
        page = build_page([StudyDirectory(each) for each in given.studies], console, given.participants)
    console.print(f"Wrote [bold]{escape(str(page))}[/], and its figures beside it.", soft_wrap=True, highlight=False)
    if page.parent.parent.name == "internal":
        console.print("Computed from real participants: never publish.")


def _score(given: argparse.Namespace, console: Console) -> None:
    from analysis.paper.ratings import read_ratings

    rated = read_ratings(given.kit, given.sheet)
    console.print(rated.as_table())
    console.print(rated.in_words(), soft_wrap=True, highlight=False)


def _run(command: Callable[[argparse.Namespace, Console], None], given: argparse.Namespace) -> int:
    # Imported here so that --help does not wait for PyTorch and Ray.
    from analysis.errors import AnalysisError
    from cohorts import CohortError
    from privacy import LedgerError, PlanError

    try:
        command(given, Console())
    except (AnalysisError, CohortError, LedgerError, PlanError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 2
    return 0
