"""Packs as a service to the trials of a study: one process for each device, wherever trials run.

A trial is an ordinary Ray Tune trial in a process of its own, and asks the pack of its device to train it. All that is
heavy about it is done by the pack's process: it pays for a stretch and opens the participants itself, so they never
travel between processes. What trials and their keeper need is here, and imports nothing that takes long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

if TYPE_CHECKING:
    from trainables.candidate import TrialPlan
    from trainables.hyperparameters import Hyperparameters
    from trainables.packed.slots import TrialState
    from trainables.stretch import Stretch

# Trials of one device that may be under way at once.
LARGEST_COMPANY = 1024
PATIENCE_S = 120.0
PAUSE_S = 0.2


class PackLost(RuntimeError):
    """The process that trained or scored a trial died. What it did is lost; the trial goes on from its checkpoint."""


class PackServer:
    """What runs in the process of one device: ``PackHost``, and nothing before it is there.

    Args:
        plan: what all trials of the search share.
        gpu: which GPU of its machine, as CUDA counts them; None for the CPU.
    """

    def __init__(self, plan: TrialPlan, gpu: str | None) -> None:
        if gpu is not None:  # Ray hides the GPUs of an actor that asks for none; its trials asked for this one
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        from trainables.pack_host import PackHost

        self._host = PackHost(plan, "cpu" if gpu is None else "cuda")

    def device(self) -> str:
        """Where it does its arithmetic."""
        return str(self._host.device)

    def begin(self, trial: str, config: Mapping[str, Any]) -> None:
        """Take in a trial."""
        self._host.begin(trial, config)

    def step(self, trial: str) -> dict[str, Any]:
        """Train a trial to its next scored epoch beside the others, and have it scored."""
        return self._host.trial(trial).step()

    def save(self, trial: str, directory: Path) -> None:
        """Write a trial to a folder of this machine."""
        self._host.trial(trial).save(directory)

    def load(self, trial: str, directory: Path) -> None:
        """Have a trial go on where it was saved."""
        self._host.trial(trial).load(directory)

    def end(self, trial: str) -> None:
        """Forget a trial."""
        self._host.end(trial)

    def train(self, stretch: Stretch, hyperparameters: Hyperparameters, state: TrialState) -> tuple[TrialState, str]:
        """Train somebody else's trial for one stretch; its state comes and goes."""
        return self._host.train_guest(stretch, hyperparameters, state)


class PackKeeper:
    """Starts the pack of a device when its first trial asks. It is the driver's, and the packs end with it.

    Args:
        plan: reference of what all trials share; in a list, so that it stays one.
    """

    def __init__(self, plan: list[ray.ObjectRef]) -> None:
        self._plan = plan[0]
        self._packs: dict[tuple[str, str | None], Any] = {}

    def pack(self, node: str, gpu: str | None) -> Any:
        """The pack of a device.

        Args:
            node: Ray's id of the machine.
            gpu: which of its GPUs; None for the CPU.
        """
        if (node, gpu) not in self._packs:
            self._packs[node, gpu] = (
                ray.remote(PackServer)
                .options(
                    num_cpus=0,  # trials hold the shares of the device that it uses
                    max_restarts=-1,
                    max_task_retries=0,  # a stretch that is done again must be paid for again
                    max_concurrency=LARGEST_COMPANY,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                .remote(self._plan, gpu)
            )
        return self._packs[node, gpu]


@dataclass(frozen=True)
class HostedTrials:
    """Trials that run in the pack of the device of which the process that begins them holds a share.

    Args:
        keeper: of the packs.
    """

    keeper: Any

    def begin(self, name: str, config: Mapping[str, Any]) -> HostedTrial:
        """A new trial with a configuration.

        Raises:
            PackLost: the pack died just now.
        """
        pack = pack_of_this_process(self.keeper)
        answer(pack, pack.begin.remote(name, config))
        return HostedTrial(pack, name)


@dataclass(frozen=True)
class HostedTrial:
    """A trial under way in a pack. Every request may raise ``PackLost``.

    Args:
        pack: where.
        name: of the trial.
    """

    pack: Any
    name: str

    def step(self) -> dict[str, Any]:
        """Train to the next scored epoch, score it, and say what Tune is told; see ``Progress.step``."""
        return answer(self.pack, self.pack.step.remote(self.name))

    def save(self, directory: Path) -> None:
        """Have the generator and the state that training goes on from written."""
        answer(self.pack, self.pack.save.remote(self.name, directory.resolve()))

    def load(self, directory: Path) -> None:
        """Go on where ``save`` stopped."""
        answer(self.pack, self.pack.load.remote(self.name, directory.resolve()))

    def end(self) -> None:
        """Tell the pack, without waiting for it."""
        self.pack.end.remote(self.name)


def pack_of_this_process(keeper: Any) -> Any:
    """The pack of the device where Ray has placed this process: of its node, and the GPU of which it holds a share."""
    context = ray.get_runtime_context()
    gpus = context.get_accelerator_ids().get("GPU", [])
    return ray.get(keeper.pack.remote(context.get_node_id(), gpus[0] if gpus else None))


def answer(actor: Any, reference: ray.ObjectRef) -> Any:
    """What an actor answers.

    Args:
        actor: that was asked; it has a method ``device``, and comes back when it dies.
        reference: of the answer.

    Raises:
        PackLost: its process died; it is back, but what it did is lost and was perhaps paid for.
    """
    try:
        return ray.get(reference)
    except RayActorError as error:
        _wait_until_back(actor)
        raise PackLost(
            "The process that trained or scored this trial died; the trial goes on from its checkpoint."
        ) from error


def _wait_until_back(actor: Any) -> None:
    """Wait for a process that is being started again, for a while."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            ray.get(actor.device.remote())
            return
        except ActorUnavailableError:
            time.sleep(PAUSE_S)
        except RayActorError:  # gone with its machine
            return
