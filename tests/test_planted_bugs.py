"""Every mistake of ``planted_bugs`` is caught by the test that its table names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.planted_bugs import PLANTED, PlantedBug

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "privacy.md"


class Outcomes:
    """What pytest says of the tests it runs, and why one failed."""

    def __init__(self) -> None:
        self.passed, self.failed, self.broken = 0, 0, []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if report.failed and not (call.when == "call" and call.excinfo.errisinstance(AssertionError)):
            self.broken.append(f"{item.nodeid}: {call.excinfo.exconly()}")
        elif report.when == "call":
            self.passed += report.passed
            self.failed += report.failed
        return report


def run(test: str) -> Outcomes:
    """Run a test in this process, where the mistake is planted."""
    outcomes = Outcomes()
    settings.load_profile("unshrunk")
    try:
        quiet = ["-q", "--no-header", "-p", "no:cacheprovider", "-o", "addopts="]
        pytest.main([*quiet, str(ROOT / test)], plugins=[outcomes])
    finally:
        settings.load_profile("untimed")
    return outcomes


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.what)
def test_a_planted_bug_is_caught(bug: PlantedBug):
    with bug.planted():
        outcomes = run(bug.caught_by)
    assert not outcomes.broken, "the mistake must make a claim false, not the code stop"
    assert outcomes.failed


def test_the_table_in_the_documentation_is_this_one():
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and "test_" in line]
    assert rows == [f"| {bug.what} | `{bug.caught_by}` |" for bug in PLANTED]
