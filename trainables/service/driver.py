"""Where a study's trials run, as its driver settles it before the first one."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import ray
import torch
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from privacy import DPSGD, BudgetExhausted, LedgerError
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.packed.slots import TrialState
from trainables.progress import LocalTrials
from trainables.segment import Segment
from trainables.service.answers import answer
from trainables.service.packs import HostedTrials, PackKeeper, Packs
from trainables.trial import TrialPlan

if TYPE_CHECKING:
    from trainables.service.trials import Trials


class PackClient:
    """The packs as a candidate in another process sees them; small, and picklable to any node.

    Args:
        packs: of the search.
    """

    device = torch.device("cpu")

    def __init__(self, packs: Packs) -> None:
        self._packs = packs

    def train(self, segment: Segment[DPSGD], settings: GANSettings, state: TrialState) -> tuple[TrialState, str]:
        """Have the pack of this process's device pay for a segment and train it.

        Returns:
            Where the trial stands, on the CPU, and the receipt of the charge.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
            PackLost: the pack's process died; it is back, but the segment is lost and was perhaps paid for.
        """
        pack = self._packs.pack(f"process {os.getpid()} of {ray.get_runtime_context().get_node_id()}")
        try:
            trained: tuple[TrialState, str] = answer(pack, pack.train.remote(segment, settings, state))
            return trained
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, LedgerError | BudgetExhausted) else error) from None


def trials_of(plan: TrialPlan) -> Trials:
    """Where the trials of a plan run, by its engine: packed by this Ray, or each in its own process."""
    return HostedTrials(_packs(plan)) if plan.engine == "packed" else LocalTrials(plan)


def served(plan: TrialPlan) -> TrialPlan:
    """A plan for candidates that are not Ray Tune's, whose training is packed all the same where the engine packs."""
    return replace(plan, packs=PackClient(_packs(plan))) if plan.engine == "packed" else plan


def _packs(plan: TrialPlan) -> Packs:
    """Be ready to start packs; they end with this driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeper = ray.remote(PackKeeper)
    options = {"num_cpus": 0, "max_restarts": -1, "enable_task_events": False, "scheduling_strategy": here}
    return Packs(keeper.options(**options).remote(), [ray.put(plan)])
