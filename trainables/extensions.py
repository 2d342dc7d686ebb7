"""What other packages add to this one: candidates, scores and networks, by entry points.

An installed package is known to every process that has it installed: a study's driver, its workers on any machine, and
whoever builds or draws from the release later. No study's folder can name code to be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

CANDIDATES, SCORES, NETWORKS = "dpgan_tune.candidates", "dpgan_tune.scores", "dpgan_tune.networks"
"""Groups of entry points."""


class ExtensionError(Exception):
    """An installed package adds something that cannot be used; the message says which and why."""


@cache
def added(group: str) -> Mapping[str, EntryPoint]:
    """What installed packages add, by name; nothing is imported.

    Raises:
        ExtensionError: a name is added more than once, so nobody could say what it stands for.
    """
    found: dict[str, EntryPoint] = {}
    for each in entry_points(group=group):
        if each.name in found:
            raise ExtensionError(_added_twice(found[each.name], each))
        found[each.name] = each
    return found


def _added_twice(one: EntryPoint, other: EntryPoint) -> str:
    packages, values = [_package(each) for each in (one, other)], f"by {one.value} and by {other.value}"
    if packages[0] == packages[1]:
        return f"{packages[0]} adds {one.name} ({one.group}) twice, {values}. Mend or uninstall {packages[0]}."
    both = " and ".join(sorted(packages))
    return (
        f"{both} both add {one.name} ({one.group}), {values}, and a name can stand for one thing only. Uninstall one "
        "of the two packages, or have it use another name."
    )


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an installed package"


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
    package = _package(entry)
    return ExtensionError(
        f"{package} adds {entry.name} ({entry.group}) by {entry.value}, {why}. Mend or uninstall {package}."
    )
