"""What a build says in the terminal: scores, files, and the statement's first paragraph."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from analysis.build import ReleaseSummary


def print_report(summary: ReleaseSummary, console: Console) -> None:
    """Print the transfer table, what was written where, and the summary of the privacy statement.

    Args:
        summary: what was built.
        console: where to print; it is the data steward's, for the table is not private.
    """
    if summary.transfer is not None:
        console.print(summary.transfer.as_table())
        console.print()
    for folder, use in (
        (summary.directory.release, "May be published, with its privacy statement"),
        (summary.directory.internal, "Computed from real participants: never publish"),
    ):
        console.print(f"{use}:\n[bold]{escape(str(folder))}/[/]", soft_wrap=True, highlight=False)
        for file in summary.written:
            if file.parent == folder:
                console.print(f"  {escape(file.name)}", highlight=False)
    console.print()
    console.print(Panel(escape(summary.statement_summary), title="Privacy statement", title_align="left"))
