"""The packed engine on a GPU: trial-steps per second by number of trials, beside noise from the host, Opacus, the CPU.

``make bench-gpu`` prints the tables, writes them to docs/performance.md and the raw figures to
benchmarks/results/gpu.json. Sides of one table run in turn; ratios carry over to other machines, seconds do not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.progress import track

from benchmarks.page import write_section
from benchmarks.recorded import RecordedPack
from benchmarks.workloads import CPU, hyperparameters, paid, streams, workload, workloads
from trainables.gan.engine import TrainingData
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed import pack
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.slots import TrialState
from trainables.gan.packed_engine import PackedEngine

RESULTS = Path(__file__).parent / "results" / "gpu.json"
GPU = torch.device("cuda")
ROUNDS = 3
NETWORKS = {"compact": 64, "paper": 32}  # steps of a round
OPACUS_STEPS = {"compact": 20, "paper": 4}
PROCESSES = 16
Advance = Callable[[int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024], help="of a pack")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no GPU here.")
    rows = []
    for network in track(NETWORKS, "networks"):
        rows.append(at_once(network))
        sides = {"opacus, one after another": (16, opacus(network, 16))}
        for trials in given.trials:
            if network == "compact" or trials <= 64:
                sides[f"packed, {trials:,}"] = (trials, packed(network, trials, GPU))
        many = 256 if network == "compact" else 16
        with patch.object(pack, "draws_noise", lambda device: False):
            sides[f"packed, {many:,}, noise from the host"] = (many, packed(network, many, GPU))
        sides[f"packed, {many:,}, steps recorded"] = (many, packed(network, many, GPU, RecordedPack))
        sides["packed, 16, on the CPU"] = (16, packed(network, 16, CPU))
        for side, each in sides.items():
            rows.append(measured(network, side, *each))
        RESULTS.write_text(json.dumps({"device": torch.cuda.get_device_name(), "rows": rows}, indent=1) + "\n")
        report(rows)  # after each network, since the paper's takes long


def packed(network: str, trials: int, device: torch.device, kind: type[Pack] = Pack) -> Advance:
    """So many trials in one pack."""
    config, data = configured(network, device)
    public = workload().public
    engine = PackedEngine(config.settings, public, device)
    many = kind(engine.shape, device)
    state = TrialState.of(engine.state_dict())
    for trial in range(trials):
        many.join(config.settings, public, state, paid(config, data, 10**6, streams(trial, device)))
    return many.advance


def opacus(network: str, trials: int) -> Advance:
    """As many trials one after another on the GPU."""
    config, data = configured(network, GPU)
    engines = [(OpacusEngine(config.settings, workload().public, GPU), streams(each, GPU)) for each in range(trials)]

    def advance(steps: int) -> None:
        for engine, drawn in engines:
            engine.train(paid(config, data, steps, drawn))

    return advance


def at_once(network: str) -> dict[str, Any]:
    """As many trials as Ray would put on a GPU by sixteenths, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(PROCESSES), context.Queue()
    processes = [context.Process(target=_alone, args=(network, each, ready, rates)) for each in range(PROCESSES)]
    for process in processes:
        process.start()
    rate = sum(rates.get() for _ in processes)
    for process in processes:
        process.join()
    return said(network, f"opacus, {PROCESSES} at once", PROCESSES, rate)


def _alone(network: str, number: int, ready: Any, rates: Any) -> None:
    """One trial's steps a second while the others train."""
    torch.set_num_threads(1)
    config, data = configured(network, GPU)
    engine, drawn = OpacusEngine(config.settings, workload().public, GPU), streams(number, GPU)
    steps = 10 * OPACUS_STEPS[network]
    engine.train(paid(config, data, 5, drawn))
    ready.wait()
    began = time.perf_counter()
    engine.train(paid(config, data, steps, drawn))
    torch.cuda.synchronize()
    rates.put(steps / (time.perf_counter() - began))


def configured(network: str, device: torch.device) -> tuple[Any, TrainingData]:
    """The configuration of every trial, and participants on a device."""
    return hyperparameters(network, workload().public), TrainingData.of(workload().splits.train, device)


def measured(network: str, side: str, trials: int, advance: Advance) -> dict[str, Any]:
    """Trial-steps per second, the median of rounds."""
    steps, rates = (OPACUS_STEPS if side.startswith("opacus") or "CPU" in side else NETWORKS)[network], []
    advance(steps)  # what is done once is done now
    torch.cuda.synchronize()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        advance(steps)
        torch.cuda.synchronize()
        rates.append(trials * steps / (time.perf_counter() - began))
    return said(network, side, trials, statistics.median(rates))


def said(network: str, side: str, trials: int, rate: float) -> dict[str, Any]:
    """A row, printed as soon as it is there."""
    print(f"{network}, {side}: {rate:,.0f} trial-steps a second", flush=True)
    return {"network": network, "side": side, "trials": trials, "trial_steps_per_s": rate}


def report(rows: list[dict[str, Any]]) -> None:
    """Print the table and put it on the page."""
    opacus = {row["network"]: row["trial_steps_per_s"] for row in rows if row["side"] == f"opacus, {PROCESSES} at once"}
    text = (
        "## On a GPU\n\n"
        f"Measured by `make bench-gpu` on {date.today():%d %B %Y}: {torch.cuda.get_device_name()}, PyTorch "
        f"{torch.__version__}, simulated SPRINT, batch {workloads()['batch']}, medians of {ROUNDS} rounds.\n\n"
        f"| network | side | trial-steps per second | of Opacus, {PROCESSES} at once |\n|---|---|---|---|\n"
        + "".join(
            f"| {row['network']} | {row['side']} | {row['trial_steps_per_s']:,.0f} | "
            f"{row['trial_steps_per_s'] / opacus[row['network']]:.1f}x |\n"
            for row in rows
        )
    )
    write_section("gpu", text)
    Console(width=160).print(text, highlight=False)


if __name__ == "__main__":
    main()
