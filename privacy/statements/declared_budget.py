"""The privacy statement of a release under a declared budget, in words an ethics board can read."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from privacy.accounting.budget import ROUNDING
from privacy.errors import LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.summary import Summary
from privacy.planning.allocation import DeclaredPlan
from privacy.statements import sections
from privacy.statements.events import charged_events
from privacy.statements.sections import decimals_up, significant_up
from privacy.statements.statement import SCORE, Chosen

TRAINED = {sections.IN_WORDS["training"], sections.IN_WORDS["private selection"]}
"""Charges by which generators were trained on participants."""


@dataclass(frozen=True)
class Wording:
    """Sentences that are true under one policy and not under every other.

    Args:
        method: how the search read participants, in a few sentences.
        picking: how the released epochs were picked.
        repeated: what became of work that was done again.
        not_covered: further items of what the statement does not cover.
        score: what a score is.
        covers: what participants were read for.
        folders: of the study that hold times of day.
    """

    method: str
    picking: str
    repeated: str
    not_covered: tuple[str, ...] = ()
    score: str = SCORE
    covers: str = "the training of every trial, every score, and every choice made by them"
    folders: str = "`trials/`"


@dataclass(frozen=True)
class DeclaredBudget:
    """What a study can state that declared its budget before it read anyone, and kept within it.

    Args:
        study: name of the study.
        cohort: name of the cohort.
        ledger: which one, in words that tell it from any other.
        public_cohort: whether the schema marks the cohort as public.
        policy: how the study searched.
        epsilon: declared.
        delta: declared.
        orders: Renyi order declared for each split.
        spent: by split, epsilon that was spent of the declared one, earlier studies included.
        charges: (split, what for, how often) of this study.
        other_studies: other studies whose charges the declared epsilon covers too.
        other_people: cohorts whose participants are others, as the data steward said.
        left_out: earlier charges to a public cohort's ledger that the study did not count.
        internal_before: times the data steward looked at real participants before this release was drawn.
        redrawn: how often this study drew a release before.
        search_trials: configurations that were tried for free, on a surrogate or on what was measured.
        trials: configurations that were trained on participants; None where their number is kept secret.
        chosen_trials: trials that the released epochs come from.
        chosen_epochs: epochs that were released.
        score_noise_sd: standard deviation of the noise on each AUC; None where no AUC reads participants.
        winning_run_epsilon: what would be stated if the training of the costliest chosen trial were all; where no
            trial reads participants, what the measurements cost.
        receipt: the cohort's ledger as of the study's last reading for its release.
        shares: expected shares of participants in training, validation and test.
        nominal_size: public number of complete participants.
        wording: what only this policy can say.
    """

    study: str
    cohort: str
    ledger: str
    public_cohort: bool
    policy: str
    epsilon: float
    delta: float
    orders: dict[str, float]
    spent: dict[str, float]
    charges: tuple[tuple[str, str, int], ...]
    other_studies: int
    other_people: tuple[str, ...]
    left_out: int
    internal_before: int
    redrawn: int
    search_trials: int
    trials: int | None
    chosen_trials: int
    chosen_epochs: int
    score_noise_sd: float | None
    winning_run_epsilon: float
    receipt: str
    shares: tuple[float, float, float]
    nominal_size: int
    wording: Wording
    summary: Summary = field(repr=False, compare=False)

    @classmethod
    def of(cls, summary: Summary, declared: DeclaredPlan, chosen: Chosen, wording: Wording) -> DeclaredBudget:
        """The statement of a study's verified ledger.

        Args:
            summary: of the ledger as the study sees it.
            declared: how the study divided its budget.
            chosen: what the release is made of.
            wording: what only this policy can say.

        Raises:
            LedgerError: the study declared nothing, or something else than it planned; it was charged nothing, or more
                was spent than declared.
        """
        declaration, plan = summary.declaration, declared.plan
        if declaration is None or declaration.budget != plan.budget or summary.study is None:
            raise LedgerError(
                f"The study {summary.study} planned epsilon {plan.epsilon:g}, and the cohort's ledger has no such "
                "declaration. Its ledger or its plan.json was replaced; restore them from a backup."
            )
        for split, spent in summary.spent.items():
            if spent > declaration.budget.epsilon * (1 + ROUNDING):
                raise LedgerError(
                    f"The study {summary.study} declared epsilon {plan.epsilon:g}, and its {split} participants were "
                    f"charged {spent:.3g}, so nothing can be stated. Publish nothing of it; leave the ledger as it is."
                )
        counted = [entry.content for entry in summary.entries[declaration.since :] if isinstance(entry.content, Charge)]
        released = [each for each in counted if each.account == "release"]
        own = Counter((each.split, sections.IN_WORDS[each.kind]) for each in released if each.study == summary.study)
        if not own:
            raise LedgerError(
                f"The study {summary.study} has a release to state, and its ledger knows of nothing that it read: it "
                "is an older copy. Restore the newest one from a backup; state nothing of this release until then."
            )
        return cls(
            study=summary.study,
            cohort=chosen.cohort,
            ledger=summary.ledger,
            public_cohort=summary.public,
            policy=plan.policy,
            epsilon=declaration.budget.epsilon,
            delta=declaration.budget.delta,
            orders={split: float(order) for split, order in declaration.orders.items()},
            spent={split: float(spent) for split, spent in summary.spent.items()},
            charges=tuple((split, what, count) for (split, what), count in sorted(own.items())),
            other_studies=len({each.study for each in released} - {summary.study}),
            other_people=summary.other_people,
            left_out=sum(isinstance(entry.content, Charge) for entry in summary.entries[: declaration.since]),
            internal_before=chosen.internal_before,
            redrawn=chosen.redrawn,
            search_trials=plan.on_surrogate.trials if plan.on_surrogate else 0,
            trials=None if plan.runs else plan.on_participants.trials,
            chosen_trials=chosen.trials,
            chosen_epochs=chosen.epochs,
            score_noise_sd=declared.allocated.score_noise_sd,
            winning_run_epsilon=_winning_run_epsilon(declared, chosen, summary),
            receipt=str(summary.last_reading),
            shares=(plan.shares.train, plan.shares.validation, plan.shares.test),
            nominal_size=chosen.nominal_size,
            wording=wording,
            summary=summary,
        )

    @property
    def first_line(self) -> str:
        """The sentence that must be read if only one is."""
        return (
            f"Epsilon {self.epsilon:g} (delta {self.delta:g}) covers everything that was read of participants to make "
            f"this release, once their files were accepted: {self.wording.covers}."
        )

    @property
    def method(self) -> str:
        """How the search read participants, in a few sentences."""
        return self.wording.method

    @property
    def score(self) -> str:
        """What a score is."""
        return self.wording.score

    @property
    def picking(self) -> str:
        """How the released epochs were picked."""
        return self.wording.picking

    def events(self) -> dict[str, Any]:
        """Every charged event, from which anyone may compute epsilon again."""
        covers = "for everything that was read of participants once their files were accepted"
        return charged_events(self.summary, self.epsilon, covers, self.orders)

    def text(self) -> str:
        """The whole statement, one page of Markdown."""
        return "\n\n".join(
            [
                f"# Privacy statement: study {self.study}, cohort {self.cohort}",
                f"**{self.first_line}**",
                "## What is protected",
                sections.plain_odds(self.epsilon, self.delta),
                sections.unit_of_protection(self.public_cohort),
                self._charged(),
                sections.public_assumptions(self.nominal_size, self.public_cohort),
                self._not_covered(),
                f"Accountant: dp-accounting {version('dp-accounting')}, Renyi differential privacy, as a filter at one "
                "order for each split (Feldman & Zrnic 2021), fixed before the first reading. Noise of released "
                f"statistics: opendp {version('opendp')}.{self._noise_of_training()}",
            ]
        )

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        fields = {name: value for name, value in vars(self).items() if name not in ("summary", "wording")}
        return {"statement": self.first_line, "accounted": True, **fields, **asdict(self.wording)}

    def _charged(self) -> str:
        train, validation, test = (f"{share:.0%}" for share in self.shares)
        rows = "\n".join(f"| {split} | {what} | {count} |" for split, what, count in self.charges)
        others = sections.ledger_records(
            self.ledger, self.other_studies, self.other_people, self.left_out, "which the declared epsilon covers too"
        )
        return (
            "## What was charged\n\n"
            f"The search ran under the policy `{self.policy}`. {self.method} {self.picking}\n\n"
            f"| participants | purpose | times |\n|---|---|---|\n{rows}\n\n"
            f"Each participant is in one group only, by a keyed hash of their identifier: about {train} train and "
            f"{validation} validate; the remaining {test} had no part in making this release and serve the internal "
            f"report. Of the declared epsilon, {significant_up(self.spent['train'], 3)} was spent on each of those who "
            f"train (order {self.orders['train']:g}) and {significant_up(self.spent['validation'], 3)} on each of "
            f"those who validate (order {self.orders['validation']:g}). Nobody is in both groups, so the two do not "
            f"add up.{self._noise()} Every charge was written to the cohort's ledger before anything was read for it; "
            f"{self.wording.repeated}. The ledger as of the study's last reading is {self.receipt}. {others}\n\n"
            f"{sections.recomputing()}{self._elsewhere()}"
        )

    def _noise(self) -> str:
        if self.score_noise_sd is None:
            return ""
        return f" Each AUC carries Gaussian noise of standard deviation {self.score_noise_sd:.3g}."

    def _noise_of_training(self) -> str:
        if not TRAINED & {what for _, what, _ in self.charges}:
            return ""
        return " Noise of training: from a cryptographic generator, rounded to a grid together with the sums it hides."

    def _elsewhere(self) -> str:
        if self.score_noise_sd is None:
            return ""
        return (
            " Stated as most tools do, by the training of the costliest chosen trial alone, this would be epsilon "
            f"{decimals_up(self.winning_run_epsilon, 2)}, which leaves out the search."
        )

    def _not_covered(self) -> str:
        items = "".join(
            f"\n- {item}" for item in (*self.wording.not_covered, sections.later_studies(self.public_cohort))
        )
        return (
            "## What it does not cover\n\n"
            f"{sections.draws_and_looks(self.internal_before, self.redrawn)}\n\n"
            f"{sections.reach(self.wording.folders)}{items}"
        )


def _winning_run_epsilon(declared: DeclaredPlan, chosen: Chosen, summary: Summary) -> float:
    if declared.plan.measures_once:
        return float(max(summary.spent.values()))
    return chosen.winning_run_epsilon(declared.plan.delta)
