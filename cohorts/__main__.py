"""`python -m cohorts NAME_OR_PATH` checks a schema against its files; `python -m cohorts draft FILE...` begins one.

For the data steward.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from cohorts.arguments import name_or_path, path
from cohorts.catalogue import BUNDLED, load_participants
from cohorts.checking import show
from cohorts.drafting import draft_schema, write_draft
from cohorts.errors import CohortError, show_values

FORMATS = "CSV, Parquet, XLSX, SAS, SPSS or Stata"


def main(arguments: list[str] | None = None) -> int:
    """Check a cohort, or draft a schema.

    Returns:
        The exit status: 0, or 2 when schema or files are not usable.
    """
    words = sys.argv[1:] if arguments is None else arguments
    command, rest = (draft, words[1:]) if words[:1] == ["draft"] else (check, words)
    try:
        command(rest)
    except CohortError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        return 2
    return 0


def check(arguments: list[str]) -> None:
    """Load a cohort and show what each rule drops."""
    parser = argparse.ArgumentParser(
        prog="python -m cohorts",
        usage="%(prog)s [-h] [--data DATA] [--show-values] COHORT\n"
        "       %(prog)s draft [-h] [--out OUT] FILE [FILE ...]",
        description="Check a schema against its files. For the data steward: counts of a private cohort are rounded to "
        "the nearest ten, but even so are not for publication.",
        epilog=f"`python -m cohorts draft FILE...` writes a first schema of files in {FORMATS}, from the names, types, "
        "labels and formats of their columns alone; `python -m cohorts draft --help` says more.",
    )
    parser.add_argument(
        "cohort", type=name_or_path, metavar="COHORT", help=f"{', '.join(BUNDLED)}, or the path of a schema in YAML"
    )
    parser.add_argument("--data", type=path, help="where the tables are (default: the schema's folder, or data/NAME)")
    parser.add_argument(
        "--show-values",
        action="store_true",
        help="let messages quote cells and ids, to find a mistake; not where others read the terminal or its log",
    )
    given = parser.parse_args(arguments)
    show_values(given.show_values)
    cohort, report = load_participants(given.cohort, given.data)
    show(cohort, report, Console(highlight=False))


def draft(arguments: list[str]) -> None:
    """Write a first schema of some files."""
    parser = argparse.ArgumentParser(
        prog="python -m cohorts draft",
        description="Draft a schema from the names, types, labels and formats of columns. No participant is read. What "
        "is left to say is marked TODO, and what was guessed is marked guess.",
    )
    parser.add_argument("files", nargs="+", type=path, metavar="FILE", help=f"a table of the trial: {FORMATS}")
    parser.add_argument("--out", type=path, help="the schema to write, NAME.yaml (default: show it; it must not exist)")
    given = parser.parse_args(arguments)
    if given.out is None:
        print(draft_schema(given.files), end="")
        return
    write_draft(given.files, given.out)
    print(f"Wrote {given.out}. Work through its TODOs, then check it: python -m cohorts {given.out}")


if __name__ == "__main__":
    sys.exit(main())
