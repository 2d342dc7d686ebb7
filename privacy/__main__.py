"""`python -m privacy PATH` prints a ledger and checks it; `backup`, `restore` and `where` look after all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cohorts import CohortError
from cohorts.arguments import path
from privacy.errors import LedgerError, Misnamed
from privacy.ledger.backup import restore, write_backup
from privacy.ledger.database import holds_a_ledger
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import a_folder, has_been, ledgers
from privacy.ledger.receipt import Receipt
from privacy.ledger.study_record import COPY, FIGURES, RECEIPTS, check_record, told_by_studies
from privacy.ledger.summary import summarise
from privacy.ledger.table import show, show_places

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

What would be lost with the disk:
  python -m privacy where                where the ledgers lie
  python -m privacy backup FILE          all of them with their keys in one file, to be kept as safe as the trials
  python -m privacy restore FILE         back to where they belong, never to an older state

Exit status: 0 when everything holds; 1 when something does not, with a paragraph that says what and what to do; 2
when there is nothing to check at PATH, nothing to back up or restore, or something else to mend in the command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS.get(words[0]) if words else None
    try:
        return command(words[1:]) if command else _check_command(words)
    except (LedgerError, CohortError) as error:
        _complain(str(error))
        return 2 if isinstance(error, Misnamed) else 1


def _check_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m privacy",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=path, metavar="PATH", help="results/STUDY, or a cohort's ledger.db")
    parser.add_argument(
        "--ledger", type=path, help="the cohort's own ledger (default: the one that the study was charged to)"
    )
    parser.add_argument("--study", help="with a ledger: what counts for this study (default: everything)")
    parser.add_argument(
        "--delta", type=float, help="with a ledger: delta of the figures (default: as declared, or 1e-5)"
    )
    parser.add_argument("--pld", action="store_true", help="with a ledger: also epsilon as for a fixed sequence")
    parser.add_argument("--receipt", action="append", default=[], help="with a ledger: COUNT:HASH it must contain")
    parser.add_argument("--entries", action="store_true", help="print every entry")
    parser.add_argument("--json", type=path, metavar="FILE", help="also write the figures to a file")
    given = parser.parse_args(arguments)
    mistake = _mistake(given)
    if mistake:
        _complain(mistake)
        return 2
    _check(given, Console(highlight=False))
    return 0


def _backup_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m privacy backup",
        description="Check every ledger, and write them with their keys and receipts into one file that only you may "
        "read. Ledgers may be in use meanwhile. Whoever has the file can open sealed participants and forge entries: "
        "keep it as safe as the trials' own files.",
    )
    parser.add_argument("file", type=path, metavar="FILE", help="the backup to write; it must not exist")
    parser.add_argument("--ledger", type=path, metavar="LEDGER", help="only this one, wherever it lies")
    given = parser.parse_args(arguments)
    if given.ledger and (missing := _no_ledger(given.ledger)):
        raise Misnamed(missing)
    for each in write_backup(given.file, [given.ledger] if given.ledger else ledgers()):
        _say(f"{each.cohort}: {each.entries} entries of {each.file}")
    _say(f"Wrote {given.file}.")
    return 0


def _restore_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m privacy restore",
        description="Put the ledgers of a backup where they belong, all or none. A ledger that knows of more than the "
        "backup, by its own entries, by the receipts beside it or by those of studies, is not taken back in time.",
    )
    parser.add_argument("file", type=path, metavar="FILE", help="what `python -m privacy backup` wrote")
    parser.add_argument("--ledger", type=path, metavar="LEDGER", help="where to put the only ledger of the backup")
    parser.add_argument(
        "--out",
        type=path,
        default=Path("results"),
        metavar="DIR",
        help="studies whose receipts count (default: results)",
    )
    given = parser.parse_args(arguments)
    for each in restore(given.file, given.ledger, told_by_studies(given.out)):
        done = "restored" if each.changed else "was as in the backup"
        _say(f"{each.cohort}: {done}, {each.entries} entries in {each.file}")
    return 0


def _where_command(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(
        prog="python -m privacy where", description="Show where ledgers and keys lie, and what each ledger holds."
    ).parse_args(arguments)
    show_places(Console(highlight=False))
    return 0


COMMANDS = {"backup": _backup_command, "restore": _restore_command, "where": _where_command}


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
    for file in filter(None, (None if path.is_dir() else path, given.ledger)):
        if missing := _no_ledger(file):
            return missing
    if given.json and given.json.is_dir():
        return f"--json {given.json} is a folder; name the file to write."
    if path.is_dir() and (given.study or given.delta or given.pld or given.receipt):
        return "--study, --delta, --pld and --receipt go with a ledger; a study's own figures are checked as written."
    try:
        for each in given.receipt:
            Receipt.parse(each)
    except LedgerError as error:
        return str(error)
    return None


def _no_ledger(file: Path) -> str | None:
    """What is to be said of a file that is no ledger and was none, as far as it and what lies beside it tell."""
    if file.is_dir():
        return a_folder(file)
    if not file.is_file():
        return f"There is no ledger at {file}."
    if holds_a_ledger(file) or has_been(file):
        return None
    return f"{file} is no ledger. Give a study's directory (results/STUDY) or a cohort's ledger, mostly ledger.db."


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


def _say(text: str) -> None:
    Console(highlight=False).print(text, markup=False, soft_wrap=True)


def _complain(message: str) -> None:
    Console(stderr=True, highlight=False).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
