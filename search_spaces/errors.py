"""What is raised for a search space a person can put right."""

from __future__ import annotations


class SearchSpaceError(ValueError):
    """A search space that cannot be used: one paragraph naming the file, the key and what to do."""
