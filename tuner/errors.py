"""What is raised for a study a person can put right."""

from __future__ import annotations


class StudyError(ValueError):
    """A study that cannot start or go on: one paragraph saying what is wrong, where, and what to do."""


class MachineError(RuntimeError):
    """A machine that cannot run the study now, through nobody's mistake: one paragraph, and what to try."""
