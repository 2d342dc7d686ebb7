"""`python -m analysis score KIT`: whether a blinded reader told real participants from synthetic ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

SUMMARY = "say whether a blinded reader told real participants from synthetic ones"

DESCRIPTION = """\
Compare a blinded reader's ratings of real and of synthetic participants, by the tests of the SPRINT paper.

The kit is made by `python -m analysis paper`: hand its folder for-the-reader/ over, and keep key.csv.
"""

EPILOG = """\
example:
  python -m analysis score results/first/internal/paper/reader --sheet returned.csv

Exit status: 0, or 2 with a paragraph that says what is wrong with the sheet.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    parser.add_argument("kit", type=Path, metavar="KIT", help="folder of the kit, such as results/STUDY/paper/reader")
    parser.add_argument("--sheet", type=Path, help="the sheet as the reader returned it (default: the one in the kit)")


def run(given: argparse.Namespace, console: Console) -> int:
    """Score the sheet; returns the exit status."""
    from analysis.paper.ratings import read_ratings

    rated = read_ratings(given.kit, given.sheet)
    console.print(rated.as_table())
    console.print(rated.in_words(), soft_wrap=True, highlight=False)
    return 0
