"""How much of a machine one trial takes, so that many share it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tuner.dashboards import LOOPBACK
from tuner.errors import StudyError

GPU_SHARE = 0.125
# A packed trial's own process only asks and waits; others train and score it.
PACKED_GPU_SHARE = 0.0156  # 64 to a GPU
PACKED_CORE_SHARE = 0.25  # four to the pack of a core
SMALLEST_SHARE = 0.0001  # Ray counts resources in ten-thousandths

Machine = Mapping[str, float]


@dataclass(frozen=True)
class TrialResources:
    """What one trial takes.

    Args:
        cpus: cores, may be a fraction.
        gpus: GPUs, a fraction below 1 or a whole number; 0 trains on the CPU.
    """

    cpus: float
    gpus: float

    def placement(self) -> dict[str, float]:
        """The same in the words of ``tune.with_resources``."""
        return {"cpu": self.cpus, "gpu": self.gpus}

    def trials_at_once(self, machines: Sequence[Machine]) -> int:
        """How many trials run at the same time on machines that do nothing else."""
        return sum(_fitting(machine, self) for machine in machines)


def trial_resources(
    cpus_per_trial: float | None,
    gpus_per_trial: float | None,
    cluster_resources: Machine | Sequence[Machine] | None,
    packed: bool = False,
) -> TrialResources:
    """Settle what one trial takes: as asked for, and where nothing was asked for, as the machines suggest.

    A machine with a GPU gives each trial an eighth of it and an even share of the cores, at most one; a machine
    without gives each trial one core. Packed trials take less: a 64th of a GPU, or a quarter of a core.

    Args:
        cpus_per_trial: cores asked for, or None.
        gpus_per_trial: GPUs asked for, or None; 0 leaves the GPUs alone.
        cluster_resources: ``CPU`` and ``GPU`` of one machine or of each machine of a cluster, as ``machines`` finds
            them; None for this machine.
        packed: whether trials train together in one process of each device.

    Raises:
        StudyError: a share that is no share, that Ray cannot count, or that no machine has.
    """
    available = _as_machines(cluster_resources)
    _check_cpus(cpus_per_trial)
    _check_gpus(gpus_per_trial)
    most_gpus = max(machine.get("GPU", 0) for machine in available)
    gpus = gpus_per_trial if gpus_per_trial is not None else (_gpu_share(packed) if most_gpus else 0)
    if gpus > most_gpus:
        raise StudyError(_too_many_gpus(gpus, most_gpus))
    cpus = cpus_per_trial if cpus_per_trial is not None else _core_share(gpus, available, packed)
    settled = TrialResources(cpus=float(cpus), gpus=float(gpus))
    if not settled.trials_at_once(available):
        raise StudyError(_too_many_cpus(settled, available))
    return settled


def machines() -> list[dict[str, float]]:
    """CPU and GPU of every machine a study can use: those of the connected Ray, and those it may still start."""
    import ray

    found = running_machines()
    if any(node["NodeManagerAddress"] != LOOPBACK for node in ray.nodes() if node["Alive"]):
        found += map(_countable, _machines_to_come(Path.home() / "ray_bootstrap_config.yaml"))
    return found


def running_machines() -> list[dict[str, float]]:
    """CPU and GPU of every machine of the connected Ray."""
    import ray

    return [_countable(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _countable(machine: Machine) -> dict[str, float]:
    return {name: float(machine.get(name, 0)) for name in ("CPU", "GPU")}


def _machines_to_come(cluster_file: Path) -> list[Machine]:
    """One machine of each kind an autoscaling cluster may launch; one just started runs none of its workers yet.

    Args:
        cluster_file: what ``ray up`` leaves on the head; elsewhere there is none.
    """
    if not cluster_file.exists():
        return []
    kinds = yaml.safe_load(cluster_file.read_text())["available_node_types"].values()
    return [kind.get("resources", {}) for kind in kinds if kind.get("max_workers", 1)]


def _as_machines(resources: Machine | Sequence[Machine] | None) -> list[Machine]:
    if resources is None:
        return [_this_machine()]
    if isinstance(resources, Mapping):
        return [resources]
    return list(resources) or [{}]


def _this_machine() -> dict[str, float]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"CPU": float(cores), "GPU": float(torch.cuda.device_count())}


def _check_cpus(cpus: float | None) -> None:
    if cpus is not None and not SMALLEST_SHARE <= cpus < math.inf:
        raise StudyError(
            f"--cpus-per-trial {cpus:g} is not a share of a machine's cores. Give a number above 0, such as 1 or 0.5."
        )


def _check_gpus(gpus: float | None) -> None:
    if gpus is None or gpus == 0:
        return
    if not SMALLEST_SHARE <= gpus < math.inf:
        raise StudyError(
            f"--gpus-per-trial {gpus:g} is not a share of a GPU. Give a fraction such as 0.125, a whole number, or 0 "
            "to train on the CPU."
        )
    if gpus > 1 and gpus != int(gpus):
        raise StudyError(
            f"--gpus-per-trial {gpus:g} takes one GPU and a part of another, which cannot be scheduled. Give a "
            f"fraction below 1, such as 0.125, or a whole number, such as {math.ceil(gpus)}."
        )


def _gpu_share(packed: bool) -> float:
    return PACKED_GPU_SHARE if packed else GPU_SHARE


def _core_share(gpus: float, available: Sequence[Machine], packed: bool) -> float:
    """Cores per trial when nobody asked: an even share where the GPUs are the narrow place, else one."""
    if packed and not gpus:
        return PACKED_CORE_SHARE
    shares = [1.0]
    for machine in available:
        cores, trials = machine.get("CPU", 0), _fitting(machine, TrialResources(0, gpus))
        if cores and trials:
            shares.append(cores / trials if gpus else cores)
    return max(SMALLEST_SHARE, _floor(min(shares)))


def _fitting(machine: Machine, trial: TrialResources) -> int:
    """Trials that fit on one machine. A fraction of a GPU lies on a single GPU."""
    by_cpu = _times(trial.cpus, machine.get("CPU", 0)) if trial.cpus else math.inf
    gpus = int(machine.get("GPU", 0))
    if not trial.gpus:
        by_gpu: float = math.inf
    elif trial.gpus < 1:
        by_gpu = gpus * _times(trial.gpus, 1)
    else:
        by_gpu = gpus // int(trial.gpus)
    fitting = min(by_cpu, by_gpu)
    return int(fitting) if fitting < math.inf else 1


def _times(share: float, whole: float) -> int:
    """How often a share goes into the whole, in Ray's ten-thousandths."""
    return round(whole / SMALLEST_SHARE) // max(1, round(share / SMALLEST_SHARE))


def _floor(share: float) -> float:
    return math.floor(round(share / SMALLEST_SHARE, 6)) * SMALLEST_SHARE


def _too_many_gpus(gpus: float, most: float) -> str:
    if not most:
        return (
            f"--gpus-per-trial {gpus:g} was asked for, but there is no GPU here that Ray or PyTorch can see. Leave the "
            "option out to train on the CPU, or check the driver with: nvidia-smi"
        )
    return (
        f"--gpus-per-trial {gpus:g} is more than any machine has: the largest has {most:g}. A trial uses at most one "
        "GPU's arithmetic, so give a fraction such as 0.125."
    )


def _too_many_cpus(trial: TrialResources, available: Sequence[Machine]) -> str:
    largest = max(machine.get("CPU", 0) for machine in available if machine.get("GPU", 0) >= trial.gpus)
    where = "any machine with a GPU has" if trial.gpus else "any machine has"
    return (
        f"--cpus-per-trial {trial.cpus:g} is more than {where}: the largest has {largest:g}. Trials do not span "
        f"machines, so give at most {largest:g}."
    )
