"""The policy ``measured``: measure participants once with the whole budget, then search for nothing on that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from privacy.ledger.summary import Summary
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.choice import PlanInputs, measuring_plan
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.policies.on_measured import MISFIT_WEIGHT, OnMeasured, measure_once
from privacy.policies.picking import among_few, counted, picking
from privacy.policies.policy import Access, Door, Stage
from privacy.statements.declared_budget import DeclaredBudget, Wording
from privacy.statements.statement import Chosen

PREDICTION = (
    "A score is how well classifiers trained on synthetic participants predict participants drawn from these numbers "
    f"(the mean of their AUCs), less {MISFIT_WEIGHT:g} times the natural logarithm of the misfit, which is 1 where the "
    "synthetic ones are as far from the numbers as their noise explains."
)
DISTANCE = (
    "A score is how far synthetic participants are from these numbers beyond what noise explains, the less the better; "
    "the trial has no label that could be predicted."
)


class MeasuredOnce:
    """Histograms and products of normal scores are bought once; every trial, score and choice is made from them."""

    name: ClassVar[str] = "measured"
    description: ClassVar[str] = (
        "participants are measured once with the whole budget, and the search, however wide, runs on what was measured"
    )
    declares_budget: ClassVar[bool] = True
    repeatable: ClassVar[bool] = False
    needs_label: ClassVar[bool] = False
    defaults: ClassVar[Mapping[str, Any]] = {"search_space": "measured", "trials": 16, "max_epochs": 12, "copies": 10}
    marking: ClassVar[str] = "synthetic"

    def plan(self, inputs: PlanInputs) -> StudyPlan:
        """The one there is: no trial costs anything, so there is nothing to weigh."""
        search = Schedule(trials=inputs.trials, rungs=inputs.rungs, reduction_factor=inputs.reduction_factor)
        return measuring_plan(next(inputs.plans(self.name, [(Schedule.nothing(), search, 1.0)])), inputs)

    def stages(self, declared: DeclaredPlan) -> tuple[Stage, ...]:
        """One search, which reads nobody."""
        plan = declared.plan
        assert plan.on_surrogate is not None
        return (
            Stage(
                "trials",
                plan.on_surrogate,
                reads_participants=False,
                allocation=declared.allocation,
                pretraining=plan.pretraining,
            ),
        )

    def access(self, stage: Stage, declared: DeclaredPlan, door: Door) -> Access:
        """Measure, once for the study."""
        measured = measure_once(door, declared.measurements(door.schema))
        return OnMeasured.of(measured, door.schema, declared.plan.shares)

    def picks(self, scored: int) -> int | None:
        """One in a few."""
        return among_few(scored)

    def statement(self, summary: Summary, declared: DeclaredPlan, chosen: Chosen) -> DeclaredBudget:
        """The declared epsilon."""
        plan = declared.plan
        assert plan.on_surrogate is not None
        method = (
            "It measured participants once: noisy histograms of every measure and visit, noisy sums of products of "
            "the normal scores that these define, by class, and, where these are not mostly noise, noisy tables of a "
            "few pairs of measures, chosen with noise. From these numbers "
            f"{counted(plan.on_surrogate.trials, 'generator')} with different hyperparameters were trained, compared "
            "and chosen, which reads no participant."
        )
        wording = Wording(
            method,
            picking(chosen),
            "nobody was measured twice",
            score=PREDICTION if chosen.labelled else DISTANCE,
            covers="the measurements that every generator, every comparison and every choice was made from",
        )
        return DeclaredBudget.of(summary, declared, chosen, wording)
