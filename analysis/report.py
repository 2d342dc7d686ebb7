"""What a build says in the terminal: scores, files, quality, the statement's first paragraph, and its exit status."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from analysis.build import ReleaseSummary
from analysis.quality.gate import Quality

STRAYS = 3
"""Exit status where a release is written that strays from what was measured."""
MANY_MENDED = 0.1
"""Above this share of participants changed by constraints the steward is told."""


def print_report(summary: ReleaseSummary, console: Console) -> None:
    """Print the transfer table, what was written where, the quality, and the summary of the privacy statement.

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
    if summary.mended > MANY_MENDED:
        console.print(
            f"{summary.mended:.0%} of the participants that are drawn break a constraint of the schema before they are "
            "brought in line with it, since generators are not taught constraints. That moves shares and means; "
            "report.html says whether any of them strays.",
            style="yellow",
            soft_wrap=True,
            highlight=False,
        )
    console.print()
    console.print(Panel(escape(_quality_in_words(summary.quality)), title="Quality", title_align="left"))
    console.print(Panel(escape(summary.statement_summary), title="Privacy statement", title_align="left"))


def exit_status(quality: Quality, release_anyway: bool) -> int:
    """What a command ends with: ``STRAYS`` where the release does, unless somebody said that it may."""
    return STRAYS if quality.failed and not release_anyway else 0


def _quality_in_words(quality: Quality) -> str:
    """The gate's findings, the worst figure of each column that strays."""
    worst = {each.column: each for each in reversed(quality.findings)}
    said = quality.summary().removeprefix("Quality: ")
    lines = [said[:1].upper() + said[1:]]
    return "\n".join([*lines, *(f"- {worst[column].sentence()}" for column in quality.columns)])
