"""The privacy statement of a release, in words an ethics board can read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any


@dataclass(frozen=True)
class UnaccountedSearch:
    """What a study under the policy ``unaccounted`` can honestly say.

    Args:
        study: name of the study.
        cohort: name of the cohort.
        public_cohort: whether the schema marks the cohort as public.
        trials: configurations the study trained.
        chosen_trials: trials that the released epochs come from.
        chosen_epochs: epochs that were released.
        epsilon: of the training of all chosen trials together; infinity without noise.
        winning_run_epsilon: largest epsilon of one chosen trial's training.
        all_trials_epsilon: of the training of every trial of the study, whatever became of it.
        earlier_studies: other studies of the cohort that its ledger records.
        receipt: the cohort's ledger as of the release.
        delta: the delta of every epsilon.
        shares: expected shares of participants in training, validation and test.
        nominal_size: public number of complete participants.
    """

    study: str
    cohort: str
    public_cohort: bool
    trials: int
    chosen_trials: int
    chosen_epochs: int
    epsilon: float
    winning_run_epsilon: float
    all_trials_epsilon: float
    earlier_studies: int
    receipt: str
    delta: float
    shares: tuple[float, float, float]
    nominal_size: int

    @property
    def first_line(self) -> str:
        """The sentence that must be read if only one is."""
        if math.isinf(self.epsilon):
            return (
                "This release is not differentially private: at least one of its generators was trained without noise, "
                "and the search for hyperparameters and the selection of epochs are not covered by any guarantee."
            )
        return (
            f"Epsilon {self.epsilon:.2f} (delta {self.delta:g}) covers the training of the chosen trials only: the "
            "search for hyperparameters, the early stopping and the selection of epochs also read participants and "
            "are NOT covered."
        )

    @property
    def method(self) -> str:
        """How the search read participants, in a few sentences."""
        trained = (
            "without noise" if math.isinf(self.epsilon) else "with differentially private stochastic gradient descent"
        )
        return (
            f"It trained {self.trials} AC-GANs with different hyperparameters, those that were chosen {trained}, and "
            "judged epochs by how well a classifier trained on synthetic participants predicts real ones."
        )

    def as_json(self) -> dict[str, Any]:
        """The same for machines; infinity is the word "infinite"."""
        fields = {
            name: "infinite" if isinstance(value, float) and math.isinf(value) else value
            for name, value in asdict(self).items()
        }
        return {"statement": self.first_line, "accounted": False, "policy": "unaccounted", **fields}

    def text(self) -> str:
        """The whole statement, one page of Markdown."""
        return "\n\n".join(
            [
                f"# Privacy statement: study {self.study}, cohort {self.cohort}",
                f"**{self.first_line}**",
                self._protection(),
                self._training(),
                self._search(),
                self._public_assumptions(),
                "## What else it does not cover\n\n"
                "Anyone who sees the study's terminal, its dashboards, `study.db`, `trials/` or `internal/`, which "
                "hold figures of real participants, and any other study or publication of the same participants. "
                "Guarantees of several releases add up.",
                f"Accountant: Renyi differential privacy, dp-accounting {version('dp-accounting')}. "
                "Training: DP-SGD on the discriminator (Abadi et al. 2016), Poisson sampling of participants.",
            ]
        )

    def _protection(self) -> str:
        kept = (
            "The schema marks this cohort as public, so nobody's privacy is at stake in this release."
            if self.public_cohort
            else "Random numbers came from the operating system and were not stored."
        )
        return (
            "## What is protected\n\n"
            "The unit of protection is one participant with all of their visits. The neighbouring relation is adding "
            f"or removing one participant. {kept}"
        )

    def _training(self) -> str:
        def shown(epsilon: float) -> str:
            return "no bound" if math.isinf(epsilon) else f"epsilon {epsilon:.2f}"

        return (
            "## What was counted\n\n"
            f"The release is made by {self.chosen_epochs} generators that come from {self.chosen_trials} of the "
            f"study's {self.trials} trials.\n\n"
            f"| training of | at delta {self.delta:g} |\n|---|---|\n"
            f"| all {self.chosen_trials} chosen trials together | {shown(self.epsilon)} |\n"
            f"| the costliest chosen trial alone (what is often quoted) | {shown(self.winning_run_epsilon)} |\n"
            f"| all {self.trials} trials, whatever became of them | {shown(self.all_trials_epsilon)} |\n\n"
            "Every reading of participants was written to the cohort's ledger before it took place, work repeated "
            f"after a crash included; the ledger as of this release is {self.receipt}. {self._earlier()}"
        )

    def _earlier(self) -> str:
        if not self.earlier_studies:
            return "It records no other study of these participants."
        studies = "1 other study" if self.earlier_studies == 1 else f"{self.earlier_studies} other studies"
        return f"It also records {studies} of these participants, which the figures above leave out."

    def _search(self) -> str:
        train, validation, test = (f"{share:.0%}" for share in self.shares)
        return (
            "## What was not counted\n\n"
            f"All {self.trials} trials trained on the same participants (about {train} of the cohort), and every "
            f"scored epoch was judged, without noise, on further participants (about {validation}). Those scores "
            "decided which trials were stopped, what was tried next and which epochs were released, so the release "
            "depends on these participants in ways that the figures above leave out. The true loss of privacy is "
            "larger than stated, by an amount that has no bound, because the scores carry no noise. The remaining "
            f"participants (about {test}) had no part in making the release; they serve the internal report."
        )

    def _public_assumptions(self) -> str:
        return (
            "## What is taken as public\n\n"
            "The schema: names, units, ranges and categories of all measures, the visits, the shares of the label's "
            f"classes, and the nominal number of complete participants ({self.nominal_size}). They were written down "
            "by a person, not computed from the files. That a given person took part in the trial is protected."
        )
