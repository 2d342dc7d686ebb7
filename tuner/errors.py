"""What is raised for a study a person can put right."""

from __future__ import annotations

from analysis.machine import MachineError

__all__ = ["MachineError", "StudyError"]


class StudyError(ValueError):
    """A study that cannot start or go on: one paragraph saying what is wrong, where, and what to do."""
