"""The trials of one device, in the one process that trains them all."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
import torch
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from privacy import DPSGD, BudgetExhausted, LedgerError
from trainables.gan.engine import PaidTraining, PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.packed.loop import PackLoop
from trainables.gan.packed.slots import TrialState
from trainables.progress import LocalTrials, Progress
from trainables.segment import Segment
from trainables.service.packs import LOST, HostedTrials, PackKeeper, PackLost, Packs, answer
from trainables.service.scorers import Scorers
from trainables.trial import Trial, TrialPlan

if TYPE_CHECKING:
    from trainables.service.trials import Trials

CPU = torch.device("cpu")


class PackHost:
    """Trains trials together, has them scored by other processes, and keeps them while they are under way.

    Args:
        plan: what all trials share.
        device: where the arithmetic happens.
        scorers: how many processes score its trials.
    """

    def __init__(self, plan: TrialPlan, device: str, scorers: int) -> None:
        torch.set_num_threads(1)  # every other core has a pack of its own
        self.device = torch.device(device)
        self._loop = PackLoop(PublicFigures.of(plan.schema, plan.train_share), self.device)
        self._plan = replace(plan, packs=self, scorers=Scorers(plan.scoring, scorers))
        self._trials: dict[str, Progress] = {}  # by seat

    def begin(self, seat: str, trial: str, config: Mapping[str, Any]) -> None:
        """Take in a trial."""
        self._trials[seat] = Progress(Trial(trial, config, self._plan))

    def trial(self, seat: str) -> Progress:
        """A trial that was taken in.

        Raises:
            PackLost: by a process before this one.
        """
        if seat not in self._trials:
            raise PackLost(LOST)
        return self._trials[seat]

    def end(self, seat: str) -> None:
        """Forget a trial."""
        self._trials.pop(seat, None)

    def train(self, segment: Segment[DPSGD], settings: GANSettings, state: TrialState) -> tuple[TrialState, str]:
        """Pay for a segment, then train it beside the others.

        Returns:
            Where the trial stands, and the receipt of the charge.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
        """
        paid = PaidTraining.of(segment.pay(self._plan.access), segment.seeds, self.device)
        try:
            return self._loop.train(settings, state, paid), paid.receipt
        except torch.AcceleratorError:  # a process whose GPU has failed once can do nothing on it any more
            traceback.print_exc()
            os._exit(1)  # so Ray starts another, and all trials go on there from their checkpoints

    def train_guest(self, segment: Segment[DPSGD], settings: GANSettings, state: TrialState) -> tuple[TrialState, str]:
        """``train`` for a trial of another process, whose state is on the CPU before and after."""
        trained, receipt = self.train(segment, settings, state)
        return trained.on(CPU), receipt


class PackClient:
    """The packs as a candidate in another process sees them; small, and picklable to any node.

    Args:
        packs: of the search.
    """

    device = CPU

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
            return answer(pack, pack.train.remote(segment, settings, state))
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
