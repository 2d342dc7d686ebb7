"""Packs as a service to the trials of a study: one process for each device, wherever trials run.

A trial is an ordinary Ray Tune trial in a process of its own, and asks the pack of its device to train it. The pack's
process pays for a stretch and opens the participants itself, so they never travel between processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cohorts import Cohort, Participants
from privacy import BudgetExhausted, LedgerError, Policy
from trainables.engine import PublicFigures
from trainables.hyperparameters import Hyperparameters
from trainables.packed.loop import PackLoop
from trainables.packed.slots import TrialState
from trainables.stretch import Stretch

# Trials of one device that may be under way at once.
LARGEST_COMPANY = 1024
PATIENCE_S = 120.0
PAUSE_S = 0.2


class PackLost(RuntimeError):
    """The process of a pack died. What it was training is lost; a trial goes on from its last checkpoint."""


@dataclass(frozen=True)
class PackedTraining:
    """What all trials of a search train with, wherever they do.

    Args:
        policy: is paid before participants are read.
        participants: to train on, sealed unless they are a surrogate's.
        public: constants of the schema.
    """

    policy: Policy
    participants: Cohort | Participants
    public: PublicFigures


class PackServer:
    """What runs in the process of one device.

    Args:
        training: what trials train with.
        gpu: which GPU of its machine, as CUDA counts them; None for the CPU.
    """

    def __init__(self, training: PackedTraining, gpu: str | None) -> None:
        if gpu is not None:  # Ray hides the GPUs of an actor that asks for none; its trials asked for this one
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self._training, self._device = training, torch.device("cpu" if gpu is None else "cuda")
        self._loop = PackLoop(training.public, self._device)

    def device(self) -> str:
        """Where it does its arithmetic."""
        return str(self._device)

    def train(self, stretch: Stretch, hyperparameters: Hyperparameters, state: TrialState) -> tuple[TrialState, str]:
        """Pay for a stretch, then train it beside the others.

        Returns:
            Where the trial stands, and the witness of the charge.
        """
        paid = stretch.pay(self._training.policy, self._training.participants, self._device)
        trained = self._loop.train(hyperparameters, state, paid)
        return trained.on(torch.device("cpu")), paid.witness


class PackKeeper:
    """Starts the pack of a device when its first trial asks. It is the driver's, and the packs end with it.

    Args:
        training: what trials train with.
    """

    def __init__(self, training: PackedTraining) -> None:
        self._training = ray.put(training)
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
                .remote(self._training, gpu)
            )
        return self._packs[node, gpu]


class PackClient:
    """The packs as a trial sees them; small, and picklable to any node.

    Args:
        keeper: of the packs.
    """

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper

    def train(self, stretch: Stretch, hyperparameters: Hyperparameters, state: TrialState) -> tuple[TrialState, str]:
        """Have the pack of this process's device pay for a stretch and train it.

        Returns:
            Where the trial stands, on the CPU, and the witness of the charge.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
            PackLost: the pack's process died; it is back, but the stretch is lost and was perhaps paid for.
        """
        try:
            pack = ray.get(self._keeper.pack.remote(*device_of_trial()))
            return ray.get(pack.train.remote(stretch, hyperparameters, state))
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, LedgerError | BudgetExhausted) else error) from None
        except RayActorError as error:
            _wait_until(lambda: ray.get(pack.device.remote()))
            raise PackLost(
                "The process that trained this trial died; the trial goes on from its checkpoint."
            ) from error


def device_of_trial() -> tuple[str, str | None]:
    """Where Ray has placed this process: its node, and the GPU of which it holds a share."""
    context = ray.get_runtime_context()
    gpus = context.get_accelerator_ids().get("GPU", [])
    return context.get_node_id(), gpus[0] if gpus else None


def serve_packs(training: PackedTraining) -> PackClient:
    """Be ready to start packs; they end with this driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeper: Any = ray.remote(PackKeeper)
    return PackClient(keeper.options(num_cpus=0, scheduling_strategy=here).remote(training))


def _wait_until(answers: Callable[[], Any]) -> None:
    """Wait for a process that is being started again, for a while."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            answers()
            return
        except ActorUnavailableError:
            time.sleep(PAUSE_S)
        except RayActorError:  # gone with its machine
            return
