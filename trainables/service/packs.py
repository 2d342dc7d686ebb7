"""Packs as a service to the trials of a study: one process for each GPU, or each core of a machine without, wherever
trials run.

A trial is an ordinary Ray Tune trial in a process of its own, and asks the pack of its device to train it. All that is
heavy about it is done by the pack's process: it pays for a segment and opens the participants itself, so they never
travel between processes. What trials and their keeper need is here, and imports nothing that takes long.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.service.answers import answer

if TYPE_CHECKING:
    from privacy import DPSGD
    from trainables.gan.hyperparameters import GANSettings
    from trainables.gan.packed.slots import TrialState
    from trainables.segment import Segment
    from trainables.trial import TrialPlan

Device = tuple[str, str | None, int]  # node, GPU of it, and core where there is no GPU

# Trials of one device that may be under way at once.
TRIALS_AT_ONCE = 256


class PackServer:
    """What runs in the process of one device. A trial has a seat there, by whose number it is known.

    Args:
        plan: what all trials of the search share.
        gpu: which GPU of its machine, as CUDA counts them; None for a core.
        scorers: how many processes score its trials.
    """

    def __init__(self, plan: TrialPlan, gpu: str | None, scorers: int) -> None:
        if gpu is not None:  # Ray hides the GPUs of an actor that asks for none; its trials asked for this one
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        from trainables.service.host import PackHost  # trials import this module, and not that one

        self._host = PackHost(plan, "cpu" if gpu is None else "cuda", scorers)

    def begin(self, seat: str, trial: str, config: Mapping[str, Any]) -> None:
        """Take in a trial."""
        self._host.begin(seat, trial, config)

    def step(self, seat: str) -> dict[str, Any]:
        """Train a trial to its next scored epoch beside the others, and have it scored."""
        return self._host.trial(seat).step()

    def save(self, seat: str, directory: Path) -> None:
        """Write a trial to a folder of this machine."""
        self._host.trial(seat).save(directory)

    def load(self, seat: str, directory: Path) -> None:
        """Have a trial go on where it was saved."""
        self._host.trial(seat).load(directory)

    def end(self, seat: str) -> None:
        """Forget a trial."""
        self._host.end(seat)

    def train(self, segment: Segment[DPSGD], settings: GANSettings, state: TrialState) -> tuple[TrialState, str]:
        """Train somebody else's trial for one segment; its state comes and goes."""
        return self._host.train_guest(segment, settings, state)


class PackKeeper:
    """Starts packs when trials ask for a seat, and spreads the trials. It is the driver's, and the packs end with it.

    A GPU has one pack. A machine without has one for each core, because two threads of one pack wait for each other
    more than they gain; each takes trials when no other has fewer.
    """

    def __init__(self) -> None:
        self._packs: dict[Device, Any] = {}
        self._seats: dict[str, Device] = {}

    def pack(self, seat: str, node: str, gpu: str | None, plan: list[ray.ObjectRef[TrialPlan]]) -> Any:
        """The pack in which a seat is; a new one where the fewest are.

        Args:
            seat: its number.
            node: Ray's id of the machine.
            gpu: of which GPU it takes a share; None for the CPU.
            plan: reference of what all trials share; in a list, so that it stays one.
        """
        if seat not in self._seats:
            self._seats[seat] = self._least_taken(node, gpu)
        return self._pack_of(self._seats[seat], plan[0])

    def leave(self, seat: str) -> None:
        """A seat is free."""
        self._seats.pop(seat, None)

    def _least_taken(self, node: str, gpu: str | None) -> Device:
        if gpu is not None:
            return node, gpu, 0
        taken = Counter(self._seats.values())
        cores = range(max(1, int(_resources(node).get("CPU", 1))))
        return min(((node, None, core) for core in cores), key=lambda device: (taken[device], device[2]))

    def _pack_of(self, device: Device, plan: ray.ObjectRef[TrialPlan]) -> Any:
        node, gpu, _ = device
        if device not in self._packs:
            has = _resources(node)
            scorers = 1 if gpu is None else max(1, int(has.get("CPU", 1) // max(1, has.get("GPU", 1))))
            self._packs[device] = (
                ray.remote(PackServer)
                .options(
                    num_cpus=0,  # trials hold the shares of the device that it uses
                    max_restarts=-1,
                    max_task_retries=0,  # a segment that is done again must be paid for again
                    max_concurrency=TRIALS_AT_ONCE,
                    enable_task_events=False,  # their number would tell that of secret runs
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                .remote(plan, gpu, scorers)
            )
        return self._packs[device]


def _resources(node: str) -> dict[str, float]:
    """What a machine has."""
    return next((each["Resources"] for each in ray.nodes() if each["NodeID"] == node), {})


@dataclass(frozen=True)
class Packs:
    """All packs of a search, as any process sees them.

    Args:
        keeper: of the packs.
        plan: reference of what all trials share; held here, because Ray can start a pack again only while it exists.
    """

    keeper: Any
    plan: list[ray.ObjectRef[TrialPlan]]

    def pack(self, seat: str) -> Any:
        """The pack in which a seat of this process is: on its node, of the GPU of which Ray gave it a share.

        Raises:
            PackLost: the keeper died just now, and the packs with it.
        """
        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        node, gpu = context.get_node_id(), gpus[0] if gpus else None
        return answer(self.keeper, self.keeper.pack.remote(seat, node, gpu, self.plan))


@dataclass(frozen=True)
class HostedTrials:
    """Trials that run in the pack of the device of which the process that begins them holds a share.

    Args:
        packs: of the search.
    """

    packs: Packs

    def begin(self, name: str, config: Mapping[str, Any]) -> HostedTrial:
        """A new trial with a configuration.

        Tune may begin a trial in one process while it still ends it in another, so each has a seat of its own.

        Raises:
            PackLost: the pack died just now.
        """
        seat = f"{name} {uuid4().hex}"
        pack = self.packs.pack(seat)
        answer(pack, pack.begin.remote(seat, name, config))
        return HostedTrial(pack, seat, self.packs.keeper)


@dataclass(frozen=True)
class HostedTrial:
    """A trial under way in a pack. Every request may raise ``PackLost``.

    Args:
        pack: where.
        seat: of the trial.
        keeper: of the packs.
    """

    pack: Any
    seat: str
    keeper: Any

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch, score it, and say what Tune is told; see ``Progress.step``."""
        return answer(self.pack, self.pack.step.remote(self.seat))

    def save(self, directory: Path) -> None:
        """Have the generator and the state that training goes on from written."""
        answer(self.pack, self.pack.save.remote(self.seat, directory.resolve()))

    def load(self, directory: Path) -> None:
        """Go on where ``save`` stopped."""
        answer(self.pack, self.pack.load.remote(self.seat, directory.resolve()))

    def end(self) -> None:
        """Tell the pack and the keeper, without waiting for them."""
        self.pack.end.remote(self.seat)
        self.keeper.leave.remote(self.seat)
