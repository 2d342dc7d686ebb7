"""Every link in a page of Markdown leads somewhere: files exist, and headings that are named exist too."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", ".github/**/*.md")
               for page in ROOT.glob(pattern))  # fmt: skip
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its code, in which brackets are no links."""
    return CODE.sub(lambda code: "" if "\n" in code[0] else code[0].strip("`"), page.read_text())


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere; those to other sites are not followed."""
    found = []
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / unquote(name) if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_leads_nowhere(page):
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# The `gate`, again\n[a](page.md#the-gate-again) [b](gone.md) [c](#gone) `[d](gone.md)`\n")
    assert broken(page) == ["gone.md", "#gone"]
    assert len(PAGES) > 10
