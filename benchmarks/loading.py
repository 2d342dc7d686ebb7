"""What it takes to load a large trial: CPU time and memory, beside pandas and beside an older loader.

``python -m benchmarks.loading`` writes a made-up trial of a million rows by twenty columns and has processes of their
own load it, one after the other, some times each: this loader; pandas, which reads the same columns and checks nothing;
and with ``--against COMMIT`` the loader as it was then. It prints a table of CPU seconds and peak memory, the least of
all runs. The files are read from memory by then, so CPU seconds hardly depend on the machine's disk.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
VISITS = [f"week {week}" for week in (0, 4, 8, 12)]
NUMBERS = {f"score {number}": (0, 100) for number in range(7)} | {
    f"pressure {number}": (40, 260) for number in range(3)
}
LABS = [f"lab {number}" for number in range(4)]
CLASSES = [f"class {number}" for number in range(3)]
CATEGORIES = ["none", "mild", "severe"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table, four of each participant")
    parser.add_argument("--runs", type=int, default=3, help="of each loader")
    parser.add_argument("--against", metavar="COMMIT", help="whose loader to set beside this one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = write_trial(Path(folder), given.rows // len(VISITS))
        loaders = {"this loader": (ROOT, "loader"), "pandas alone": (ROOT, "pandas")}
        if given.against:
            loaders[f"the loader of {given.against}"] = (extracted(given.against, Path(folder) / "older"), "loader")
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
        for _ in range(given.runs):
            for name, (root, what) in loaders.items():
                taken[name].append(in_a_process(root, what, trial))
    print(f"{given.rows:,} rows by {len(columns())} columns\n\n| loaded by | CPU, s | peak memory, GB |\n|---|---|---|")
    for name, runs in taken.items():
        print(f"| {name} | {min(cpu for cpu, _ in runs):.1f} | {min(memory for _, memory in runs):.2f} |")


def columns() -> list[str]:
    return ["id", "visit", "arm", *NUMBERS, *LABS, *CLASSES]


def write_trial(folder: Path, participants: int) -> Path:
    """The table and its schema; nobody is real."""
    rng, rows = np.random.default_rng(0), participants * len(VISITS)
    table = {
        "id": np.repeat([f"P{number:07}" for number in range(participants)], len(VISITS)),
        "visit": np.tile(VISITS, participants),
        "arm": np.repeat(rng.choice(["control", "treated"], participants), len(VISITS)),
        **{name: rng.integers(*limits, rows) for name, limits in NUMBERS.items()},
        **{name: rng.uniform(0, 1000, rows).round(1) for name in LABS},
        **{name: rng.choice(CATEGORIES, rows) for name in CLASSES},
    }
    pd.DataFrame(table).to_csv(folder / "visits.csv", index=False)
    integers = [{"kind": "integer", "lower": low, "upper": high} for low, high in NUMBERS.values()]
    kinds = [
        *integers,
        *[{"kind": "continuous", "decimals": 1, "lower": 0, "upper": 1000}] * len(LABS),
        *[{"kind": "categorical", "categories": CATEGORIES}] * len(CLASSES),
    ]
    names = [*NUMBERS, *LABS, *CLASSES]
    classes = [{"name": name, "value": name, "share": 0.5} for name in ("control", "treated")]
    schema = {
        "name": "large",
        "public": True,
        "participant": "id",
        "nominal_size": participants,
        "tables": {"visits": "visits.csv"},
        "label": {"name": "arm", "table": "visits", "column": "arm", "randomised": True, "classes": classes},
        "visits": {"column": "visit", "codes": VISITS},
        "measures": [
            {"name": name, "table": "visits", "column": name, **kind} for name, kind in zip(names, kinds, strict=True)
        ],
    }
    (folder / "large.yaml").write_text(yaml.safe_dump(schema))
    return folder / "large.yaml"


def extracted(commit: str, folder: Path) -> Path:
    """The package as it was at a commit."""
    archive = subprocess.run(["git", "archive", commit, "cohorts"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    return folder


def in_a_process(root: Path, what: str, trial: Path) -> tuple[float, float]:
    """CPU seconds and peak memory in GB of a process that loads the trial by the code below a folder."""
    command = [sys.executable, "-P", __file__, what, str(trial)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    cpu, memory = json.loads(ran.stdout)
    return cpu, memory


def load(what: str, trial: Path) -> tuple[float, float]:
    """What it takes in this process, less what it takes to begin it."""
    if what == "loader":
        from cohorts import load_participants  # of the code that PYTHONPATH names

        before = cpu_s()
        load_participants(str(trial))
    else:
        before = cpu_s()
        pd.read_csv(trial.parent / "visits.csv", usecols=columns())
    return cpu_s() - before, peak_gb()


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_gb() -> float:
    """Resident memory at most (Linux); getrusage would count what the parent process had, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024**2


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in ("loader", "pandas"):
        print(json.dumps(load(sys.argv[1], Path(sys.argv[2]))))
    else:
        main()
