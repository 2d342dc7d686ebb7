"""How often the gate fails a good release, and whether it finds two faults that releases once had.

``python -m benchmarks.gate --draws 20`` measures the simulated SPRINT so many times, fits one network of the default
configuration to each measurement, and has the gate judge what it draws, once as it is and once with each fault.
``--studies 20`` runs whole studies by ``tuner/run.py`` instead, one after the other. Each result is appended to
benchmarks/results/gate.json as it comes, and the table of docs/quality.md is written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import beta

from analysis.quality.gate import Quality, judge
from benchmarks.ablation import Recipe, bought, made
from benchmarks.page import write_section
from benchmarks.quality import PAGE, ROOT
from cohorts import Participants, load_participants

RESULTS = ROOT / "benchmarks" / "results" / "gate.json"
COHORT, EPSILON, MEASURED_SHARE = "sprint-simulated", 3.0, 0.9
SOUND, QUARTER, COLLAPSED = "as it is", "a quarter of one measure at its limit", "one measure the same in everybody"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", default=COHORT)
    parser.add_argument("--draws", type=int, default=0, help="measurements with one network each")
    parser.add_argument("--studies", type=int, default=0, help="whole studies")
    given = parser.parse_args()
    real = load_participants(given.cohort)[0]
    for number in range(given.draws):
        for fault, found in drawn(real, number).items():
            _keep(given.cohort, "one network", fault, found)
    for _ in range(given.studies):
        _keep(given.cohort, "study", SOUND, studied(given.cohort))
    write_table(_rows())


def drawn(real: Participants, seed: int) -> Mapping[str, Quality]:
    """What the gate says of one measurement's release, and of the same with each fault."""
    randomness = np.random.default_rng(seed)
    people = real.take(np.flatnonzero(randomness.random(len(real)) < MEASURED_SHARE))
    measured = bought(people, Recipe(), EPSILON)
    torch.manual_seed(seed)
    network = made(measured, real, Recipe(), seed)
    release = network.generate(real.schema.nominal_size, torch.Generator().manual_seed(seed))
    return {fault: judge(measured, each) for fault, each in faulty(release, randomness).items()}


def faulty(release: Participants, randomness: np.random.Generator) -> Mapping[str, Participants]:
    """A release, and the same with faults in its first measure."""
    first, limit = release.values[:, 0], release.schema.measures[0].lower
    stuck = randomness.random((len(release), 1)) < 0.25
    with_faults = {
        SOUND: first,
        QUARTER: np.where(stuck & ~np.isnan(first), limit, first),
        COLLAPSED: np.where(np.isnan(first), first, np.rint(np.nanmean(first))),
    }
    return {fault: replace(release, values=_with_first(release, values)) for fault, values in with_faults.items()}


def _with_first(release: Participants, values: np.ndarray) -> np.ndarray:
    new = release.values.copy()
    new[:, 0] = values
    return new


def studied(cohort: str) -> Quality:
    """What the gate says of a whole study, whose exit status must agree."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, ROOT / "tuner" / "run.py", "--cohort", cohort, "--epsilon", str(EPSILON)]
        environment = {**os.environ, "DPGAN_TUNE_DATA": f"{folder}/data"}
        ended = subprocess.run([*command, "--study", "s", "--out", folder], cwd=ROOT, env=environment).returncode
        manifest = json.loads(Path(folder, "s", "release", "manifest.json").read_text())
    found = Quality.model_validate(manifest["quality"])
    assert ended == (3 if found.failed else 0), f"status {ended} for a release that {found.verdict}"
    return found


def write_table(rows: list[dict[str, Any]]) -> None:
    """How many of each failed, with the 95 % interval of Clopper and Pearson."""
    lines = ["| cohort | release of | fault | releases | failed | 95 % interval |", "|---|---|---|---|---|---|"]
    for cohort, of, fault in dict.fromkeys((row["cohort"], row["of"], row["fault"]) for row in rows):
        these = [row for row in rows if (row["cohort"], row["of"], row["fault"]) == (cohort, of, fault)]
        failed, count = sum(row["verdict"] == "failed" for row in these), len(these)
        low = beta.ppf(0.025, failed, count - failed + 1) if failed else 0.0
        high = beta.ppf(0.975, failed + 1, count - failed) if failed < count else 1.0
        lines.append(f"| {cohort} | {of} | {fault} | {count} | {failed} | {low:.0%} to {high:.0%} |")
    print("\n".join(lines))
    write_section("gate", "\n".join(lines), PAGE)


def _rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def _keep(cohort: str, of: str, fault: str, found: Quality) -> None:
    row = {"cohort": cohort, "of": of, "fault": fault, "verdict": found.verdict, "columns": list(found.columns)}
    furthest = {each.what: each.furthest for each in found.sight}
    RESULTS.write_text(json.dumps([*_rows(), {**row, "misfit": found.misfit, "furthest": furthest}], indent=1) + "\n")


if __name__ == "__main__":
    main()
