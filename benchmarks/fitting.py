"""What it takes to fit networks to measurements: a step, a whole search, and what packing them could save.

``python -m benchmarks.fitting`` times a step on one thread by how many draws it is taken on, and whole studies under
``measured`` of 16 and of 64 trials, one after the other. What a step of hardly any draws takes is not arithmetic on
draws, and is all that networks which take their steps together could share on a processor. It writes a section of
docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.ablation import Recipe, bought
from benchmarks.page import write_section
from cohorts import load_participants
from trainables.candidate import Setting
from trainables.measured.candidate import STEPS_PER_EPOCH, MeasuredNetwork

ROOT = Path(__file__).parents[1]
COHORTS = ("sprint-simulated", "actg175")
EPSILON = 3.0
DRAWS = (16, 256, 512, 1024)  # of each class; the last is the default
ROUNDS, STEPS = 15, 10
FEW, MANY = 16, 64  # trials
SEARCH = 1024


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1, help="of each number of trials (default: %(default)s)")
    given = parser.parse_args()
    steps = {cohort: milliseconds(cohort) for cohort in COHORTS}
    studies = {
        cohort: [statistics.median(seconds(cohort, trials) for _ in range(given.studies)) for trials in (FEW, MANY)]
        for cohort in COHORTS
    }
    text = report(steps, studies)
    write_section("fitting", text)
    Console(width=160).print(text, highlight=False)


def milliseconds(cohort: str) -> list[float]:
    """Of a step of the default network, by the number of draws."""
    torch.set_num_threads(1)
    people = load_participants(cohort)[0]
    measured = bought(people, Recipe(), EPSILON)
    setting = Setting(people.schema, 1.0, "packed", torch.device("cpu"))
    networks = [MeasuredNetwork.of({"batch_size": draws}, setting) for draws in DRAWS]
    randomness = torch.Generator().manual_seed(0)
    took: list[list[float]] = [[] for _ in DRAWS]
    for network in networks:
        network.take(measured)
        network.fit(STEPS, randomness)  # what is done once is done now
    for _ in range(ROUNDS):
        for network, times in zip(networks, took, strict=True):
            began = time.perf_counter()
            network.fit(STEPS, randomness)
            times.append(1000 * (time.perf_counter() - began) / STEPS)
    return [statistics.median(times) for times in took]


def seconds(cohort: str, trials: int) -> float:
    """Of a whole study, from the command to the release."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--cohort", cohort, "--trials", str(trials), "--out", folder, "--study", "s", "--release-anyway")
        began = time.monotonic()
        subprocess.run(
            [sys.executable, ROOT / "tuner" / "run.py", *options],
            cwd=ROOT,
            env={**os.environ, "DPGAN_TUNE_DATA": f"{folder}/data"},
            check=True,
        )
        return time.monotonic() - began


def report(steps: dict[str, list[float]], studies: dict[str, list[float]]) -> str:
    """The section, as Markdown."""
    lines = []
    for cohort, (few, many) in studies.items():
        each = (many - few) / (MANY - FEW)
        cells = [f"{took:.1f} ms" for took in steps[cohort]]
        whole = many + (SEARCH - MANY) * each
        cells += [f"{few:.0f} s", f"{many:.0f} s", f"{60 / each:.0f}", f"{whole / 60:.0f} min"]
        lines.append(f"| {cohort} | {' | '.join(cells)} |")
    factors = [times[-1] / (times[-1] - times[0]) for times in steps.values()]
    heads = [f"step on {draws} draws" for draws in DRAWS]
    heads += [f"{FEW} trials", f"{MANY} trials", "trials a minute", f"{SEARCH:,} trials"]
    return (
        "## Fitting to measurements\n\n"
        f"Measured by `python -m benchmarks.fitting` on {date.today():%d %B %Y}: {platform.machine()}, "
        f"{os.cpu_count()} cores. A step is one of the default\nnetwork on one thread, {STEPS_PER_EPOCH} of them an "
        f"epoch, medians of {ROUNDS} rounds in turn; a study is `tuner/run.py` with its defaults but\nfor the number "
        f"of trials. A further trial costs what {MANY} cost more than {FEW}, and {SEARCH:,} are reckoned from that.\n\n"
        f"| cohort | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}\n" + "\n".join(lines) + "\n\n"
        "Networks are fitted by threads of their pack's process, each by steps of its own; there is a pack for each "
        "core. Were their steps\ntaken together, as those of GANs are, they would share only what a step takes on few "
        f"draws, so on a processor this would save\na factor of {min(factors):.1f} to {max(factors):.1f} and no more.\n"
    )


if __name__ == "__main__":
    main()
