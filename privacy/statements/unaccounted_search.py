"""The privacy statement of a release whose search is not covered, in words an ethics board can read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from privacy.accounting.events import json_fields, json_number
from privacy.ledger.summary import Summary, epsilon_of_study
from privacy.planning.plan import StudyPlan
from privacy.statements import sections
from privacy.statements.events import charged_events
from privacy.statements.sections import decimals_up
from privacy.statements.statement import SCORE, Chosen

PAPERS_EPSILON, PAPERS_SIZE = 0.05, 500
"""Of a pick in the paper: Laplace noise of scale 1 / (epsilon x size) on each epoch's accuracy, size falling by one."""


@dataclass(frozen=True)
class UnaccountedSearch:
    """What a study can honestly say that searched freely.

    Args:
        study: name of the study.
        cohort: name of the cohort.
        ledger: which one, in words that tell it from any other.
        public_cohort: whether the schema marks the cohort as public.
        policy: how the study searched.
        trials: configurations the study trained.
        chosen_trials: trials that the released epochs come from.
        chosen_epochs: epochs that were released.
        epsilon: of the training of all chosen trials together; infinity without noise.
        winning_run_epsilon: largest epsilon of one chosen trial's training.
        all_trials_epsilon: of the training of every trial of the study, whatever became of it.
        other_studies: other studies of the cohort that its ledger records.
        other_people: cohorts whose participants are others, as the data steward said.
        internal_before: times the data steward looked at real participants before this release was drawn.
        redrawn: how often this study drew a release before.
        receipt: the cohort's ledger as of the release.
        delta: the delta of every epsilon.
        shares: expected shares of participants in training, validation and test.
        nominal_size: public number of complete participants.
        noisy_picks: whether epochs were picked by accuracy with the noise of the paper.
    """

    study: str
    cohort: str
    ledger: str
    public_cohort: bool
    policy: str
    trials: int
    chosen_trials: int
    chosen_epochs: int
    epsilon: float
    winning_run_epsilon: float
    all_trials_epsilon: float
    other_studies: int
    other_people: tuple[str, ...]
    internal_before: int
    redrawn: int
    receipt: str
    delta: float
    shares: tuple[float, float, float]
    nominal_size: int
    noisy_picks: bool
    summary: Summary = field(repr=False, compare=False)

    @classmethod
    def of(cls, summary: Summary, plan: StudyPlan, chosen: Chosen) -> UnaccountedSearch:
        """The statement of a study's verified ledger.

        Args:
            summary: of the ledger as the study sees it.
            plan: of the study.
            chosen: what the release is made of.
        """
        study, delta = str(summary.study), plan.delta
        return cls(
            study=study,
            cohort=chosen.cohort,
            ledger=summary.ledger,
            public_cohort=summary.public,
            policy=plan.policy,
            trials=plan.on_participants.trials,
            chosen_trials=chosen.trials,
            chosen_epochs=chosen.epochs,
            epsilon=chosen.epsilon(delta),
            winning_run_epsilon=chosen.winning_run_epsilon(delta),
            all_trials_epsilon=epsilon_of_study(summary, study, "train", delta),
            other_studies=len({entry.study for entry in summary.entries} - {study, None}),
            other_people=summary.other_people,
            internal_before=chosen.internal_before,
            redrawn=chosen.redrawn,
            receipt=str(summary.receipt),
            delta=delta,
            shares=(plan.shares.train, plan.shares.validation, plan.shares.test),
            nominal_size=chosen.nominal_size,
            noisy_picks=plan.noisy_picks,
            summary=summary,
        )

    @property
    def first_line(self) -> str:
        """The sentence that must be read if only one is."""
        if math.isinf(self.epsilon):
            return (
                "This release is not differentially private: at least one of its generators was trained without noise, "
                "or with too little for any guarantee, and the search for hyperparameters and the selection of epochs "
                "are not covered by any guarantee."
            )
        return (
            f"Epsilon {decimals_up(self.epsilon, 2)} (delta {self.delta:g}) covers the training of the chosen trials "
            "only: the search for hyperparameters, the early stopping and the selection of epochs also read "
            "participants and are NOT covered."
        )

    @property
    def method(self) -> str:
        """How the search read participants, in a few sentences."""
        trained = (
            "not all with enough noise for a guarantee"
            if math.isinf(self.epsilon)
            else "with differentially private stochastic gradient descent"
        )
        return (
            f"It trained {self.trials} generators with different hyperparameters, the chosen ones {trained}, "
            "and judged epochs by how well a classifier trained on synthetic participants predicts real ones."
        )

    @property
    def score(self) -> str:
        """What a score is."""
        return SCORE

    @property
    def picking(self) -> str:
        """How the released epochs were picked."""
        best = "each classifier scored best"
        if self.noisy_picks:
            best = (
                "each classifier was most accurate with, once noise was added as in the paper (Laplace, of scale "
                f"{1 / (PAPERS_EPSILON * PAPERS_SIZE):g} or a little more, drawn anew for each pick)"
            )
        return f"The release is made by {self.chosen_epochs} epochs of {self.chosen_trials} trials: those that {best}."

    def events(self) -> dict[str, Any]:
        """Every charged event of the study and of those before it."""
        stated = json_number(self.epsilon)
        return charged_events(self.summary, stated, "for the training of the chosen trials only", {})

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {"statement": self.first_line, "accounted": False, **json_fields(self, "summary")}

    def text(self) -> str:
        """The whole statement, one page of Markdown."""
        return "\n\n".join(
            [
                f"# Privacy statement: study {self.study}, cohort {self.cohort}",
                f"**{self.first_line}**",
                f"## What is protected\n\n{sections.unit_of_protection(self.public_cohort)}",
                self._training(),
                self._search(),
                sections.public_assumptions(self.nominal_size, self.public_cohort),
                "## What else it does not cover\n\n"
                f"{sections.draws_and_looks(self.internal_before, self.redrawn)}\n\n{sections.reach()}\n"
                f"- {sections.STEP_TIMES_AND_ORDER}\n"
                "- Anyone who sees the study's terminal, its dashboards, `study.db` or `trials/`, which hold figures "
                "of real participants without noise.\n"
                f"- Guarantees of several releases add up.{self._later()}",
                f"Accountant: Renyi differential privacy, dp-accounting {version('dp-accounting')}. Training: DP-SGD "
                "on the discriminator (Abadi et al. 2016), Poisson sampling of participants.",
            ]
        )

    def _later(self) -> str:
        if self.public_cohort:
            return ""
        return (
            " Because of scores without noise, no later study of the same participants can state a finite epsilon for "
            "those who validated."
        )

    def _training(self) -> str:
        def shown(epsilon: float) -> str:
            return "no bound" if math.isinf(epsilon) else f"epsilon {decimals_up(epsilon, 2)}"

        others = sections.ledger_records(
            self.ledger, self.other_studies, self.other_people, 0, "which the figures above leave out"
        )
        return (
            "## What was counted\n\n"
            f"{self.picking}\n\n"
            f"| training of | at delta {self.delta:g} |\n|---|---|\n"
            f"| all {self.chosen_trials} chosen trials together | {shown(self.epsilon)} |\n"
            f"| the costliest chosen trial alone (what is often quoted) | {shown(self.winning_run_epsilon)} |\n"
            f"| all {self.trials} trials, whatever became of them | {shown(self.all_trials_epsilon)} |\n\n"
            "Every charge was written to the cohort's ledger before anything was read for it, work repeated after a "
            f"crash included; the ledger as of this release is {self.receipt}. {others}\n\n"
            f"{sections.recomputing()}"
        )

    def _search(self) -> str:
        train, validation, test = (f"{share:.0%}" for share in self.shares)
        return (
            "## What was not counted\n\n"
            f"All {self.trials} trials trained on the same participants (about {train} of the cohort), and every "
            f"scored epoch was judged, without noise, on other participants (about {validation}). Those scores "
            "decided which trials were stopped, what was tried next and which epochs were released, so the release "
            "depends on these participants in ways that the figures above leave out. The true loss of privacy is "
            "larger than stated, by an amount that has no bound, because the scores carry no noise. The remaining "
            f"participants (about {test}) had no part in making the release; they serve the internal report."
        )
