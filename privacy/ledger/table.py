"""A ledger's figures for a person at a terminal."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import closing
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from cohorts import SPLITS
from cohorts.split_keys import split_key_file
from cohorts.user_data import ledgers_folders
from privacy.errors import LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.journal import Journal
from privacy.ledger.places import ledgers
from privacy.ledger.summary import Summary


def show(summary: Summary, console: Console, entries: bool = False) -> None:
    """Print a summary, and every entry where asked."""
    console.print(_headline(summary), soft_wrap=True)
    console.print(Group(_sums(summary), *([_declared(summary)] if summary.declaration else []), _studies(summary)))
    if entries:
        console.print(_entries(summary))


def show_places(console: Console) -> None:
    """Print where ledgers are looked for and what each of them holds; new ones go into the first folder."""
    folders = [f"Folder for ledgers: {folder}" for folder in ledgers_folders()]
    for line in (*folders, *(f"\n{file}\n  {_place(file)}" for file in ledgers())):
        console.print(line, markup=False, soft_wrap=True)


def _place(file: Path) -> str:
    """What one ledger holds; of one that cannot be opened, why."""
    try:
        with closing(Journal.open(file, read_only=True)) as journal:
            entries, cohort = journal.books.entries, journal.cohort
            keyless = not journal.public and not split_key_file(cohort).exists()
    except LedgerError as error:
        return str(error)
    last = f", the last of {entries[-1].time[:19].replace('T', ' ')} UTC" if entries else ""
    return f"cohort {cohort}, {len(entries)} entries{last}{'; its split.key is missing' if keyless else ''}"


def _headline(summary: Summary) -> Text:
    epsilon, delta = summary.guarantee
    whose = f"study {summary.study}, and all that preceded its last reading" if summary.study else "every study"
    basis = "declared" if summary.declaration else "spent; no budget was declared"
    text = Text(f"Ledger of the cohort {summary.cohort} ({'public' if summary.public else 'private'}): {whose}.\n")
    text.append(f"Epsilon {_number(epsilon)} at delta {delta:g} ({basis}).", style="bold")
    if summary.internal_before:
        text.append(
            f"\nUp to its last reading, figures of real participants were opened for the data steward "
            f"{summary.internal_before} times; the guarantee does not cover what was learned there."
        )
    return text


def _sums(summary: Summary) -> Table:
    keys = list(dict.fromkeys(each.split_key for each in summary.sums))
    with_pld = any(each.epsilon_pld is not None for each in summary.sums)
    table = Table(
        "account", "split", "charges", "epsilon", title=f"Sums, at delta {summary.delta:g}", title_justify="left"
    )
    if with_pld:
        table.add_column("epsilon, fixed sequence")
    if len(keys) > 1:
        table.add_column("split key")
    for each in summary.sums:
        pld = [_number(each.epsilon_pld) if each.epsilon_pld is not None else "-"] if with_pld else []
        key = [f"{keys.index(each.split_key) + 1}"] if len(keys) > 1 else []
        table.add_row(each.account, each.split, str(each.charges), _number(each.epsilon), *pld, *key)
    return table


def _declared(summary: Summary) -> Table:
    declaration = summary.declaration
    assert declaration is not None
    title = f"Declared: epsilon {declaration.budget.epsilon:g}, delta {declaration.budget.delta:g}"
    table = Table("split", "Renyi order", "epsilon spent at that order", title=title, title_justify="left")
    for split in SPLITS:
        table.add_row(split, f"{declaration.orders[split]:g}", _number(summary.spent[split]))
    return table


def _studies(summary: Summary) -> Table:
    counts: Counter[tuple[str, str]] = Counter()
    studies: dict[str, tuple[str, str]] = {}
    for entry in summary.entries:
        if entry.study is not None:
            first, _ = studies.get(entry.study, (entry.time, ""))
            studies[entry.study] = (first, entry.time)
        if isinstance(entry.content, Charge):
            counts[entry.content.study, entry.content.split] += 1
    table = Table("study", *SPLITS, "first entry", "last entry", title="Charges by study", title_justify="left")
    for study, (first, last) in studies.items():
        table.add_row(Text(study), *(str(counts[study, split]) for split in SPLITS), first[:19], last[:19])
    return table


def _entries(summary: Summary) -> Table:
    table = Table(
        "entry", "time (UTC)", "study", "trial", "account", "split", "what", title="Entries", title_justify="left"
    )
    for entry in summary.entries:
        content = entry.content
        if isinstance(content, Charge):
            cells = [
                content.study,
                content.trial,
                content.account,
                content.split,
                f"{content.purpose}: {content.event}",
            ]
        else:
            cells = [entry.study or "", "", "", "", type(content).__name__.lower()]
        table.add_row(str(entry.number), entry.time[:19], *(Text(cell) for cell in cells))
    return table


def _number(epsilon: float) -> str:
    return "infinite" if math.isinf(epsilon) else f"{epsilon:.4g}"
