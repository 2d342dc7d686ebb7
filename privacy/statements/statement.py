"""What every privacy statement can say, whatever the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import dp_accounting

from privacy.accounting.events import composed
from privacy.accounting.rdp import epsilon_by_rdp


@dataclass(frozen=True)
class Chosen:
    """What a release is made of.

    Args:
        cohort: name that its schema has.
        epochs: different epochs that were released.
        training: by trial that they come from, everything that its training ran on participants.
        nominal_size: public number of complete participants.
        internal_before: times the data steward looked at real participants before the release was drawn.
        redrawn: how often this study drew a release before.
        candidates: names of the candidates that they are of.
        labelled: whether there is a label to predict.
    """

    cohort: str
    epochs: int
    training: tuple[dp_accounting.DpEvent, ...]
    nominal_size: int
    internal_before: int = 0
    redrawn: int = 0
    candidates: tuple[str, ...] = ()
    labelled: bool = True

    @property
    def trials(self) -> int:
        """Trials that the epochs come from."""
        return len(self.training)

    def epsilon(self, delta: float) -> float:
        """Of the training of all chosen trials together; infinity where one adds no noise."""
        return epsilon_by_rdp(composed(self.training), delta)

    def winning_run_epsilon(self, delta: float) -> float:
        """Largest of a single chosen trial's training."""
        return max(epsilon_by_rdp(event, delta) for event in self.training)


SCORE = "A score is how well a classifier trained on synthetic participants predicts real ones."
"""What a score is, unless a policy says otherwise."""


class Statement(Protocol):
    """The privacy statement of a release, and what else of it depends on the policy."""

    @property
    def cohort(self) -> str:
        """Name of the cohort."""

    @property
    def epsilon(self) -> float:
        """What is stated; infinity where there is no guarantee."""

    @property
    def delta(self) -> float:
        """The delta of every epsilon."""

    @property
    def winning_run_epsilon(self) -> float:
        """What would be stated if the training of the costliest chosen trial were all."""

    @property
    def receipt(self) -> str:
        """The cohort's ledger as of the release."""

    @property
    def chosen_trials(self) -> int:
        """Trials that the released epochs come from."""

    @property
    def chosen_epochs(self) -> int:
        """Epochs that were released."""

    @property
    def first_line(self) -> str:
        """The sentence that must be read if only one is."""

    @property
    def method(self) -> str:
        """How the search read participants, in a few sentences."""

    @property
    def score(self) -> str:
        """What a score is, in a sentence."""

    @property
    def picking(self) -> str:
        """How the released epochs were picked, in a sentence."""

    def events(self) -> dict[str, Any]:
        """Every charged event as JSON has it, from which anyone may compute epsilon again."""

    def text(self) -> str:
        """The whole statement, one page of Markdown."""

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
