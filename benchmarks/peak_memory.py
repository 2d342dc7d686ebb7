"""Memory that some steps of one trial take: peak resident memory less that just before (Linux).

``python -m benchmarks.peak_memory opacus|packed`` prints it in MiB; a process of its own, so that nothing freed
earlier is reused unseen.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from benchmarks.workloads import CPU, hyperparameters, paid, streams, workload, workloads
from trainables.gan.candidate import new_engine


def main(engine: str) -> None:
    """Print what some steps take."""
    asked = workloads()["engine"]["memory"]
    torch.set_num_threads(workloads()["threads"])
    given = workload()
    config = hyperparameters(asked["network"], given.public, batch=asked["batch"])
    trained, data = new_engine(engine, config.settings, given.public, CPU), given.data
    before = status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # begins the high-water mark anew
    trained.train(paid(config, data, asked["steps"], streams(0)))
    print(status_mib("VmHWM") - before)


def status_mib(field: str) -> float:
    """A figure of this process that Linux keeps."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    main(sys.argv[1])
