"""Quotation marks that open a field of a text file and do not end it: what follows counts as part of the field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class OpenQuote:
    """A quotation mark that opens a field and does not end it.

    Args:
        line: where it stands.
        until: the line of the next mark, which text follows; None where there is none.
    """

    line: int
    until: int | None

    @property
    def swallows_lines(self) -> bool:
        """Whether it turns whole lines into text."""
        return self.until != self.line

    @property
    def problem(self) -> str:
        """What is wrong, and what to do."""
        closed = "and never closed" if self.until is None else "and not closed at the end of its field"
        return (
            f"a quotation mark is opened there {closed}, so what follows counts as text. Close it, or remove it; a "
            "quotation mark that belongs to a text in quotes is written twice."
        )


def open_quotes(lines: Iterable[str], separator: str) -> Iterator[OpenQuote]:
    r"""The quotation marks of a text that open a field and do not end it, as programs read such text.

    Args:
        lines: in order.
        separator: between fields.

    Example:
        >>> [each.line for each in open_quotes(['a,b\n', '"1",5"\n', '"two\n', 'lines",""\n', '1,"2\n', '3,4\n'], ",")]
        [5]
    """
    opened = 0  # the line of the mark whose field this is; 0 outside quotation marks
    for number, line in enumerate(lines, start=1):
        text, place = line.rstrip("\r\n"), 0
        while place <= len(text):
            if not opened and text.startswith('"', place):
                opened, place = number, place + 1
            elif not opened:
                place = (text.find(separator, place) + 1) or len(text) + 1
            elif (mark := text.find('"', place)) < 0:
                break
            elif text.startswith('""', mark):
                place = mark + 2
            else:
                if not (text[mark + 1 :].lstrip(" ") + separator).startswith(separator):
                    yield OpenQuote(opened, number)
                opened, place = 0, (text.find(separator, mark + 1) + 1) or len(text) + 1
    if opened:
        yield OpenQuote(opened, None)
