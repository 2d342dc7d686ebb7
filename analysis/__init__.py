"""Scored epochs in, ensemble release out: selection, figures, transfer table, release.

`build_release` and `print_report` are imported when first asked for: they bring PyTorch, Ray and matplotlib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.errors import AnalysisError
from analysis.study import StudyDirectory, StudySettings

if TYPE_CHECKING:
    from analysis.build import ReleaseSummary, build_release
    from analysis.report import print_report

__all__ = ["AnalysisError", "ReleaseSummary", "StudyDirectory", "StudySettings", "build_release", "print_report"]


def __getattr__(name: str) -> Any:
    if name in ("ReleaseSummary", "build_release"):
        from analysis import build

        return getattr(build, name)
    if name == "print_report":
        from analysis.report import print_report

        return print_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
