"""A search by a secret number of runs, declared and charged, that several tests share."""

from __future__ import annotations

from cohorts import SplitShares
from privacy.accounting.budget import Budget
from privacy.accounting.private_selection import LawOfRuns
from privacy.ledger.ledger import Ledger
from privacy.ledger.secret_runs import Run, SecretRuns
from privacy.mechanisms.auc import NoisyScores, ScoreFloors
from privacy.mechanisms.dpsgd import DPSGD
from privacy.planning.allocation import DeclaredPlan, RunAllocation
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.in_secret import drawn_run, run_charges
from tests.privacy.ledgers import private_cohort

EPOCHS, RATE, NOISE = 10, 0.1, 8.0
CONFIG = {"sampling_rate": RATE, "noise_multiplier": NOISE}
SCORES = NoisyScores(ScoreFloors.two(20, 20), 2, 0.5)
LAW = LawOfRuns(mean=4, shape=1)
PLAN = DeclaredPlan(
    plan=StudyPlan(
        policy="selection",
        epsilon=20,
        delta=1e-5,
        shares=SplitShares(),
        on_participants=Schedule(trials=1, rungs=(EPOCHS,)),
        sampling_rate=RATE,
        scored_by=("auc_logistic_regression", "auc_random_forest"),
        runs=LAW,
    ),
    allocation=RunAllocation(
        surrogate_rho=0, score_noise_sd=SCORES.noise_sd, sampling_rate=RATE, run_noise=NOISE, epochs=EPOCHS + 1
    ),
)


def training(epochs: int) -> DPSGD:
    """What so many epochs of a run do."""
    return DPSGD(RATE, NOISE, epochs * 10, 0.7)


def draw() -> Run:
    """One run."""
    return drawn_run(CONFIG, training, EPOCHS, SCORES)


def ledger_of(cohort=None) -> Ledger:
    """A ledger in which the study ``secret`` declared a budget."""
    ledger = Ledger.for_cohort(cohort or private_cohort(), begin=True)
    ledger.declare("secret", Budget(200.0, 1e-5), policy="selection")
    return ledger


def declared_search(ledger: Ledger, charged: bool = True) -> SecretRuns:
    """The account of its runs."""
    if charged:
        ledger.charge(run_charges(PLAN, "secret", SCORES))
    return SecretRuns(ledger, "secret")
