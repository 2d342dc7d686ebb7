"""docs/performance.md, of which every bench writes its own section."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def write_section(name: str, text: str) -> None:
    """Replace a bench's section, or add it at the end."""
    section = f"<!-- {name}: begin -->\n{text.strip()}\n<!-- {name}: end -->\n"
    page = PAGE.read_text() if PAGE.exists() else "# What a trial costs in time\n"
    pattern = re.compile(rf"<!-- {name}: begin -->\n.*?<!-- {name}: end -->\n", re.DOTALL)
    found = pattern.search(page)
    page = page[: found.start()] + section + page[found.end() :] if found else f"{page.rstrip()}\n\n{section}"
    PAGE.write_text(page)
