"""The privacy statement of a release under a declared budget, in words an ethics board can read."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from privacy.errors import LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.summary import Summary
from privacy.planning.allocation import DeclaredPlan

KINDS = {
    "train": "segments of training",
    "score": "scored epochs",
    "buy": "surrogate bought",
    "search": "whole search",
}
"""What a charge was for, by the first word of its purpose."""


@dataclass(frozen=True)
class DeclaredBudget:
    """What a study can state that declared its budget before it read anyone, and kept within it.

    Args:
        study: name of the study.
        cohort: name of the cohort.
        public_cohort: whether the schema marks the cohort as public.
        policy: how the study searched.
        epsilon: declared.
        delta: declared.
        orders: Renyi order declared for each split.
        spent: by split, epsilon that was spent of the declared one, earlier studies included.
        charges: (split, what for, how often) of this study.
        other_studies: other studies whose charges the declared epsilon covers too.
        left_out: earlier entries of a public cohort's ledger that the study did not count.
        internal_before: times the data steward looked at real participants before.
        search_trials: configurations that were tried on a surrogate, for free; 0 without one.
        trials: configurations that were trained on participants; None where their number is kept secret.
        chosen_trials: trials that the released epochs come from.
        chosen_epochs: epochs that were released.
        score_noise_sd: standard deviation of the noise on each AUC.
        winning_run_epsilon: what would be stated if the training of the costliest chosen trial were all.
        receipt: the cohort's ledger as of the release.
        shares: expected shares of participants in training, validation and test.
        nominal_size: public number of complete participants.
    """

    study: str
    cohort: str
    public_cohort: bool
    policy: str
    epsilon: float
    delta: float
    orders: dict[str, float]
    spent: dict[str, float]
    charges: tuple[tuple[str, str, int], ...]
    other_studies: int
    left_out: int
    internal_before: int
    search_trials: int
    trials: int | None
    chosen_trials: int
    chosen_epochs: int
    score_noise_sd: float
    winning_run_epsilon: float
    receipt: str
    shares: tuple[float, float, float]
    nominal_size: int

    @classmethod
    def of(
        cls,
        summary: Summary,
        declared_plan: DeclaredPlan,
        chosen_trials: int,
        chosen_epochs: int,
        winning_run_epsilon: float,
        nominal_size: int,
    ) -> DeclaredBudget:
        """The statement of a study's verified ledger.

        Args:
            summary: of the ledger as the study sees it.
            spending: how the study divided its budget.
            chosen_trials: trials that the released epochs come from.
            chosen_epochs: epochs that were released.
            winning_run_epsilon: of the costliest chosen trial's training alone.
            nominal_size: public number of complete participants.

        Raises:
            LedgerError: the study declared nothing, or something else than it planned.
        """
        declaration, plan = summary.declaration, declared_plan.plan
        if declaration is None or declaration.budget != plan.budget or summary.study is None:
            raise LedgerError(
                f"The study {summary.study} planned epsilon {plan.epsilon:g}, and the cohort's ledger has no such "
                "declaration. Its ledger or its plan.json was replaced; restore them from a backup."
            )
        counted = [entry.content for entry in summary.entries[declaration.since :] if isinstance(entry.content, Charge)]
        own = Counter(
            (each.split, KINDS.get(each.purpose.split()[0], each.purpose))
            for each in counted
            if (each.study, each.account) == (summary.study, "release")
        )
        shares = plan.shares
        return cls(
            study=summary.study,
            cohort=summary.cohort,
            public_cohort=summary.public,
            policy=plan.policy,
            epsilon=declaration.budget.epsilon,
            delta=declaration.budget.delta,
            orders={split: float(order) for split, order in declaration.orders.items()},
            spent={split: float(spent) for split, spent in summary.spent.items()},
            charges=tuple((split, what, count) for (split, what), count in sorted(own.items())),
            other_studies=len({each.study for each in counted if each.account == "release"} - {summary.study}),
            left_out=declaration.since,
            internal_before=summary.internal_before,
            search_trials=plan.free.trials if plan.free else 0,
            trials=None if plan.runs else plan.paid.trials,
            chosen_trials=chosen_trials,
            chosen_epochs=chosen_epochs,
            score_noise_sd=declared_plan.allocation.score_noise_sd,
            winning_run_epsilon=winning_run_epsilon,
            receipt=str(summary.receipt),
            shares=(shares.train, shares.validation, shares.test),
            nominal_size=nominal_size,
        )

    @property
    def first_line(self) -> str:
        """The sentence that must be read if only one is."""
        return (
            f"Epsilon {self.epsilon:g} (delta {self.delta:g}) covers everything that read participants for this "
            "release: the training of every trial, every score, and every choice made by them."
        )

    @property
    def method(self) -> str:
        """How the search read participants, in a few sentences."""
        surrogate = (
            "It bought noisy means and covariances of each class, drew surrogate participants from them, and tried "
            f"{self.search_trials} configurations of an AC-GAN on these, which reads nobody. "
        )
        if self.trials is None:
            return (surrogate if self.search_trials else "") + (
                "A secret number of runs each drew a configuration at random, trained an AC-GAN on participants with "
                "differentially private stochastic gradient descent, and was judged by noisy scores on further "
                "participants. Only the best run was ever seen."
            )
        if self.search_trials:
            return surrogate + (
                f"At most {self.trials} of them then went on with differentially private stochastic gradient descent "
                "on participants, and their epochs were judged by noisy scores on further participants."
            )
        return (
            f"It trained up to {self.trials} AC-GANs with different hyperparameters, each with differentially private "
            "stochastic gradient descent, stopped the poor ones early, and judged epochs by noisy scores on further "
            "participants."
        )

    def text(self) -> str:
        """The whole statement, one page of Markdown."""
        return "\n\n".join(
            [
                f"# Privacy statement: study {self.study}, cohort {self.cohort}",
                f"**{self.first_line}**",
                self._protection(),
                self._charged(),
                self._public_assumptions(),
                self._not_covered(),
                f"Accountant: dp-accounting {version('dp-accounting')}, Renyi differential privacy, as a filter at one "
                "order for each split (Feldman & Zrnic 2021), fixed before the first reading. Noise of released "
                f"statistics: opendp {version('opendp')}. Training: DP-SGD on the discriminator (Abadi et al. 2016), "
                "Poisson sampling of participants.",
            ]
        )

    def as_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {"statement": self.first_line, "accounted": True, **asdict(self)}

    def _protection(self) -> str:
        kept = (
            "The schema marks this cohort as public, so nobody's privacy is at stake in this release."
            if self.public_cohort
            else "Random numbers came from the operating system and were not stored."
        )
        return (
            "## What is protected\n\n"
            "The unit of protection is one participant with all of their visits. The neighbouring relation is adding "
            "or removing one participant: whoever sees the release learns almost the same whether or not a given "
            f"person took part, by a factor of at most e^{self.epsilon:g}, except with probability {self.delta:g}. "
            f"{kept}"
        )

    def _charged(self) -> str:
        train, validation, test = (f"{share:.0%}" for share in self.shares)
        rows = "\n".join(f"| {split} | {what} | {count} |" for split, what, count in self.charges)
        return (
            "## What was charged\n\n"
            f"The search ran under the policy `{self.policy}`. {self.method} The release is made by "
            f"{_counted(self.chosen_epochs, 'epoch')} of {_counted(self.chosen_trials, 'trial')}.\n\n"
            f"| participants | what for | times |\n|---|---|---|\n{rows}\n\n"
            f"Each participant is in one split only, by a keyed hash of their identifier: about {train} train, "
            f"{validation} validate, {test} serve the internal report. Of the declared epsilon, "
            f"{self.spent['train']:.3g} was spent on training participants (order {self.orders['train']:g}) and "
            f"{self.spent['validation']:.3g} on validation participants (order {self.orders['validation']:g}); each "
            f"AUC carries Gaussian noise of standard deviation {self.score_noise_sd:.3g}. Every reading was written to "
            "the cohort's ledger before it took place, work repeated after a crash included; the ledger as of this "
            f"release is {self.receipt}. {self._others()} Stated as most tools do, by the training of the costliest "
            f"chosen trial alone, this would be epsilon {self.winning_run_epsilon:.2f}, which leaves out the search."
        )

    def _others(self) -> str:
        if self.left_out:
            return f"The cohort is public, and {self.left_out} earlier entries of its ledger were left out."
        if not self.other_studies:
            return "It records no other study of these participants."
        others = "1 other study" if self.other_studies == 1 else f"{self.other_studies} other studies"
        return f"It also records {others} of these participants, which the declared epsilon covers too."

    def _unseen(self) -> str:
        if self.trials is not None:
            return ""
        return (
            " Anyone who knows how long the search took, or watched the machines while it ran: from that the secret "
            "number of runs can be guessed."
        )

    def _public_assumptions(self) -> str:
        return (
            "## What is taken as public\n\n"
            "The schema: names, units, ranges and categories of all measures, the visits, the shares of the label's "
            f"classes, and the nominal number of complete participants ({self.nominal_size}). They were written down "
            "by a person, not computed from the files. The search space and the plan were fixed before anyone was "
            "read. That a given person took part in the trial is protected."
        )

    def _not_covered(self) -> str:
        seen = (
            f" Before this study the data steward looked at such figures {self.internal_before} times; choices made "
            "by them are not covered."
            if self.internal_before
            else ""
        )
        return (
            "## What it does not cover\n\n"
            "Anyone who sees `internal/`, which holds figures of real participants for the data steward, or acts on "
            f"it.{seen}{self._unseen()} Any other study or publication of the same participants that is not in the "
            "ledger. What can be learned about a person from the trial's result without their having taken part."
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
