"""A run of the paper's command, read as the study of one trial that it is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from analysis.errors import AnalysisError
from cohorts import resolve_schema
from privacy.ledger.study_record import FIGURES
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.unaccounted import Unaccounted
from trainables.dp_gan.run import SHARES, PaperRun, RunError
from trainables.gan.hyperparameters import Hyperparameters
from trainables.scoring import is_own, steering


def run_in(folder: Path) -> PaperRun | None:
    """The run that a folder holds, if it is one's.

    Raises:
        AnalysisError: somebody edited what it was asked for.
    """
    try:
        return PaperRun.read(folder)
    except RunError as error:
        raise AnalysisError(str(error)) from error


def settings_of(run: PaperRun, folder: Path) -> dict[str, Any]:
    """Fields of ``StudySettings`` of a run: its epochs are picked by scores, which no epsilon covers.

    Raises:
        AnalysisError: its epochs were not scored, or it is not over.
    """
    if not run.scores:
        raise AnalysisError(
            f"The run {run.name} was trained without --scores, so there is nothing to pick its best epochs by. Run it "
            f"with --scores and another --prefix; or publish any epoch's generator in {folder / 'trials'} under the "
            "statement that is there."
        )
    if not (folder / FIGURES).exists():
        raise AnalysisError(
            f"The run {run.name} is not over. Give its command, python -m trainables.dp_gan, once more with --resume."
        )
    return {
        "study": run.name,
        "cohort": run.cohort,
        "data_dir": run.data_dir,
        "search_space": "paper",
        "policy": Unaccounted.name,
        "shares": SHARES,
        "epsilon": math.inf,
        "delta": run.delta,
        "trials": 1,
        "max_epochs": run.epochs,
        "engine": run.engine,
        "ledger": run.ledger,
        "created": run.created,
        "versions": run.versions,
    }


def plan_of(run: PaperRun) -> DeclaredPlan:
    """One trial, scored at every epoch, of which none is stopped."""
    training = Hyperparameters(**run.config(resolve_schema(run.cohort))).training(run.epochs)
    plan = StudyPlan(
        policy=Unaccounted.name,
        epsilon=math.inf,
        delta=run.delta,
        shares=SHARES,
        on_participants=Schedule(trials=1, rungs=tuple(range(1, run.epochs + 1))),
        sampling_rate=training.sampling_rate,
        scored_by=run.scored_by or tuple(filter(is_own, steering())),
        noisy_picks=True,
    )
    return DeclaredPlan(plan=plan, allocation=None)
