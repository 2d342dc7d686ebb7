"""What each policy gives for a declared epsilon: one whole study of the simulated SPRINT for each of both.

``python -m benchmarks.policies`` runs them one after the other, prints the table of docs/privacy.md and writes
benchmarks/results/policies.json. It takes about ten minutes on two cores; the options choose less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from analysis import StudyDirectory
from privacy.ledger.study_record import FIGURES
from privacy.policies import policies

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "policies.json"
POLICIES = tuple(policy.name for policy in policies())
EPSILONS = (1.0, 3.0, 10.0)
HEADER = (
    "| policy | declared epsilon | trials on participants | training noise | noise of an AUC | stated epsilon | AUC, "
    "logistic regression | AUC, random forest | the winner's epsilon |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", choices=POLICIES, action="append", help="only this one (may be given repeatedly)")
    parser.add_argument("--epsilon", type=float, action="append", help="only this one (may be given repeatedly)")
    parser.add_argument("--cohort", default="sprint-simulated")
    parser.add_argument("--trials", type=int, default=16)
    given = parser.parse_args()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for policy in given.policy or POLICIES:
        for epsilon in given.epsilon or EPSILONS:
            row = study(given.cohort, policy, epsilon, given.trials)
            key = (row["cohort"], row["policy"], row["epsilon"])
            rows = [each for each in rows if (each["cohort"], each["policy"], each["epsilon"]) != key] + [row]
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
    print(HEADER)
    for row in sorted(rows, key=lambda each: (each["cohort"], POLICIES.index(each["policy"]), each["epsilon"])):
        print(as_line(row))


def study(cohort: str, policy: str, epsilon: float, trials: int) -> dict[str, Any]:
    """Run one study in a folder of its own and gather its figures."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        options = ["--cohort", cohort, "--policy", policy, "--epsilon", str(epsilon), "--study", "s", "--out", folder]
        options += ["--trials", str(trials), "--release-anyway"]
        environment = {**os.environ, "DPGAN_TUNE_DATA": f"{folder}/data"}
        subprocess.run([sys.executable, ROOT / "tuner" / "run.py", *options], cwd=ROOT, env=environment, check=True)
        return {
            "cohort": cohort,
            "policy": policy,
            "epsilon": epsilon,
            "seconds": round(time.monotonic() - began),
            **figures(StudyDirectory(Path(folder) / "s")),
        }


def figures(directory: StudyDirectory) -> dict[str, Any]:
    """What a finished study's own files say."""
    statement = json.loads((directory.release / "privacy_statement.json").read_text())
    release = json.loads((directory.internal / "transfer.json").read_text())["release"]
    ledger = json.loads((directory.path / FIGURES).read_text())
    noises = sorted(
        noise
        for entry in ledger["entries"]
        if entry["kind"] == "charge" and entry["account"] == "release" and entry["split"] == "train"
        for noise in training_noises(entry["event"])
    )
    return {
        "trials": statement["trials"],
        "noise_multipliers": [noises[0], noises[-1]] if noises else [],
        "score_noise_sd": statement.get("score_noise_sd") or 0,
        "stated_epsilon": statement["epsilon"],
        "covers_the_search": statement["accounted"],
        "auc_logistic_regression": release["logistic_regression"]["auc"],
        "auc_random_forest": release["random_forest"]["auc"],
        "winning_run_epsilon": statement["winning_run_epsilon"],
    }


def training_noises(event: dict[str, Any]) -> list[float]:
    """Noise multipliers of the DP-SGD steps in an event."""
    if event["type"] == "GaussianDpEvent":
        return [event["noise_multiplier"]]
    inner = event.get("events", [event["event"]] if "event" in event else [])
    return [noise for each in inner for noise in training_noises(each)]


def as_line(row: dict[str, Any]) -> str:
    noises = "none" if not row["noise_multipliers"] else " to ".join(f"{each:.2f}" for each in row["noise_multipliers"])
    trials = "secret" if row["trials"] is None else row["trials"]
    stated = row["stated_epsilon"] if isinstance(row["stated_epsilon"], str) else f"{row['stated_epsilon']:.3g}"
    covered = "" if row["covers_the_search"] else ", the search not covered"
    cells = (
        row["policy"],
        f"{row['epsilon']:g}",
        trials,
        noises,
        f"{row['score_noise_sd']:.4f}",
        f"{stated}{covered}",
        f"{row['auc_logistic_regression']:.3f}",
        f"{row['auc_random_forest']:.3f}",
        f"{row['winning_run_epsilon']:.2f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
