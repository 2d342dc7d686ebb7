"""Whether copies would do for a release: a copy, and the middle of all copies, beside what a network or a study gives.

``python -m benchmarks.copies --cohort actg175 --epsilon 3 --runs 5`` measures until there are so many measurements,
and judges three cohorts made from each: one drawn by a network of the default configuration, a copy, and the middle of
copies. With ``--search`` a whole study measures, and the first is its release. Rows are added to
benchmarks/results/copies.json as they come, so it may be stopped and started again. ``--table`` runs nothing. All write
the table of docs/quality.md.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from benchmarks.ablation import Recipe, bought, made
from benchmarks.page import write_section
from benchmarks.quality import COLUMNS as JUDGED
from benchmarks.quality import PAGE, ROOT, cell, quality
from cohorts import Participants, load_participants, split_key, split_participants
from privacy.mechanisms.measurements import Measured
from privacy.policies.on_measured import kept_measurements
from trainables.measured.copies import Copies, Target

RESULTS = ROOT / "benchmarks" / "results" / "copies.json"
COLUMNS = {name: what for name, what in JUDGED.items() if name != "seconds"}
NETWORK, RELEASE = "one network", "release of a study"
COPY, MIDDLE = "a copy", "middle of copies"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", action="append", help="may be given repeatedly (default: two)")
    parser.add_argument("--epsilon", type=float, action="append", help="may be given repeatedly (default: 3 and 1)")
    parser.add_argument("--runs", type=int, default=5, help="measurements of each")
    parser.add_argument("--search", action="store_true", help="by whole studies")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of what there is")
    given = parser.parse_args()
    for run in range(0 if given.table else given.runs):
        for cohort in given.cohort or ("actg175", "sprint-simulated"):
            for epsilon in given.epsilon or (3.0, 1.0):
                key = {"cohort": cohort, "epsilon": epsilon, "search": given.search, "run": run}
                if not any(row | key == row for row in _rows()):
                    _keep([{**key, "of": of, **figures} for of, figures in compared(cohort, epsilon, given.search)])
    write_table(_rows())


def compared(cohort: str, epsilon: float, search: bool) -> list[tuple[str, dict[str, float]]]:
    """Figures of what a network or a study gives, and of what else its measurements give."""
    real, _ = load_participants(cohort)
    measured, first = studied(cohort, real, epsilon) if search else fitted(real, epsilon)
    copies = Copies(measured, real.schema, np.random.default_rng())
    copy = copies.draw(real.schema.nominal_size)
    cohorts = {RELEASE if search else NETWORK: first, COPY: copy, MIDDLE: middle(copies, copy.labels)}
    return [(name, quality(each, real)) for name, each in cohorts.items()]


def middle(copies: Copies, labels: np.ndarray) -> Participants:
    """A cohort of these classes, of which the middle of the posterior would be measured: without noise, so no copy."""
    return copies._of(labels, list(map(Target, copies._posterior.middle, copies._histograms.middle)))


def fitted(real: Participants, epsilon: float) -> tuple[Measured, Participants]:
    """Measurements at all of epsilon, and what a network of the default configuration draws."""
    splits = split_participants(real, split_key(real.schema))
    measured = bought(Participants.together([splits.train, splits.validation]), Recipe(), epsilon)
    seed = secrets.randbits(31)
    torch.manual_seed(seed)
    generator = made(measured, real, Recipe(), seed)
    return measured, generator.generate(real.schema.nominal_size, torch.Generator().manual_seed(seed))


def studied(cohort: str, real: Participants, epsilon: float) -> tuple[Measured, Participants]:
    """Run one study in a folder of its own: its measurements and its release."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--cohort", cohort, "--epsilon", str(epsilon), "--study", "s", "--out", folder]
        command = [sys.executable, ROOT / "tuner" / "run.py", *options, "--copies", "0", "--release-anyway"]
        environment = {**os.environ, "DPGAN_TUNE_DATA": f"{folder}/data"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        released, _ = load_participants(str(next(Path(folder).glob("s/release/schema-*.yaml"))))
        measured = kept_measurements(Path(folder, "s"))
    assert measured is not None
    return measured, replace(released, schema=real.schema)


def write_table(rows: list[dict[str, Any]]) -> None:
    """Medians and ranges into docs/quality.md and to the terminal."""
    lines = [
        f"| cohort | epsilon | | measurements | {' | '.join(COLUMNS.values())} |",
        "|---" * (len(COLUMNS) + 4) + "|",
    ]
    for cohort, epsilon, search in sorted({(row["cohort"], row["epsilon"], row["search"]) for row in rows}):
        group = [row for row in rows if (row["cohort"], row["epsilon"], row["search"]) == (cohort, epsilon, search)]
        for of in dict.fromkeys(row["of"] for row in group):
            these = [row for row in group if row["of"] == of]
            cells = [cell([each[name] for each in these if name in each]) for name in COLUMNS]
            named = f"{of}, of a study's measurements" if search and of != RELEASE else of
            lines.append(f"| {cohort} | {epsilon:g} | {named} | {len(these)} | {' | '.join(cells)} |")
    print("\n".join(lines))
    write_section("copies", "\n".join(lines), PAGE)


def _rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def _keep(rows: list[dict[str, Any]]) -> None:
    with FileLock(Path(tempfile.gettempdir(), "dpgan-tune-copies.lock")):
        RESULTS.write_text(json.dumps([*_rows(), *rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
