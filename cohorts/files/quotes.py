"""Quotation marks that open a field of a text file and do not end it, or rows later: what follows counts as text.

Two marks of one participant can swallow the rows of others between them, so their values would depend on that one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class OpenQuote:
    """A quotation mark that opens a field and does not end it, or that ends it rows later.

    Args:
        line: where it stands.
        until: the line of the next mark; None where there is none.
        takes_rows: whether that ends the field, with rows in between.
    """

    line: int
    until: int | None
    takes_rows: bool = False

    @property
    def swallows_lines(self) -> bool:
        """Whether it turns whole lines into text."""
        return self.until != self.line

    @property
    def problem(self) -> str:
        """What is wrong, and what to do."""
        if self.takes_rows:
            return (
                f"a quotation mark is opened there and closed in line {self.until}, and lines in between look like "
                "rows, which would count as text of that field. Remove it, or close it in its line; a text of several "
                "lines must not look like rows."
            )
        closed = "and never closed" if self.until is None else "and not closed at the end of its field"
        return (
            f"a quotation mark is opened there {closed}, so what follows counts as text. Close it, or remove it; a "
            "quotation mark that belongs to a text in quotes is written twice."
        )


def open_quotes(lines: Iterable[str], separator: str, fields: int = 0) -> Iterator[OpenQuote]:
    r"""The quotation marks of a text that open a field and do not end it, or rows later, as programs read such text.

    Args:
        lines: in order.
        separator: between fields.
        fields: of a row; if 0, nobody asks whether there are rows in between.

    Example:
        >>> [each.line for each in open_quotes(['a,b\n', '"1",5"\n', '"two\n', 'lines",""\n', '1,"2\n', '3,4\n'], ",")]
        [5]
        >>> [each.line for each in open_quotes(['a,b,c\n', '1,2,"x\n', '3,4,y\n', '1,2,"z\n', '5,6,"7"\n'], ",", 3)]
        [2]
        >>> [each.line for each in open_quotes(['a,b,c\n', '1,2,"x\n', '3,"",y\n', '1,2,z"\n', '5,6,"7"\n'], ",", 3)]
        [2]
        >>> [each.line for each in open_quotes(['a,b,c\n', '1,2,"x\n', '3,4,y"\n', '5,6,"7"\n'], ",", 3)]
        [2]
        >>> [each.line for each in open_quotes(['a,b,c\n', '1,"x\n', 'y, z",2\n', '"3\n', '4",5,6\n'], ",", 3)]
        []
    """

    def looks_like_a_row(text: str) -> bool:
        return (
            fields > 1 and bool(closed.fullmatch(text)) and len(next(csv.reader([text], delimiter=separator))) == fields
        )

    opened = 0  # the line of the mark whose field this is; 0 outside quotation marks
    rows = False  # whether there was one since
    field = rf'(?:"(?:[^"]++|"")*+" *|(?!")[^{re.escape(separator)}]*+)'
    closed = re.compile(f"{field}(?:{re.escape(separator)}{field})*")  # nearly all lines, and at once
    for number, line in enumerate(lines, start=1):
        text, place, within = line.rstrip("\r\n"), 0, opened
        if not opened and closed.fullmatch(text):
            continue
        while place <= len(text):
            if not opened and text.startswith('"', place):
                opened, rows, place = number, False, place + 1
            elif not opened:
                place = (text.find(separator, place) + 1) or len(text) + 1
            elif (mark := text.find('"', place)) < 0:
                break
            elif text.startswith('""', mark):
                place = mark + 2
            else:
                if not (text[mark + 1 :].lstrip(" ") + separator).startswith(separator):
                    yield OpenQuote(opened, number)
                elif rows or (within == opened and text[:mark].count(separator) >= fields - 1 > 0):
                    yield OpenQuote(opened, number, takes_rows=True)
                opened, place = 0, (text.find(separator, mark + 1) + 1) or len(text) + 1
        rows = rows or (within == opened > 0 and looks_like_a_row(text))
    if opened:
        yield OpenQuote(opened, None)
