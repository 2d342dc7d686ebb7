"""Pages of docs/ of which every bench writes its own section."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def write_section(name: str, text: str, file: Path = PAGE) -> None:
    """Replace a bench's section of a page, docs/performance.md unless another is named, or add it at the end."""
    section = f"<!-- {name}: begin -->\n{text.strip()}\n<!-- {name}: end -->\n"
    page = file.read_text() if file.exists() else "# What a trial costs in time\n"
    pattern = re.compile(rf"<!-- {name}: begin -->\n.*?<!-- {name}: end -->\n", re.DOTALL)
    found = pattern.search(page)
    page = page[: found.start()] + section + page[found.end() :] if found else f"{page.rstrip()}\n\n{section}"
    file.write_text(page)
