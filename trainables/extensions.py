"""What other packages add to this one: candidates, scores and networks, by entry points.

An installed package is known to every process that has it installed: a study's driver, its workers on any machine, and
whoever builds or draws from the release later. No study's folder can name code to be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

CANDIDATES, SCORES, NETWORKS = "dpgan_tune.candidates", "dpgan_tune.scores", "dpgan_tune.networks"
"""Groups of entry points."""


class ExtensionError(Exception):
    """An installed package adds something that cannot be used; the message says which and why."""


def added(group: str) -> Mapping[str, EntryPoint]:
    """What installed packages add, by name; nothing is imported."""
    return {each.name: each for each in entry_points(group=group)}


def loaded(entry: EntryPoint) -> Any:
    """What an entry point stands for.

    Raises:
        ExtensionError: it cannot be imported.
    """
    try:
        return entry.load()
    except Exception as error:
        raise unusable(entry, f"which cannot be imported: {type(error).__name__}: {error}") from error


def unusable(entry: EntryPoint, why: str) -> ExtensionError:
    """What is to be raised of an entry point; why is the end of a sentence about what it stands for."""
    package = entry.dist.name if entry.dist else "an installed package"
    return ExtensionError(
        f"{package} adds {entry.name} ({entry.group}) by {entry.value}, {why}. Mend or uninstall {package}."
    )
