"""`python -m analysis draw results/STUDY --participants N`: more participants of a sealed release."""

from __future__ import annotations

import argparse

from rich.console import Console

from cohorts.arguments import path

SUMMARY = "draw more participants from what a sealed release was drawn from; costs nothing and reads nobody"

DESCRIPTION = """\
Draw more participants from the generators of a sealed release: to make a cohort larger, or one arm of it.

It is post-processing of what was paid for, so epsilon stays as it is, and no participant is read. The ledger keeps that
it was done: the statement beside the new participants says how often the study drew before, and that real results were
seen in between where they were.
"""

EPILOG = """\
examples:
  python -m analysis draw results/first --participants 20000
  python -m analysis draw results/first --participants 500 --class intensive --seed 7

The new participants are in results/STUDY/draws/NUMBER, a folder like a release, and may be published with it. Their
identifiers are none of the release's. The release stays as it is.
Exit status: 0, or 2 with a paragraph that says why nothing was drawn.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what may be given."""
    parser.add_argument("study", type=path, metavar="results/STUDY", help="directory of a study with a release")
    parser.add_argument("--participants", type=int, required=True, metavar="N", help="how many")
    parser.add_argument(
        "--class", dest="group", metavar="NAME", help="of which class, such as an arm (default: all, by their shares)"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="draw the same again; of private cohorts too, as it hides nobody"
    )
    parser.add_argument("--out", type=path, metavar="DIR", help="folder to write (default: draws/NUMBER in the study)")


def run(given: argparse.Namespace, console: Console) -> int:
    """Draw; returns the exit status."""
    from analysis.more import draw_participants
    from analysis.study import StudyDirectory

    folder, manifest = draw_participants(
        StudyDirectory(given.study), given.participants, given.group, given.seed, given.out
    )
    of_class = f" of the class {given.group}" if given.group else ""
    console.print(
        f"Drew {manifest.participants:,} participants{of_class}; nobody was read, and epsilon stays "
        f"{manifest.epsilon}.\nMay be published, with its privacy statement:\n{folder}/",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0
