"""What a search policy is: one object that plans, says what may be read and charges it, and words the statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from cohorts import Cohort, Participants, Schema, Splits
from privacy.accounting.private_selection import LawOfRuns
from privacy.ledger.actor import LedgerClient
from privacy.ledger.charge import Charge, Purpose
from privacy.ledger.ledger import Ledger
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt, record_receipt
from privacy.ledger.study_record import RECEIPTS
from privacy.ledger.summary import Summary
from privacy.planning.allocation import Allocation, DeclaredPlan
from privacy.planning.choice import PlanInputs
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.statements.statement import Chosen, Statement

# Participants drawn from released numbers may be drawn again by anyone, the same ones.
PUBLIC_SEED = 0


class Books(Protocol):
    """Where charges are written down: the ledger itself, or its client on another node."""

    def charge(self, charges: Charge | Sequence[Charge]) -> Receipt:
        """Write down what is about to be read."""

    def read(self, cohort: Cohort, mechanism: M, purpose: Purpose) -> Reading[M]:
        """Write down what is about to be run on participants, then open them for that."""


class RunBooks(Protocol):
    """Where what was charged whole may be read piece by piece."""

    def read_run(self, cohort: Cohort, study: str, run: int, mechanism: M) -> Reading[M]:
        """Open participants for a part of one of a secret number of runs, which were charged whole."""


class Judge(Protocol):
    """Classifiers that were trained on synthetic participants and may be tried on real ones."""

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def synthetic(self) -> Participants:
        """Those they were trained on."""

    def rankings(self, participants: Participants) -> list[np.ndarray]:
        """What each says of each participant, larger for class 1: (n,), each computed from that participant alone."""

    def exact(self, participants: Participants) -> dict[str, float]:
        """Figures without noise, ``auc_`` and the classifier's name among them: not private."""


@dataclass(frozen=True)
class Stage:
    """One search of a study.

    Args:
        name: of its folder, and of Optuna's study beside the study's own name.
        schedule: how many trials, and when they are scored.
        configurations: proposed from the search space, or the best of the stage before.
        reads_participants: whether real participants are read at all.
        allocation: what its trials may spend; None where the search space decides about noise.
        pretraining: epochs at the beginning of a trial that are trained without noise.
        epsilon: largest epsilon of one trial's training; infinity where the study's budget alone decides.
        runs: law of a secret number of runs, of which only the best is seen; None where every trial is.
    """

    name: str
    schedule: Schedule
    configurations: Literal["proposed", "shortlisted"] = "proposed"
    reads_participants: bool = True
    allocation: Allocation | None = field(default=None, compare=False)
    pretraining: int = 0
    epsilon: float = float("inf")
    runs: LawOfRuns | None = None

    @property
    def score_noise_sd(self) -> float | None:
        """Standard deviation of the noise on each of its AUCs; None where none was bought."""
        return self.allocation.score_noise_sd if self.reads_participants and self.allocation else None


@dataclass(frozen=True)
class Door:
    """Through what a study comes to its participants.

    Args:
        study: name of the study.
        schema: of the cohort.
        splits: participants to train on, to score on, and to test on: sealed.
        ledger: the cohort's, in this process.
        books: the same for trials on any node.
        kept: folder of the study for what was bought.
    """

    study: str
    schema: Schema
    splits: Splits
    ledger: Ledger
    books: LedgerClient
    kept: Path

    def keep(self, receipt: Receipt) -> None:
        """Keep with the study what it was told of the ledger, which may be lost or replaced while the study runs."""
        record_receipt(self.kept / RECEIPTS, receipt, self.ledger.cohort)


class Access(Protocol):
    """What the trials of one stage may read. Participants are opened only after the charge is written."""

    @property
    def reads_participants(self) -> bool:
        """Whether real participants are read at all."""

    @property
    def shows_losses(self) -> bool:
        """Whether a trial's losses may leave it; they are of participants, and no noise hides them."""

    def training(self, trial: str, mechanism: M, words: str) -> Reading[M]:
        """Pay for a mechanism on the training participants, and open them for it.

        Args:
            trial: its name.
            mechanism: what will be run.
            words: what for, such as "train epochs 1 to 3".

        Raises:
            BudgetExhausted: it does not fit any more; nothing was read.
        """

    def scores(self, trial: str, epoch: int, judge: Judge) -> tuple[dict[str, float], Receipt | None]:
        """Pay for one epoch's scores, and release them.

        Returns:
            ``auc_`` and the name of each classifier, with its AUC, and perhaps more; and the charge's receipt.

        Raises:
            BudgetExhausted: they do not fit any more; nothing was read.
        """


GAN_SEARCH: Mapping[str, Any] = {"search_space": "default", "trials": 32, "max_epochs": 40}
"""Defaults where GANs alone are searched on a declared budget."""


class Policy(Protocol):
    """A search policy; ``privacy.policies.register`` makes one known by its name."""

    name: ClassVar[str]
    description: ClassVar[str]
    """How it searches, as --help says it."""
    declares_budget: ClassVar[bool]
    """Whether epsilon covers everything, and was declared before the first reading."""
    repeatable: ClassVar[bool]
    """Whether its scores are without noise, so that a seeded study of a public cohort repeats itself."""
    needs_label: ClassVar[bool]
    """Whether its choices are made by scores of classifiers alone, which need something to predict."""
    defaults: ClassVar[Mapping[str, Any]]
    """What is meant where nobody says otherwise: ``search_space``, ``trials``, ``max_epochs``, and ``copies`` where a
    release can have them."""
    marking: ClassVar[str]
    """What released files carry in their names."""

    def plan(self, inputs: PlanInputs) -> StudyPlan:
        """How a study would be carried out.

        Raises:
            PlanError: what is asked for fits in no useful way.
        """

    def stages(self, declared: DeclaredPlan) -> tuple[Stage, ...]:
        """The searches of a study in their order; the release is made from the last."""

    def access(self, stage: Stage, declared: DeclaredPlan, door: Door) -> Access:
        """What a stage's trials pay through; whatever is bought or charged for all of them together is, now."""

    def picks(self, scored: int) -> int | None:
        """How many epochs a classifier picks of so many scored ones; None for as many as the paper did."""

    def statement(self, summary: Summary, declared: DeclaredPlan, chosen: Chosen) -> Statement:
        """What may be said of a release.

        Raises:
            LedgerError: the ledger does not hold what would be said.
        """
