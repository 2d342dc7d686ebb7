"""What a report consists of, whoever it is for: sections of prose, tables and pictures, as a page and as JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: what it shows.
        columns: headings.
        rows: cells, as they are to be read.
        look_for: a sentence that says what to look for.
        data: the same numbers for machines, where cells are words; the rows themselves by default.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    look_for: str = ""
    data: Any = None

    @property
    def picture(self) -> bool:
        """Whether it is a picture."""
        return False

    def as_json(self) -> dict[str, Any]:
        """Headings and rows, or the numbers behind them."""
        rows = (
            self.data if self.data is not None else [dict(zip(self.columns, each, strict=True)) for each in self.rows]
        )
        return {"title": self.title, "look_for": self.look_for, "rows": rows}


@dataclass(frozen=True)
class Picture:
    """A figure.

    Args:
        title: what it shows.
        png: the picture.
        look_for: a sentence that says what to look for.
        data: the numbers behind it.
    """

    title: str
    png: bytes
    look_for: str
    data: Any = None

    @property
    def picture(self) -> bool:
        """Whether it is a picture."""
        return True

    @property
    def source(self) -> str:
        """The picture within the page itself."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

    def as_json(self) -> dict[str, Any]:
        """The numbers behind it."""
        return {"title": self.title, "look_for": self.look_for, "data": self.data}


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Args:
        title: the heading.
        prose: paragraphs.
        blocks: tables and pictures, after the prose.
    """

    title: str
    prose: Sequence[str] = ()
    blocks: Sequence[Table | Picture] = ()


def paragraph(text: str) -> str:
    """A paragraph as a page has it, whatever stands in it escaped."""
    return Environment(autoescape=True).from_string("<p>{{ text }}</p>").render(text=text)


@dataclass(frozen=True)
class Report:
    """A whole report.

    Args:
        title: of the page.
        subtitle: the line below it.
        banner: stands on every printed page; empty for none.
        verdict: ``passed``, ``failed`` or ``not judged``, for a colour.
        summary: the paragraph that must be read if only one is.
        sections: what follows.
    """

    title: str
    subtitle: str
    banner: str
    verdict: str
    summary: str
    sections: Sequence[Section] = field(default_factory=tuple)

    def as_html(self) -> str:
        """One self-contained page; whatever stands in names is escaped."""
        environment = Environment(
            loader=PackageLoader("analysis.reports", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template(TEMPLATE).render(report=self)

    def as_json(self) -> Mapping[str, Any]:
        """The same numbers."""
        return {
            "title": self.title,
            "banner": self.banner,
            "verdict": self.verdict,
            "summary": self.summary,
            "sections": [
                {"title": each.title, "prose": list(each.prose), "blocks": [block.as_json() for block in each.blocks]}
                for each in self.sections
            ],
        }
