"""What a study gets of a machine whose every core somebody else keeps busy, too.

``python -m benchmarks.share`` starts the study of ``make bench-study``, waits until a pack is there, and counts the
processor time of all its processes for a while: alone, beside one busy loop for each core, and there with the niceness
that Ray gives its workers unless it is told otherwise. It prints the table, writes it to docs/performance.md and the
raw figures to benchmarks/results/share.json. Half of the machine is a fair share beside as many others (Linux).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path

import psutil
from rich.console import Console

from benchmarks.page import write_section
from tuner.ray_cluster import FULL_WEIGHT

RESULTS = Path(__file__).parent / "results" / "share.json"
RAY_NICENESS = 15
WINDOW_S = 20
# Beside busy loops, and the niceness of the study's workers.
SIDES = ((False, FULL_WEIGHT["worker_niceness"]), (True, FULL_WEIGHT["worker_niceness"]), (True, RAY_NICENESS))


def main() -> None:
    """Measure all sides in turn, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = []
    for run in range(parser.parse_args().runs):
        for busy, niceness in SIDES:
            runs.append({"run": run, "busy": busy, "niceness": niceness, "share": share(busy, niceness)})
            Console(stderr=True).print(runs[-1])
    RESULTS.write_text(json.dumps(runs, indent=1) + "\n")
    lines = []
    for busy, niceness in SIDES:
        share_of = statistics.median(row["share"] for row in runs if (row["busy"], row["niceness"]) == (busy, niceness))
        lines.append(f"| {'one busy loop for each core' if busy else 'nobody'} | {niceness} | {share_of:.0%} |")
    text = (
        "## Beside other people's work\n\n"
        f"Measured by `python -m benchmarks.share --runs {1 + max(row['run'] for row in runs)}` on "
        f"{date.today():%d %B %Y}, {psutil.cpu_count()} cores: processor "
        f"time of all processes of the\nstudy above in {WINDOW_S} seconds from the start of its first pack, as a share "
        "of the machine; medians over the runs.\n\n"
        "| beside | niceness of the study's workers | share of the machine |\n|---|---|---|\n" + "\n".join(lines) + "\n"
    )
    write_section("share", text)
    Console(width=160).print(text, highlight=False)


def share(busy: bool, niceness: int) -> float:
    """Share of all cores that a study gets."""
    with ExitStack() as stack:
        if busy:
            for _ in range(psutil.cpu_count()):
                stack.enter_context(running([sys.executable, "-c", "while True: pass"]))
        side = ["--side", "packed", "steering", "--niceness", str(niceness)]
        study = stack.enter_context(running([sys.executable, "-m", "benchmarks.study", *side]))
        while not any(name.startswith("ray::PackServer") for name, _ in processes(study)):
            if not study.is_running():
                raise SystemExit("The study ended before it began to train.")
            time.sleep(0.2)
        before, begin = dict(seconds_by_process(study)), time.perf_counter()
        time.sleep(WINDOW_S)
        after, seconds = dict(seconds_by_process(study)), time.perf_counter() - begin
    return sum(after[each] - before.get(each, 0.0) for each in after) / seconds / psutil.cpu_count()


@contextmanager
def running(command: list[str]) -> Iterator[psutil.Process]:
    """A process while the block runs; it and all its children are killed afterwards."""
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process = psutil.Process(started.pid)
    try:
        yield process
    finally:
        for each in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        started.wait()


def processes(study: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    """All of a study, by their titles."""
    for process in [study, *study.children(recursive=True)]:
        with suppress(psutil.Error, IndexError):
            yield process.cmdline()[0], process


def seconds_by_process(study: psutil.Process) -> Iterator[tuple[int, float]]:
    """Processor seconds of each process of a study so far."""
    for _, process in processes(study):
        with suppress(psutil.NoSuchProcess):
            spent = process.cpu_times()
            yield process.pid, spent.user + spent.system


if __name__ == "__main__":
    main()
