"""`python -m analysis results/STUDY` builds a finished study's release; `python -m analysis --help` says what else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from analysis.commands import build, draw, paper, publication, score, verify

COMMANDS = {
    "build": build,
    "draw": draw,
    "verify": verify,
    "publication": publication,
    "paper": paper,
    "score": score,
}  # each with SUMMARY, DESCRIPTION, EPILOG, add_arguments and run

DESCRIPTION = """\
What can be done with a finished study; nothing is trained.

A study has two folders: release/ may be published; internal/ holds figures computed from real participants:
never publish that. `python -m analysis results/STUDY` builds both.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit status of the command; 2 when the user has something to mend, 1 when the ledger or the machine cannot be
        used just now.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] not in (*COMMANDS, "-h", "--help"):
        words.insert(0, "build")
    given = _parser().parse_args(words)

    # Imported here so that --help does not wait for PyTorch and Ray.
    from analysis.errors import AnalysisError
    from analysis.machine import MachineError, machine_errors
    from cohorts import CohortError
    from privacy import LedgerError, LedgerUnavailable, PlanError
    from trainables.extensions import ExtensionError

    try:
        with machine_errors():
            return int(given.run(given, Console()))
    except (AnalysisError, CohortError, ExtensionError, LedgerError, MachineError, PlanError) as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1 if isinstance(error, LedgerUnavailable | MachineError) else 2


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m analysis", description=DESCRIPTION, formatter_class=layout)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        texts = {"help": command.SUMMARY, "description": command.DESCRIPTION, "epilog": command.EPILOG}
        own = commands.add_parser(name, formatter_class=layout, **texts)
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
