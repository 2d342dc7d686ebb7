"""The forest that steers the search against scikit-learn's default: how far apart their AUCs are, and how fast it is.

``python -m benchmarks.scorers`` has synthetic participants of several configurations and epochs judged by both, with
several seeds each, writes the table to docs/performance.md and every AUC to benchmarks/results/scorers.json. A minute
on two cores.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from sklearn.metrics import roc_auc_score

from benchmarks.page import write_section
from benchmarks.workloads import CPU, hyperparameters, paid, streams, workload
from cohorts import Participants
from trainables.gan.generation import GANGenerator
from trainables.gan.packed_engine import PackedEngine
from trainables.scoring import logistic_regression, random_forest
from trainables.scoring.judging import Fitted

RESULTS = Path(__file__).parent / "results" / "scorers.json"
COHORTS = ("sprint-simulated", "actg175")
LEARNING_RATES, NOISES = (2e-3, 8e-3), (0.0, 0.5, 2.0)
EPOCHS = (1, 4, 20)
SEEDS = 4
FORESTS = {"default": random_forest.new, "steering": random_forest.steering}
JUDGES = {**FORESTS, "regression": logistic_regression.new}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    rows = [row for cohort in COHORTS for row in epochs_of(cohort)]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    regression = statistics.median(row["regression"]["seconds"] / row["steering"]["seconds"] for row in rows)
    text = (
        "## The forest that steers the search\n\n"
        "Measured by `python -m benchmarks.scorers`: AUC on validation participants of forests trained on synthetic "
        f"ones, of {len(LEARNING_RATES) * len(NOISES)}\nconfigurations at epochs "
        f"{', '.join(map(str, EPOCHS))}, {SEEDS} seeds each. The steering forest has 100 trees of a quarter of the "
        "participants;\nscikit-learn's default has 100 of all. A default forest of another seed differs as much as "
        "the middle columns say, so the\nmean is what can be compared. Logistic regression is scikit-learn's: it takes "
        f"{regression:.0%} of the time of the\nsteering forest, so nothing would be gained by fitting a whole pack's "
        "at once.\n\n"
        "| cohort | mean difference of AUC | spread over seeds, default | spread over seeds, steering | default / "
        "steering, time |\n|---|---|---|---|---|\n" + "".join(f"| {line(rows, cohort)} |\n" for cohort in COHORTS)
    )
    write_section("scorers", text)
    Console(width=160).print(text, highlight=False)


def epochs_of(cohort: str) -> Iterator[dict[str, Any]]:
    """Each configuration and epoch, by both forests and by logistic regression."""
    given = workload(cohort)
    for number, (rate, noise) in enumerate(product(LEARNING_RATES, NOISES)):
        settings = hyperparameters("compact", given.public, discriminator_learning_rate=rate, noise_multiplier=noise)
        torch.manual_seed(number)
        engine, drawn, epoch = PackedEngine(settings.settings, given.public, CPU), streams(number), 0
        for target in EPOCHS:
            engine.train(paid(settings, given.data, (target - epoch) * settings.steps_per_epoch, drawn))
            epoch = target
            made = GANGenerator(engine.generator(), settings.settings, given.splits.train.schema).generate(
                len(given.splits.train), torch.Generator().manual_seed(number)
            )
            judged_by = {name: judged(new, made, given.splits.validation) for name, new in JUDGES.items()}
            yield {"cohort": cohort, "learning_rate": rate, "noise": noise, "epoch": epoch, **judged_by}


def judged(new: Callable[[int], Any], synthetic: Participants, real: Participants) -> dict[str, Any]:
    """AUCs with several seeds, and the median time of one."""
    aucs, seconds = [], []
    for seed in range(SEEDS):
        begin = time.perf_counter()
        ranking = Fitted(new(seed), synthetic).ranking(real)
        seconds.append(time.perf_counter() - begin)
        aucs.append(float(roc_auc_score(real.labels, ranking)))
    return {"aucs": aucs, "seconds": statistics.median(seconds)}


def line(rows: list[dict[str, Any]], cohort: str) -> str:
    """A cohort's line of the table."""
    mine = [row for row in rows if row["cohort"] == cohort]
    apart = statistics.mean(
        statistics.mean(row["steering"]["aucs"]) - statistics.mean(row["default"]["aucs"]) for row in mine
    )
    spreads = [statistics.mean(statistics.stdev(row[name]["aucs"]) for row in mine) for name in FORESTS]
    faster = statistics.median(row["default"]["seconds"] / row["steering"]["seconds"] for row in mine)
    return f"{cohort} | {apart:+.4f} | {spreads[0]:.4f} | {spreads[1]:.4f} | {faster:.1f}x"


if __name__ == "__main__":
    main()
