"""A search space: what Optuna may vary, and what stays fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from optuna import Trial

from search_spaces.domain import Scalar
from search_spaces.entry import Entry


@dataclass(frozen=True)
class SearchSpace:
    """Draws every hyperparameter of a trial.

    It is called with an Optuna trial, the form in which Ray's ``OptunaSearch`` takes a conditional space, and
    Ray pickles it, so it holds values only.

    Args:
        name: what a person calls it.
        source: the file it was read from.
        entries: (hyperparameter, entry), in the order in which they are drawn.
    """

    name: str
    source: Path
    entries: tuple[tuple[str, Entry], ...]

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names of all hyperparameters, fixed ones too."""
        return tuple(name for name, _ in self.entries)

    def values(self, hyperparameter: str) -> tuple[Scalar, ...]:
        """The values listed for a hyperparameter; empty for a range and for one the space does not mention."""
        return next((entry.values() for name, entry in self.entries if name == hyperparameter), ())

    def least(self, hyperparameter: str) -> float | None:
        """The least number that a hyperparameter may be; None for one that the space does not mention."""
        return next((entry.least() for name, entry in self.entries if name == hyperparameter), None)

    def greatest(self, hyperparameter: str) -> float | None:
        """The greatest number that a hyperparameter may be; None for one that the space does not mention."""
        return next((entry.greatest() for name, entry in self.entries if name == hyperparameter), None)

    def suggestable(self, wanted: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Of values that a configuration should have, those that Optuna could suggest: what ``enqueue_trial`` takes.

        Args:
            wanted: by hyperparameter.
        """
        return {
            name: wanted[name] for name, entry in self.entries if name in wanted and entry.may_suggest(wanted[name])
        }

    def __call__(self, trial: Trial) -> dict[str, Scalar]:
        """Draw one configuration.

        Args:
            trial: asked for every hyperparameter that is searched.

        Returns:
            A value for every hyperparameter of the space.
        """
        drawn: dict[str, Scalar] = {}
        for name, entry in self.entries:
            drawn[name] = entry.draw(name, trial, drawn)
        return drawn

    def to_yaml(self) -> str:
        """Write the space as a file that loads to the same entries."""
        spec = {name: entry.spec() for name, entry in self.entries}
        return yaml.safe_dump(spec, sort_keys=False, default_flow_style=None)
