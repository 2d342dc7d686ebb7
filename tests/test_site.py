"""The site that make docs builds: it needs no network, and every public name and command has its place in it."""

import re
import zlib
from importlib import import_module
from inspect import isclass, isroutine
from pathlib import Path

import pytest

from tuner.command import COMMANDS

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
PAGES = {page.stem for pattern in ("*.md", "*.ipynb") for page in (ROOT / "docs").glob(pattern)} - {"index"}

built = pytest.mark.skipif(not (SITE / "objects.inv").is_file(), reason="make docs builds it, and make check")


@pytest.fixture(scope="module")
def described() -> set[str]:
    """Full names of what the reference describes."""
    inventory = (SITE / "objects.inv").read_bytes()
    content = zlib.decompress(inventory.split(b"\n", 4)[4]).decode()
    return {line.split()[0] for line in content.splitlines() if " py:" in line}


@built
@pytest.mark.parametrize("package", ["analysis", "cohorts", "privacy", "privacy.policies", "search_spaces", "tuner"])
def test_every_public_class_and_function_is_in_the_reference(described, package):
    module = import_module(package)
    public = [name for name in module.__all__ if isclass(found := getattr(module, name)) or isroutine(found)]
    assert public and {f"{package}.{name}" for name in public} <= described


@built
def test_what_packages_add_is_in_the_reference(described):
    names = {"candidate.Candidate", "candidate.register", "scoring.score.Likeness", "scoring.score.Classifier"}
    assert {f"trainables.{name}" for name in names} <= described


@built
def test_the_site_loads_nothing_from_elsewhere():
    pages = [page for page in SITE.rglob("*") if page.suffix in (".html", ".css")]
    tags = r"<(?:script|img|iframe)[^>]*\ssrc=|<link[^>]*\shref=|url\("
    loaded = re.compile(rf"""(?:{tags})["']?(?:https?:)?//|@import""")
    assert len(pages) > len(PAGES)
    assert [page.name for page in pages if loaded.search(page.read_text())] == []


@built
def test_every_page_and_picture_is_in_the_site():
    assert {page.stem for page in SITE.glob("*.html")} >= PAGES
    index = (SITE / "index.html").read_text()
    assert all(f'href="{page}.html"' in index for page in PAGES)
    assert "medians-SBP.png" in index and (SITE / "_images" / "medians-SBP.png").is_file()


def test_every_command_has_its_help_in_the_reference():
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    shown = set(re.findall(r"^```\{command-help\} (.+)$", page, re.MULTILINE))
    for name, command in COMMANDS.items():
        if name != "plan":  # run's own
            assert " ".join([command.module, *command.words]) in shown, name
            assert f"## dpgan-tune {name}\n" in page
