"""`python -m privacy PATH`: print a ledger and check it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from privacy.errors import LedgerError
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import Receipt
from privacy.ledger.study_record import COPY, FIGURES, RECEIPTS, check_record
from privacy.ledger.summary import summarise
from privacy.ledger.table import show

DESCRIPTION = """\
Print what was read of a cohort's participants and what it costs, and check that nothing is missing.

For a study, the copy of the ledger that it keeps is read: the chain of its entries is checked, every figure that was
written down is computed again, and the copy and the receipts are looked up in the cohort's own ledger, if that is on
this machine. For a ledger, the chain and every declared budget are checked.
"""

EPILOG = """\
examples:
  python -m privacy results/first
  python -m privacy ~/.local/share/dpgan-tune/cohorts/my-trial/ledger.db --entries

Exit status: 0 when everything holds; 1 when something does not, with a paragraph that says what and what to do; 2
when there is nothing to check at PATH.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="python -m privacy",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="results/STUDY, or a cohort's ledger.db")
    parser.add_argument("--ledger", type=Path, help="the cohort's own ledger (default: in the user's data directory)")
    parser.add_argument("--study", help="with a ledger: what counts for this study (default: everything)")
    parser.add_argument(
        "--delta", type=float, help="with a ledger: delta of the figures (default: as declared, or 1e-5)"
    )
    parser.add_argument("--pld", action="store_true", help="with a ledger: also epsilon as for a fixed sequence")
    parser.add_argument("--receipt", action="append", default=[], help="with a ledger: COUNT:HASH it must contain")
    parser.add_argument("--entries", action="store_true", help="print every entry")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    given = parser.parse_args(arguments)
    mistake = _mistake(given)
    if mistake:
        _complain(mistake)
        return 2
    try:
        _check(given, Console(highlight=False))
    except LedgerError as error:
        _complain(str(error))
        return 1
    return 0


def _mistake(given: argparse.Namespace) -> str | None:
    """What is wrong with the command itself."""
    path: Path = given.path
    if str(path) == "audit" and not path.exists():
        return "The audit is a command of its own: python -m analysis.auditing"
    if not path.exists():
        return f"There is nothing at {path}. Give a study's directory (results/STUDY) or a cohort's ledger."
    if path.is_dir() and not any((path / name).exists() for name in (COPY, FIGURES, RECEIPTS)):
        return f"{path} keeps no record of a ledger. Give a study's directory (results/STUDY) or a cohort's ledger."
    if given.delta is not None and not 0 < given.delta < 1:
        return f"--delta is {given.delta:g}; it must lie between 0 and 1."
    if given.ledger and not given.ledger.is_file():
        return f"There is no ledger at {given.ledger}."
    if path.is_dir() and (given.study or given.delta or given.pld or given.receipt):
        return "--study, --delta, --pld and --receipt go with a ledger; a study's own figures are checked as written."
    try:
        for each in given.receipt:
            Receipt.parse(each)
    except LedgerError as error:
        return str(error)
    return None


def _check(given: argparse.Namespace, console: Console) -> None:
    if given.path.is_dir():
        checked = check_record(given.path, given.ledger)
        summary = checked.summary
        where = f"found in {checked.own_ledger}" if checked.own_ledger else "not compared: no ledger on this machine"
        held = f"chain whole, {checked.receipts} receipts found, {COPY} {where}, figures " + (
            "as written" if checked.figures else "computed (none were written)"
        )
    else:
        ledger = Ledger.open(given.path, read_only=True)
        ledger.verify([Receipt.parse(each) for each in given.receipt])
        summary = summarise(ledger.books, ledger.cohort, ledger.public, given.study, given.delta, given.pld)
        ledger.close()
        held = f"chain whole, {len(given.receipt)} receipts found, no budget overspent"
    show(summary, console, given.entries)
    console.print(f"Checked: {len(summary.entries)} entries, {held}.", markup=False, soft_wrap=True)
    if given.json:
        summary.write(given.json)


def _complain(message: str) -> None:
    Console(stderr=True, highlight=False).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
