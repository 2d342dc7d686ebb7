"""The packed engine against Opacus: trial-steps per second and memory, both sides in turn in one run.

``make bench-engine`` prints the table, writes it to docs/performance.md and the raw figures to
benchmarks/results/engine.json. Ratios carry over to other machines, seconds do not.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.ghost import GhostEngine
from benchmarks.page import write_section
from benchmarks.workloads import CPU, hyperparameters, paid, streams, workload, workloads
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed.networks import Shape
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed_engine import PackedEngine

RESULTS = Path(__file__).parent / "results" / "engine.json"
# Table rows: name of the ratio, what it says, what it should at least be.
TARGETS = {
    "packed_over_opacus_hooks_compact_16": ("compact network, 16 trials: packed / Opacus hooks", 10),
    "packed_over_opacus_ghost_compact_16": ("compact network, 16 trials: packed / Opacus ghost clipping", 8),
    "packed_over_opacus_hooks_paper": ("paper's network, 4 trials: packed / Opacus hooks", 20),
    "memory_opacus_over_packed_paper": ("peak memory of the paper's network at batch 256: Opacus hooks / packed", 10),
}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(workloads()["threads"])
    runs = [*compare("compact", ghost=True), *compare("paper"), *memory()]
    ratios = {
        "packed_over_opacus_hooks_compact_16": speed_ratio(runs, "compact", "opacus_hooks"),
        "packed_over_opacus_ghost_compact_16": speed_ratio(runs, "compact", "opacus_ghost"),
        "packed_over_opacus_hooks_paper": speed_ratio(runs, "paper", "opacus_hooks"),
        "memory_opacus_over_packed_paper": memory_ratio(runs),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"ratios": ratios, "runs": runs}, indent=1) + "\n")
    report(ratios, runs)


def compare(network: str, ghost: bool = False) -> list[dict[str, Any]]:
    """Runs of each side, in turn, so that a slow moment of the machine hits all of them."""
    asked = workloads()["engine"][network]
    trials, steps = asked["trials"], asked["steps"]
    sides = {"packed": packed(network, trials), "opacus_hooks": opacus(OpacusEngine, network, trials)}
    if ghost:
        sides["opacus_ghost"] = opacus(GhostEngine, network, trials)
    for advance in sides.values():
        advance(5)
    runs = []
    for run in range(workloads()["runs"]):
        for side, advance in sides.items():
            begin = time.perf_counter()
            advance(steps)
            rate = trials * steps / (time.perf_counter() - begin)
            runs.append({"network": network, "side": side, "run": run, "trial_steps_per_s": rate})
    return runs


def packed(network: str, trials: int) -> Callable[[int], None]:
    """So many trials in one pack."""
    given = workload()
    config = hyperparameters(network, given.public)
    settings = config.settings
    pack = Pack(Shape.of(settings, given.public), CPU)
    data = given.data
    for trial in range(trials):
        state = TrialState.of(PackedEngine(settings, given.public, CPU).state_dict())
        pack.join(settings, given.public, state, paid(config, data, 10**6, streams(trial)))
    return pack.advance


def opacus(kind: type[OpacusEngine], network: str, trials: int) -> Callable[[int], None]:
    """As many trials one after another, each with both threads: what Opacus does best on two cores."""
    given = workload()
    config, data = hyperparameters(network, given.public), given.data
    engines = [(kind(config.settings, given.public, CPU), streams(trial)) for trial in range(trials)]

    def advance(steps: int) -> None:
        for engine, drawn in engines:
            engine.train(paid(config, data, steps, drawn))

    return advance


def memory() -> list[dict[str, Any]]:
    """Peaks of both engines, each in processes of its own."""
    runs = []
    for run in range(workloads()["runs"]):
        for side in ("packed", "opacus"):
            command = [sys.executable, "-m", "benchmarks.peak_memory", side]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            runs.append({"network": "paper", "side": side, "run": run, "peak_mib": float(done.stdout)})
    return runs


def speed_ratio(runs: list[dict[str, Any]], network: str, other: str) -> float:
    """Median over runs of packed by other, both of the same run."""
    speeds = {
        (r["side"], r["run"]): r["trial_steps_per_s"]
        for r in runs
        if r["network"] == network and "trial_steps_per_s" in r
    }
    return statistics.median(speeds["packed", run] / speeds[other, run] for run in range(workloads()["runs"]))


def memory_ratio(runs: list[dict[str, Any]]) -> float:
    """Median over runs of Opacus by packed."""
    peaks = {(r["side"], r["run"]): r["peak_mib"] for r in runs if "peak_mib" in r}
    return statistics.median(peaks["opacus", run] / peaks["packed", run] for run in range(workloads()["runs"]))


def report(ratios: dict[str, float], runs: list[dict[str, Any]]) -> None:
    """Print the table and put it on the page."""
    text = (
        "## The packed engine against Opacus\n\n"
        f"Measured by `make bench-engine` on {date.today():%d %B %Y}: {platform.machine()}, "
        f"{workloads()['threads']} threads, PyTorch {torch.__version__}, simulated SPRINT, batch "
        f"{workloads()['batch']}. Both sides in turn in one run, medians of {workloads()['runs']}. A trial-step is one "
        "discriminator step\nwith its share of generator steps; memory is peak resident memory less that just before. "
        "The workload is\n`benchmarks/workloads.yaml`, the raw figures are `benchmarks/results/engine.json`.\n\n"
        "| on 2 CPU cores | measured | at least |\n|---|---|---|\n"
        + "".join(f"| {what} | {ratios[name]:.1f}x | {target}x |\n" for name, (what, target) in TARGETS.items())
        + "\n| side | trial-steps per second | peak memory |\n|---|---|---|\n"
        + "".join(f"| {row} |\n" for row in sides(runs))
    )
    write_section("engine", text)
    Console(width=160).print(text, highlight=False)


def sides(runs: list[dict[str, Any]]) -> list[str]:
    """Medians of every side."""
    rows = []
    for network, side in dict.fromkeys((run["network"], run["side"]) for run in runs):
        mine = [run for run in runs if (run["network"], run["side"]) == (network, side)]
        speeds = [run["trial_steps_per_s"] for run in mine if "trial_steps_per_s" in run]
        peaks = [run["peak_mib"] for run in mine if "peak_mib" in run]
        cells = [
            f"{statistics.median(speeds):.0f}" if speeds else "",
            f"{statistics.median(peaks):.0f} MiB" if peaks else "",
        ]
        rows.append(f"{network}, {side.replace('_', ' ')} | " + " | ".join(cells))
    return rows


if __name__ == "__main__":
    main()
