"""How the cost of a packed trial-step grows with the number of trials, of participants, and the width of the networks.

``make bench-growth`` prints the table, writes it to docs/performance.md and the raw figures to
benchmarks/results/growth.json. The three are measured in turn, each around the same middle: 16 trials, the simulated
SPRINT's size, width 128. Ratios carry over to other machines, seconds do not.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.page import write_section
from benchmarks.workloads import CPU, hyperparameters, paid, streams, workload, workloads
from trainables.gan.engine import PublicFigures, TrainingData
from trainables.gan.packed.pack import Pack
from trainables.gan.packed_engine import PackedEngine

RESULTS = Path(__file__).parent / "results" / "growth.json"
MIDDLE = {"trials": 16, "participants": 5000, "width": 128}
ROUNDS = 3


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(workloads()["threads"])
    asked = workloads()["engine"]["growth"]
    axes = {"trials": asked["trials"], "participants": asked["participants"], "width": asked["widths"]}
    rows = [measured(axis, value, asked["steps"]) for axis, values in axes.items() for value in values]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    others = f"{MIDDLE['trials']} trials, {MIDDLE['participants']:,} participants, width {MIDDLE['width']}"
    text = (
        "## How the cost grows\n\n"
        f"Measured by `make bench-growth` on {date.today():%d %B %Y}: {platform.machine()}, {workloads()['threads']} "
        f"threads, compact network, batch {workloads()['batch']}, medians of {ROUNDS}.\nOne thing varies at a time; "
        f"the others are {others}.\n\n"
        "| what varies | | milliseconds of a trial-step |\n|---|---|---|\n"
        + "".join(f"| {row['axis']} | {row['value']:,} | {row['ms']:.2f} |\n" for row in rows)
    )
    write_section("growth", text)
    Console(width=160).print(text, highlight=False)


def measured(axis: str, value: int, steps: int) -> dict[str, Any]:
    """Milliseconds of a trial-step where one thing is as given and the others are in the middle."""
    setting = {**MIDDLE, axis: value}
    advance = pack_of(setting["trials"], setting["participants"], setting["width"])
    advance(steps)  # what is done once is done now
    seconds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        advance(steps)
        seconds.append(time.perf_counter() - begin)
    return {"axis": axis, "value": value, "ms": 1000 * statistics.median(seconds) / steps / setting["trials"]}


def pack_of(trials: int, participants: int, width: int) -> Callable[[int], None]:
    """So many trials in one pack, on made-up participants."""
    public: PublicFigures = replace(workload().public, participants=participants)
    made_up = torch.Generator().manual_seed(0)
    features = 2 * torch.rand(participants, public.features, generator=made_up) - 1
    data = TrainingData(features, (features[:, 0] > 0).long())
    config = hyperparameters("compact", public, width=width)
    engine = PackedEngine(config.settings, public, CPU)
    pack = Pack(engine.shape, CPU)
    for trial in range(trials):
        pack.join(config.settings, public, engine.state, paid(config, data, 10**6, streams(trial)))
    return pack.advance


if __name__ == "__main__":
    main()
