"""The privacy statement of one training that was fixed before its first step, and of every generator it passed by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import dp_accounting

from privacy.accounting.events import composed, json_fields, json_number
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.ledger.charge import Charge
from privacy.ledger.summary import Summary, epsilon_by_pld
from privacy.mechanisms.dpsgd import DPSGD
from privacy.statements import sections
from privacy.statements.events import charged_events

LARGEST_BY_PLD = 100.0  # beyond it nothing is protected, and the grid of losses grows with epsilon


@dataclass(frozen=True)
class FixedTraining:
    """What may be said of one configuration that was trained to its end without a look at anything in between.

    Rate, noise, clip norm and number of steps were settled before the first step, so the tightest accounting holds, and
    the generators of all epochs together cost what the last one does.

    Args:
        study: name of the run.
        cohort: name of the cohort.
        ledger: name of the cohort that the ledger was begun for.
        public_cohort: whether the schema marks the cohort as public.
        planned: all steps that were asked for.
        epochs: in which they were taken.
        noise: how the noise was asked for, in words.
        steps: that were charged: those planned, and what was repeated after a crash.
        epsilon_by_rdp: of all of them, by Renyi accounting; infinity without enough noise.
        epsilon_by_pld: the same by privacy loss distributions; None where that would take a grid too large.
        delta: of every epsilon.
        scored: whether epochs were scored, without noise, on participants who did not train.
        train_share: expected share of participants that train.
        other_studies: other studies of the cohort that its ledger records.
        other_people: cohorts whose participants are others, as the data steward said.
        receipt: the cohort's ledger as of the end.
        nominal_size: public number of complete participants.
    """

    study: str
    cohort: str
    ledger: str
    public_cohort: bool
    planned: DPSGD
    epochs: int
    noise: str
    steps: int
    epsilon_by_rdp: float
    epsilon_by_pld: float | None
    delta: float
    scored: bool
    train_share: float
    other_studies: int
    other_people: tuple[str, ...]
    receipt: str
    nominal_size: int
    summary: Summary = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        summary: Summary,
        planned: DPSGD,
        epochs: int,
        noise: str,
        scored: bool,
        train_share: float,
        nominal_size: int,
        cohort: str,
    ) -> FixedTraining:
        """The statement of a run's verified ledger.

        Args:
            summary: of the ledger as the run sees it.
            planned: all steps that were asked for.
            epochs: in which they were taken.
            noise: how the noise was asked for, in words.
            scored: whether epochs were scored.
            train_share: expected share of participants that train.
            nominal_size: public number of complete participants.
            cohort: name that its schema has.
        """
        study, delta = str(summary.study), summary.delta
        own = replace(summary, entries=tuple(each for each in summary.entries if each.study == study))
        charges = [each.content for each in own.entries if isinstance(each.content, Charge)]
        training = composed(each.event for each in charges if (each.kind, each.account) == ("training", "release"))
        by_rdp = epsilon_by_rdp(training, delta)
        by_pld = epsilon_by_pld(training, delta) if by_rdp <= LARGEST_BY_PLD else None
        return cls(
            study=study,
            cohort=cohort,
            ledger=summary.cohort,
            public_cohort=summary.public,
            planned=planned,
            epochs=epochs,
            noise=noise,
            steps=_steps(training) if planned.private else planned.steps,
            epsilon_by_rdp=by_rdp,
            epsilon_by_pld=by_pld,
            delta=delta,
            scored=scored,
            train_share=train_share,
            other_studies=len({entry.study for entry in summary.entries} - {study, None}),
            other_people=summary.other_people,
            receipt=str(summary.receipt),
            nominal_size=nominal_size,
            summary=own,
        )

    @property
    def epsilon(self) -> float:
        """What is stated: the smaller figure."""
        return self.epsilon_by_rdp if self.epsilon_by_pld is None else min(self.epsilon_by_pld, self.epsilon_by_rdp)

    @property
    def first_line(self) -> str:
        """The sentence that must be read if only one is."""
        if not self.planned.noisy:
            return "This training is not differentially private: it added no noise."
        if not self.planned.private:
            return (
                "This training is not differentially private: its noise has a standard deviation of only "
                f"{self.planned.noise_multiplier:g} clip norms ({self.noise})."
            )
        return (
            f"Epsilon {sections.decimals_up(self.epsilon, 3)} (delta {self.delta:g}) covers the training of all "
            f"{self.epochs} epochs, {self._how_long}: any or all of their generators may be published."
        )

    @property
    def _repeated(self) -> int:
        """Steps that were paid for again."""
        return self.steps - self.planned.steps

    @property
    def _how_long(self) -> str:
        """Whether everything was settled beforehand, as the end of a sentence."""
        if not self._repeated:
            return "which was fixed before its first step"
        return f"and the {self._repeated:,} steps that were repeated after it was cut short"

    def events(self) -> dict[str, Any]:
        """Every charged event of the run, from which anyone may compute epsilon again."""
        covers = "for the training alone" + (
            ", by privacy loss distributions (dp_accounting.pld); the figure above is by Renyi accounting, which gives "
            "a little more"
            if self.epsilon_by_pld is not None
            else ""
        )
        return charged_events(self.summary, json_number(self.epsilon), covers, {})

    def as_json(self) -> dict[str, Any]:
        """The statement for machines."""
        planned, fields = json_fields(self.planned), json_fields(self, "summary", "planned")
        return {"statement": self.first_line, "epsilon": json_number(self.epsilon), **planned, **fields}

    def text(self) -> str:
        """The whole statement, one page of Markdown."""
        return "\n\n".join(
            [
                f"# Privacy statement: run {self.study}, cohort {self.cohort}",
                f"**{self.first_line}**",
                f"## What is protected\n\n{sections.unit_of_protection(self.public_cohort)}",
                self._charged(),
                sections.public_assumptions(self.nominal_size, self.public_cohort),
                self._not_covered(),
                f"Accountant: dp-accounting {version('dp-accounting')}, privacy loss distributions and Renyi "
                f"differential privacy, {'as ' if self._repeated else ''}for a sequence that was fixed in advance. "
                "Training: DP-SGD on the discriminator (Abadi et al. 2016), Poisson sampling of participants.",
            ]
        )

    def _charged(self) -> str:
        planned, repeated = self.planned, self._repeated
        again = f", {repeated:,} of them paid for again after a run was cut short" if repeated else ""
        others = sections.ledger_records(
            self.ledger, self.other_studies, self.other_people, 0, "which the figures here leave out"
        )
        return (
            "## What was charged\n\n"
            f"{self.steps:,} steps{again}. In each, every training participant (about {self.train_share:.1%} of the "
            f"cohort, told apart by a keyed hash of their identifier) joined the batch with probability "
            f"{planned.sampling_rate:.6g}. {self._noise()}\n\n{self._figures()}"
            "Every charge was written to the cohort's ledger before anything was read for it; the ledger as of the "
            f"end is {self.receipt}. {others}\n\n{sections.recomputing()}"
        )

    def _noise(self) -> str:
        if not self.planned.noisy:
            return "Gradients were neither clipped nor hidden by noise."
        return (
            f"Gradients were clipped to a 2-norm of {self.planned.clip_norm:g}, and noise of standard deviation "
            f"{self.planned.noise_multiplier:g} clip norms was added to each number of their sum ({self.noise})."
        )

    def _figures(self) -> str:
        if self.planned.private:
            by_pld = (
                ""
                if self.epsilon_by_pld is None
                else f"| by privacy loss distributions | {sections.decimals_up(self.epsilon_by_pld, 3)} |\n"
            )
            return (
                f"| all training, at delta {self.delta:g} | epsilon |\n|---|---|\n{by_pld}"
                f"| by Renyi accounting | {sections.decimals_up(self.epsilon_by_rdp, 3)} |\n\n"
            )
        if not self.planned.noisy:
            return ""
        one_step = epsilon_by_rdp(dp_accounting.GaussianDpEvent(self.planned.noise_multiplier), self.delta)
        return (
            f"A single step on a batch that holds a participant has epsilon {one_step:.2g} (delta {self.delta:g}): "
            "whoever sees it can tell that they were there. The ledger has the training as not private.\n\n"
        )

    def _not_covered(self) -> str:
        scores = (
            "- **The scores of epochs, and any choice of epochs by them.** They are exact, and of other participants, "
            "for whom the ledger has no finite epsilon from now on.\n"
            if self.scored
            else ""
        )
        cut_short = (
            "- When the training was cut short and gone on with: that counts as chosen without regard to the "
            "generators that were there by then.\n"
            if self._repeated
            else ""
        )
        later = f"- {sections.later_studies(self.public_cohort)}\n" if self.planned.private and not self.scored else ""
        return (
            f"## What it does not cover\n\n{scores}{cut_short}{sections.reach()}\n- {sections.STEP_TIMES}\n"
            f"{later}- The choice of this configuration."
        )


def _steps(training: dp_accounting.DpEvent) -> int:
    """How many steps of DP-SGD an event composes."""
    if isinstance(training, dp_accounting.SelfComposedDpEvent):
        return int(training.count) * _steps(training.event)
    if isinstance(training, dp_accounting.ComposedDpEvent):
        return sum(_steps(each) for each in training.events)
    return 1
