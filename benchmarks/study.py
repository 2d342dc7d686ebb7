"""The same study through Ray Tune with both engines: wall time, and where it goes.

``make bench-study`` prints the table, writes it to docs/performance.md and the raw figures to
benchmarks/results/study.json. Every study is a process of its own with a Ray of its own; the clock runs from the plan's
being handed over to the end of Ray Tune, start of all processes included. ``--runs`` chooses fewer runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from math import inf
from pathlib import Path
from typing import Any

import ray
from ray import tune
from rich.console import Console

from benchmarks.empty_trial import EmptyTrial
from benchmarks.page import write_section
from benchmarks.workloads import hyperparameters, workload, workloads
from cohorts import Participants, SplitShares, load_cohort, split_cohort, split_key
from privacy.ledger.actor import serve_ledger
from privacy.ledger.ledger import Ledger
from privacy.policies.policy import Judge
from privacy.policies.unaccounted import Freely
from trainables.scoring import classifiers, steering
from trainables.scoring.judging import SyntheticJudge
from trainables.service.driver import trials_of
from trainables.service.trials import DPGANTrial
from trainables.trial import TrialPlan
from tuner.ray_cluster import FULL_WEIGHT
from tuner.resources import machines, running_machines, trial_resources

RESULTS = Path(__file__).parent / "results" / "study.json"
# What is run: an engine and a scorer; or trials that do nothing, for what Ray Tune itself takes.
SIDES = (
    ("opacus", "default"),
    ("packed", "default"),
    ("packed", "steering"),
    ("packed", "none"),
    ("empty", "none"),
)


class DefaultJudge(SyntheticJudge):
    """With scikit-learn's default forest."""

    @classmethod
    def makers(cls) -> Mapping[str, Callable[[int], Any]]:
        """Of those that steer, as the report has them."""
        return {name: classifiers()[name].new for name in steering()}


class NoJudge(SyntheticJudge):
    """Trains nothing."""

    def __init__(self, synthetic: Participants, seeds: Mapping[str, int]) -> None:
        """Nothing to train."""


class Unscored(Freely):
    """Trains and reports, and scores nobody."""

    def scores(self, trial: str, epoch: int, judge: Judge) -> tuple[dict[str, float], None]:
        """The same for all."""
        return {f"auc_{name}": 0.5 for name in judge.classifiers}, None


JUDGES = {"default": DefaultJudge, "steering": SyntheticJudge, "none": NoJudge}


def main() -> None:
    """Measure all sides in turn, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=workloads()["runs"])
    parser.add_argument("--side", nargs=2, metavar=("ENGINE", "SCORER"), help="print the seconds of one study")
    parser.add_argument("--niceness", type=int, default=FULL_WEIGHT["worker_niceness"], help="of its workers")
    given = parser.parse_args()
    if given.side:
        print(json.dumps({"seconds": study(*given.side, given.niceness)}))
        return
    runs = []
    for run in range(given.runs):
        for engine, scorer in SIDES:
            command = [sys.executable, "-m", "benchmarks.study", "--side", engine, scorer]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
            runs.append({"engine": engine, "scorer": scorer, "run": run, "seconds": seconds})
            Console(stderr=True).print(runs[-1])
    ratios = {"study_opacus_over_packed": ratio(runs, ("opacus", "default"), ("packed", "default"))}
    RESULTS.write_text(json.dumps({"ratios": ratios, "runs": runs}, indent=1) + "\n")
    report(ratios, runs)


def study(engine: str, scorer: str, niceness: int) -> float:
    """Seconds that one study takes."""
    asked, cohort = workloads()["study"], load_cohort(workloads()["cohort"])
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init("local", _system_config={"worker_niceness": niceness}, **quiet)
        ledger = Ledger.for_cohort(cohort, Path(folder) / "ledger.db")
        splits = split_cohort(cohort, split_key(cohort.schema))
        plan = TrialPlan(
            schema=cohort.schema,
            access=(Unscored if scorer == "none" else Freely)(
                "bench", serve_ledger(ledger), splits.train, splits.validation
            ),
            train_share=SplitShares().train,
            epsilon=inf,
            delta=1e-5,
            scored_epochs=tuple(asked["scored_epochs"]),
            engine="opacus" if engine == "opacus" else "packed",
            seed=1,
            judge=JUDGES[scorer],
        )
        resources = trial_resources(None, None, machines(), packed=engine != "opacus")
        at_once = resources.trials_at_once(running_machines())
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once + 1)  # as in a study
        begin = time.perf_counter()
        if engine == "empty":
            trainable = tune.with_parameters(EmptyTrial, reports=len(asked["scored_epochs"]))
        else:
            trainable = tune.with_parameters(DPGANTrial, trials=trials_of(plan))
        tune.run(
            trainable,
            config=hyperparameters(asked["network"], workload().public).model_dump(),
            num_samples=asked["trials"],
            resources_per_trial=resources.placement(),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
            storage_path=folder,
            reuse_actors=True,
            verbose=0,
        )
        seconds = time.perf_counter() - begin
        ray.shutdown()
    return seconds


def ratio(runs: list[dict[str, Any]], slow: tuple[str, str], fast: tuple[str, str]) -> float:
    """Median over runs of one side by another."""
    seconds = {(run["engine"], run["scorer"], run["run"]): run["seconds"] for run in runs}
    count = 1 + max(run["run"] for run in runs)
    return statistics.median(seconds[*slow, run] / seconds[*fast, run] for run in range(count))


def report(ratios: dict[str, float], runs: list[dict[str, Any]]) -> None:
    """Print the table and put it on the page."""
    medians = {
        (engine, scorer): statistics.median(
            run["seconds"] for run in runs if (run["engine"], run["scorer"]) == (engine, scorer)
        )
        for engine, scorer in SIDES
    }
    fastest = medians["packed", "steering"]
    scored = 1 - medians["packed", "none"] / fastest
    asked, count = workloads()["study"], 1 + max(run["run"] for run in runs)
    command = "make bench-study" if count == workloads()["runs"] else f"python -m benchmarks.study --runs {count}"
    text = (
        "## A study with both engines\n\n"
        f"Measured by `{command}` on {date.today():%d %B %Y}: {platform.machine()}, {workloads()['threads']} "
        f"cores, {asked['trials']} trials of {asked['epochs']} epochs of the\ncompact network through Ray Tune, scored "
        f"at epochs {', '.join(map(str, asked['scored_epochs']))}, nobody stopped early. Medians of "
        f"{count} runs.\n\n"
        "| engine | scorer | seconds |\n|---|---|---|\n"
        + "".join(f"| {engine} | {scorer} | {medians[engine, scorer]:.0f} |\n" for engine, scorer in SIDES)
        + "\n| ratio | measured | at least |\n|---|---|---|\n"
        f"| opacus / packed, both scored by scikit-learn's default forest | {ratios['study_opacus_over_packed']:.1f}x "
        "| 5x |\n\n"
        f"Scoring is {scored:.0%} of the packed study's time; trials that do nothing but report take "
        f"{medians['empty', 'none']:.0f} seconds.\n"
    )
    write_section("study", text)
    Console(width=160).print(text, highlight=False)


if __name__ == "__main__":
    main()
