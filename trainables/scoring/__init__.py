"""How good synthetic participants are: scores by name, one file each, and the judge that computes them.

Installed packages add others by entry points.
"""

from collections.abc import Collection
from functools import cache
from importlib.metadata import EntryPoint

from cohorts import Schema
from trainables.extensions import SCORES, ExtensionError, added, loaded, unusable
from trainables.scoring import (
    correlations,
    k_nearest_neighbours,
    linear_svm,
    logistic_regression,
    marginals,
    random_forest,
)
from trainables.scoring.score import Classifier, Likeness, Score
from trainables.scoring.taken import is_taken

__all__ = [
    "Classifier",
    "Likeness",
    "Score",
    "classifiers",
    "is_own",
    "likenesses",
    "require_scored_by",
    "steering",
]

_classifiers: dict[str, Classifier] = {
    module.CLASSIFIER.name: module.CLASSIFIER
    for module in (logistic_regression, random_forest, linear_svm, k_nearest_neighbours)
}
_likenesses: dict[str, Likeness] = {module.LIKENESS.score.name: module.LIKENESS for module in (correlations, marginals)}
_OWN = frozenset({*_classifiers, *_likenesses})


def classifiers() -> dict[str, Classifier]:
    """Every classifier of the report, by name."""
    _add_installed()
    return dict(_classifiers)


def steering() -> dict[str, Classifier]:
    """Those whose AUCs steer the search, by name; each costs every study some noise."""
    return {name: each for name, each in classifiers().items() if each.steering is not None}


def likenesses() -> dict[str, Likeness]:
    """Every likeness, by name."""
    _add_installed()
    return dict(_likenesses)


def is_own(name: str) -> bool:
    """Whether a score is the project's own, and no installed package's."""
    return name in _OWN


def require_scored_by(planned: Collection[str], schema: Schema) -> None:
    """Refuse to go on with a study, or to read it, where other classifiers steer than it was planned with.

    Raises:
        ExtensionError: they do; without a label none does.
    """
    here = set(steering())
    if here == set(planned) or len(schema.label.classes) < 2:
        return
    missing, more = sorted(set(planned) - here), sorted(here - set(planned))
    mend = " and ".join(
        f"{verb} the package that adds {', '.join(names)}"
        for verb, names in (("install", missing), ("uninstall", more))
        if names
    )
    raise ExtensionError(
        f"The study was planned to be scored by {', '.join(sorted(planned))}, and those that are installed here and "
        f"steer are {', '.join(sorted(here))}. It needs the same ones on every machine, and wherever its release is "
        f"built: {mend}."
    )


@cache
def _add_installed() -> None:
    """Make known what installed packages add, once; the project's own names keep their meaning."""
    for entry in added(SCORES).values():
        if not is_own(entry.name):
            _add(entry, loaded(entry))


def _add(entry: EntryPoint, found: object) -> None:
    if not isinstance(found, Classifier | Likeness):
        raise unusable(entry, "which is neither a Classifier nor a Likeness")
    name = found.name if isinstance(found, Classifier) else found.score.name
    if name != entry.name:
        raise unusable(entry, f"whose name is {name!r} and must be the entry point's")
    if isinstance(found, Likeness) and is_taken(name):
        raise unusable(entry, "a likeness, and another figure is reported of every epoch under that name")
    if isinstance(found, Classifier):
        _classifiers[name] = found
    else:
        _likenesses[name] = found
