"""How good synthetic participants are: scores by name, one file each, and the judge that computes them.

Installed packages add others by entry points.
"""

from functools import cache

from trainables.extensions import SCORES, added, loaded
from trainables.scoring import (
    correlations,
    k_nearest_neighbours,
    linear_svm,
    logistic_regression,
    marginals,
    random_forest,
)
from trainables.scoring.score import Classifier, Likeness, Score

__all__ = ["Classifier", "Likeness", "Score", "classifiers", "likenesses", "register", "steering"]

_classifiers: dict[str, Classifier] = {}
_likenesses: dict[str, Likeness] = {}


def register(each: Classifier | Likeness) -> None:
    """Make a classifier or a likeness known by its name; a classifier that steers costs every study some noise."""
    if isinstance(each, Classifier):
        _classifiers[each.name] = each
    else:
        _likenesses[each.score.name] = each


def classifiers() -> dict[str, Classifier]:
    """Every classifier of the report, by name."""
    _add_installed()
    return dict(_classifiers)


def steering() -> dict[str, Classifier]:
    """Those whose AUCs steer the search, by name."""
    return {name: each for name, each in classifiers().items() if each.steering is not None}


def likenesses() -> dict[str, Likeness]:
    """Every likeness, by name."""
    _add_installed()
    return dict(_likenesses)


@cache
def _add_installed() -> None:
    """Register what installed packages add, once."""
    for entry in added(SCORES).values():
        register(loaded(entry))


for module in (logistic_regression, random_forest, linear_svm, k_nearest_neighbours):
    register(module.CLASSIFIER)
for module in (correlations, marginals):
    register(module.LIKENESS)
