"""The one error this package raises for something the user can put right."""

from __future__ import annotations


class AnalysisError(ValueError):
    """A study that cannot be turned into a release; the message is one paragraph for the user."""
