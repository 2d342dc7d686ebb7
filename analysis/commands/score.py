"""`python -m analysis score KIT`: whether a blinded reader told real participants from synthetic ones."""

from __future__ import annotations

import argparse

from rich.console import Console

from cohorts.arguments import path

SUMMARY = "score the sheet of a blinded reader, who was given the plots that `paper` makes"

DESCRIPTION = "Say whether a blinded reader told real participants from synthetic ones."

EPILOG = """\
example:
  python -m analysis score results/private/internal/paper/reader --sheet returned.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    parser.add_argument("kit", type=path, metavar="KIT", help="folder of the kit, such as results/STUDY/paper/reader")
    parser.add_argument("--sheet", type=path, help="the sheet as the reader returned it (default: the one in the kit)")


def run(given: argparse.Namespace, console: Console) -> int:
    """Score; returns the exit status."""
    from analysis.paper.ratings import read_ratings

    rated = read_ratings(given.kit, given.sheet)
    console.print(rated.as_table())
    console.print(rated.in_words(), soft_wrap=True, highlight=False)
    return 0
