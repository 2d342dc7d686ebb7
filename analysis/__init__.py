"""Scored epochs in, ensemble release out: selection, figures, transfer table, release.

`build_release`, `combine`, `exit_status` and `print_report` are imported when first asked for: they bring PyTorch, Ray,
matplotlib and SciPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.errors import AnalysisError
from analysis.study import StudyDirectory, StudySettings

if TYPE_CHECKING:
    from analysis.build import ReleaseSummary, build_release
    from analysis.report import exit_status, print_report
    from analysis.rubin import combine

__all__ = [
    "AnalysisError",
    "ReleaseSummary",
    "StudyDirectory",
    "StudySettings",
    "build_release",
    "combine",
    "exit_status",
    "print_report",
]


def __getattr__(name: str) -> Any:
    if name in ("ReleaseSummary", "build_release"):
        from analysis import build

        return getattr(build, name)
    if name == "combine":
        from analysis import rubin

        return rubin.combine
    if name in ("exit_status", "print_report"):
        from analysis import report

        return getattr(report, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
