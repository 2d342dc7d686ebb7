"""What a search space may say where a budget is declared: nothing that would not be used or could not be paid for."""

from __future__ import annotations

import math

from analysis.study import StudySettings
from cohorts import Schema
from privacy.planning.plan import StudyPlan
from privacy.policies import policies, policy_named
from search_spaces import SearchSpace
from trainables.candidate import decided_by_budget, one_of
from tuner.errors import StudyError
from tuner.plan import draft_allocation

NOISE = "noise_multiplier"


def require_used(settings: StudySettings, space: SearchSpace) -> None:
    """Raise StudyError where a line of the search space would not be used under the declared budget."""
    if not policy_named(settings.policy).declares_budget:
        return
    for name in decided_by_budget():
        if name in space.hyperparameters:
            raise StudyError(
                f"The search space {space.name} names {name}, which would not be used: under the policy "
                f"{settings.policy} it follows from the declared budget. Remove that line of {space.source}."
            )
    for names in one_of():
        named = sorted(names & set(space.hyperparameters))
        if len(named) > 1:
            raise StudyError(
                f"The search space {space.name} names {' and '.join(named)}. Under the policy {settings.policy} every "
                "epoch has its price, at which one of them follows from the other. Remove the line of the one that "
                f"you do not want to choose from {space.source}, {_or_free()}."
            )
    if space.least(NOISE) == 0:
        raise StudyError(
            f"The search space {space.name} may draw {NOISE} 0, at which no budget covers anything. Take 0 out of "
            f"{space.source}, {_or_free()}."
        )


def require_affordable(settings: StudySettings, schema: Schema, space: SearchSpace, plan: StudyPlan) -> None:
    """Raise StudyError where the search space may draw noise that the declared budget cannot afford at any rate."""
    least = space.least(NOISE)
    if least is None or not policy_named(settings.policy).declares_budget:
        return
    if plan.measures_once:
        raise StudyError(
            f"The search space {space.name} names {NOISE}, which would not be used: under the policy "
            f"{settings.policy} trials read no participants, so they add no noise. Remove that line of {space.source}, "
            "or search under another --policy."
        )
    _, allocation = draft_allocation(settings, schema, plan)
    if least < allocation.least_noise:
        workable = math.ceil(100 * allocation.least_noise) / 100
        raise StudyError(
            f"The search space {space.name} may draw {NOISE} {least:g}, at which epsilon {settings.epsilon:g} affords "
            f"no sampling rate. The least that works under the policy {settings.policy} is {workable:g}: begin there "
            f"in {space.source} (--plan shows how few participants a step it affords), or declare a larger --epsilon."
        )


def _or_free() -> str:
    free = [policy.name for policy in policies() if not policy.declares_budget]
    return f"or give --policy {' or '.join(free)}, under which trials have the noise and the rate that the space says"
