"""What a search space may say where a budget is declared: nothing that would not be used or could not be paid for."""

from __future__ import annotations

import math

from analysis.study import StudySettings
from cohorts import Schema
from privacy.planning.allocation import Allocated
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
    """Raise StudyError where the search space may draw noise that the declared budget cannot afford at any rate.

    So it does where all the noise that it may draw affords less than one expected participant a step.
    """
    least, greatest = space.least(NOISE), space.greatest(NOISE)
    if least is None or greatest is None or not policy_named(settings.policy).declares_budget:
        return
    if plan.measures_once:
        raise StudyError(
            f"The search space {space.name} names {NOISE}, which would not be used: under the policy "
            f"{settings.policy} trials read no participants, so they add no noise. Remove that line of {space.source}, "
            "or search under another --policy."
        )
    _, allocation = draft_allocation(settings, schema, plan)
    if least < allocation.least_noise:
        workable = _rounded_up(allocation.least_noise)
        raise StudyError(
            f"The search space {space.name} may draw {NOISE} {least:g}, at which epsilon {settings.epsilon:g} affords "
            f"no sampling rate. The least that works under the policy {settings.policy} is {workable:g}: begin there "
            f"in {space.source} (--plan shows how few participants a step it affords), or declare a larger --epsilon."
        )
    expected, trained = plan.expected_batch(schema, allocation.sampling_rate_at(greatest)), plan.trained(schema)
    if expected < 1:
        raise StudyError(
            f"The search space {space.name} draws {NOISE} {greatest:g} at most. At that, epsilon {settings.epsilon:g} "
            f"affords {expected:.2g} participants a step on average, of about {trained:.0f} who train: most steps "
            f"would be of nobody. One participant a step takes {NOISE} {noise_for_one(schema, plan, allocation):g} "
            f"under the policy {settings.policy}: name that much or more in {space.source}, or declare a larger "
            "--epsilon."
        )


def noise_for_one(schema: Schema, plan: StudyPlan, allocation: Allocated) -> float:
    """The least noise at which a step may expect one participant, rounded up."""
    return _rounded_up(allocation.noise_multiplier(1 / plan.trained(schema)))


def sparse_steps(schema: Schema, space: SearchSpace, plan: StudyPlan, allocation: Allocated) -> str:
    """What is to be said of a search space some of whose noise affords less than one participant a step, if any."""
    least = space.least(NOISE)
    if least is None:
        return ""
    expected = plan.expected_batch(schema, allocation.sampling_rate_at(least))
    if expected >= 1:
        return ""
    enough = noise_for_one(schema, plan, allocation)
    return (
        f"The search space {space.name} may draw {NOISE} {least:g}, which affords {expected:.2g} participants a step "
        f"on average, so that most steps of such a trial are of nobody. From {enough:g} on a step expects one or more."
    )


def _rounded_up(noise: float) -> float:
    return math.ceil(100 * noise) / 100


def _or_free() -> str:
    free = [policy.name for policy in policies() if not policy.declares_budget]
    return f"or give --policy {' or '.join(free)}, under which trials have the noise and the rate that the space says"
