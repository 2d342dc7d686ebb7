"""Processes that score the trials of a pack: forests grow beside the training, not in its way."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from privacy.ledger.receipt import Receipt
from trainables.scoring.judging import Scoring, ScoringPlan
from trainables.service.answers import answer


class Scorer:
    """What runs in one such process, which needs no PyTorch.

    Args:
        plan: how it scores.
    """

    def __init__(self, plan: ScoringPlan) -> None:
        self._plan = plan

    def score(self, scoring: Scoring) -> tuple[dict[str, float], Receipt | None]:
        """Train the classifiers, pay, and try them on participants."""
        return self._plan.score(scoring)


class Scorers:
    """The scorers of one pack, on its machine, one epoch of one trial each at a time.

    Args:
        plan: how they score.
        count: how many.
    """

    def __init__(self, plan: ScoringPlan, count: int) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        scorer = ray.remote(Scorer)
        self._plan = ray.put(plan)  # held, because Ray can start a scorer again only while it exists
        self._idle = SimpleQueue[Any]()
        for _ in range(count):
            self._idle.put(
                scorer.options(
                    num_cpus=0,  # trials hold the shares of the cores that it uses
                    max_restarts=-1,
                    max_task_retries=0,  # a score that is done again must be paid for again
                    enable_task_events=False,
                    scheduling_strategy=here,
                ).remote(self._plan)
            )

    def score(self, scoring: Scoring) -> tuple[dict[str, float], Receipt | None]:
        """Have the next idle one score. May be called from many threads.

        Returns:
            What the policy lets out, and the receipt of the charge.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
            PackLost: the scorer died; the score was perhaps paid for.
        """
        scorer = self._idle.get()
        try:
            scored: tuple[dict[str, float], Receipt | None] = answer(scorer, scorer.score.remote(scoring))
            return scored
        finally:
            self._idle.put(scorer)
