"""A whole small study with canaries in it: what all that leaves it lets an attacker guess about who took part."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from analysis.auditing.bounds import Finding, one_run_epsilon, one_run_guesses
from analysis.auditing.made_up import THREE_ARMS, made_up_schema, made_up_values
from cohorts import Cohort, Encoding, Participants, Split, SplitShares, split_key
from privacy.accounting.budget import Budget
from privacy.ledger.ledger import Ledger
from privacy.planning.allocation import DeclaredPlan, allocate
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.in_the_open import InTheOpen
from trainables.gan.engine import grid
from trainables.gan.hyperparameters import Hyperparameters
from trainables.gan.networks import build_networks
from trainables.scoring import steering
from trainables.trial import Trial, TrialPlan

GUESS_ONE_IN = 10
"""One guess for so many canaries, fixed beforehand: the surest on both sides."""

LEARNER = {"width": 64, "clip_norm": 1.0, "discriminator_learning_rate": 0.01}
"""Quick to learn single participants by heart, where nothing stops it."""

SCHEMA = made_up_schema(
    "audited-study",
    4000,
    weeks=range(12),
    measures=[
        {"name": name, "unit": "1", "kind": "continuous", "lower": -1, "upper": 1, "missing": missing}
        for name, missing in (("first", "drop"), ("second", "drop"), ("third", "allowed"))
    ],
    arms=THREE_ARMS,
    dropout=True,
)
CELLS = len(Encoding(SCHEMA).cells)


@dataclass(frozen=True)
class StudyAudit:
    """A small study of made-up participants under a declared budget.

    Args:
        engine: that trains.
        epsilon: declared.
        delta: declared.
        trials: how many train.
        epochs: of each.
        canaries: participants who are in or out by a fair coin each.
        others: participants besides.
    """

    engine: str = "packed"
    epsilon: float = 3.0
    delta: float = 1e-5
    trials: int = 3
    epochs: int = 4
    canaries: int = 1000
    others: int = 2500


def audit_study(audit: StudyAudit, tick: Callable[[], None] = lambda: None) -> Finding:
    """Run the study and guess about its canaries.

    Args:
        audit: what to run.
        tick: called after every trial.

    Returns:
        The declared epsilon beside what the guesses refute at 95 %.
    """
    rng = np.random.default_rng()
    canaries, included = _outliers(audit.canaries, rng), rng.random(audit.canaries) < 0.5
    train = _joined(_ordinary(audit.others, rng), canaries.take(included))
    evidence = np.zeros(audit.canaries)
    with TemporaryDirectory() as folder:
        for trial in _study(audit, _sealed(train, "train"), _sealed(_ordinary(800, rng), "validation"), Path(folder)):
            evidence += _remembered(trial, canaries)
            tick()
    guesses = audit.canaries // GUESS_ONE_IN
    right = one_run_guesses(evidence, included, guesses)
    bound = one_run_epsilon(audit.canaries, guesses, right, audit.delta)
    guessed = f"{right} of {guesses} guesses about canaries right"
    what = f"whole study, {audit.engine} engine, {audit.trials} trials and their scores: {guessed}"
    return Finding.bound(what, audit.epsilon, bound)


def _study(audit: StudyAudit, train: Cohort, validation: Cohort, folder: Path) -> list[Trial]:
    """Trials that were trained and scored under one declared budget, everything adding up."""
    shares = SplitShares()
    plan = StudyPlan(
        policy="audit",
        epsilon=audit.epsilon,
        delta=audit.delta,
        shares=shares,
        on_participants=Schedule(trials=audit.trials, rungs=(audit.epochs,)),
        sampling_rate=0.05,
        scored_by=tuple(steering()),
    )
    ledger = Ledger.for_cohort(train, folder / "ledger.db")
    ledger.declare("audit", Budget(audit.epsilon, audit.delta), plan.events(SCHEMA, {}))
    allocation = allocate(plan, SCHEMA, ledger.books.filters["audit"])
    scores = DeclaredPlan(plan=plan, allocation=allocation).scores(SCHEMA)
    trial_plan = TrialPlan(
        schema=SCHEMA,
        access=InTheOpen("audit", ledger, train, validation, scores),
        train_share=shares.train,
        epsilon=math.inf,
        delta=audit.delta,
        scored_epochs=plan.on_participants.rungs,
        engine=audit.engine,
        seed=None,
    )
    noise = allocation.noise_multiplier(plan.sampling_rate)
    trained = []
    for number in range(audit.trials):
        config = {"sampling_rate": plan.sampling_rate, "noise_multiplier": noise, **LEARNER}
        trial = Trial(f"audit-{number}", config, trial_plan)
        trial.train_to(audit.epochs)
        trial.score()
        trained.append(trial)
    ledger.close()
    return trained


def _remembered(trial: Trial, canaries: Participants) -> np.ndarray:
    """Log-likelihood of each canary's arm in the discriminator that a trial leaves in its checkpoint: (m,).

    Arms are fair coins, so only who trained on a canary can know its arm.
    """
    encoding = Encoding(SCHEMA)
    settings = Hyperparameters(**trial.config).settings
    _, discriminator = build_networks(settings, encoding.width, len(SCHEMA.label.classes), grid(SCHEMA))
    state = trial.candidate.state_dict()["discriminator"]
    weights = state.get("weights", state)  # the packed engine keeps its optimizer's moments beside them
    discriminator.load_state_dict({name.removeprefix("_module."): value for name, value in weights.items()})
    with torch.no_grad():
        logits = discriminator.eval()(torch.from_numpy(encoding.encode(canaries.values)))  # (m, 1 + 2)
    arms = torch.from_numpy(canaries.labels)
    likely = torch.log_softmax(logits[:, 1:], dim=1).gather(1, arms[:, None])
    return np.asarray(likely.squeeze(1).double().numpy())


def _ordinary(count: int, rng: np.random.Generator) -> Participants:
    labels = rng.integers(0, len(THREE_ARMS), count)
    places = np.clip(rng.normal(0.5 + 0.15 * labels[:, None], 0.1, (count, CELLS)), 0, 1)
    return _participants("P", labels, places, rng)


def _outliers(count: int, rng: np.random.Generator) -> Participants:
    """Participants unlike anybody, each at another corner."""
    return _participants("C", rng.integers(0, len(THREE_ARMS), count), rng.choice([0.0, 1.0], (count, CELLS)), rng)


def _participants(prefix: str, labels: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> Participants:
    """Those who leave do so in the second half of the trial."""
    ids = np.array([f"{prefix}{number}" for number in range(len(labels))])
    places[:, -1] = rng.uniform(0.5, 1, len(labels))
    return Participants(SCHEMA, ids, labels.astype(np.int64), made_up_values(SCHEMA, places, rng))


def _joined(first: Participants, second: Participants) -> Participants:
    return Participants(
        SCHEMA,
        np.concatenate([first.ids, second.ids]),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.values, second.values]),
    )


def _sealed(participants: Participants, split: Split) -> Cohort:
    return Cohort.closed(participants, split_key(SCHEMA), split)
