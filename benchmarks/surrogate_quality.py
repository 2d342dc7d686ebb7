"""What a surrogate cohort is worth: classifiers trained on it, tested on real participants.

``python -m benchmarks.surrogate_quality`` prints the table. Only public cohorts are read, so the figures may be shown.
"""

from __future__ import annotations

import dp_accounting
import numpy as np
from dp_accounting import rdp
from rich.console import Console

from cohorts import Encoding, Participants, SplitShares, load_participants, split_key, split_participants
from privacy.mechanisms.moments import NoisyMoments, surrogate_cohort
from trainables.scoring import steering
from trainables.scoring.correlations import rank_correlation_of_correlations
from trainables.scoring.judging import evaluate

COHORTS = ("sprint-simulated", "actg175", "actg175-treat")
EPSILONS = (0.5, 1.0, 3.0)
DELTA = 1e-5
REPEATS = 10


def main() -> None:
    console = Console(width=200, highlight=False)
    console.print("| cohort | trained on | AUC, logistic regression | AUC, random forest | Spearman |")
    console.print("|---|---|---|---|---|")
    for name in COHORTS:
        cohort, _ = load_participants(name)
        splits = split_participants(cohort, split_key(cohort.schema))
        console.print(f"| {name} | {row('real', [quality(splits.train, splits.test)])}")
        for epsilon in EPSILONS:
            results = [quality(surrogate(splits.train, epsilon, seed), splits.test) for seed in range(REPEATS)]
            console.print(f"| {name} | {row(f'surrogate, epsilon {epsilon:g}', results)}")


def surrogate(train: Participants, epsilon: float, seed: int) -> Participants:
    """As many participants as were read, from moments that cost `epsilon`."""
    mechanism = NoisyMoments.costing(train.schema, SplitShares().train, affordable_rho(epsilon))
    first, second = mechanism.release(Encoding(train.schema).encode(train.values), train.labels)
    return surrogate_cohort((first.moments, second.moments), train.schema, len(train), np.random.default_rng(seed))


def affordable_rho(epsilon: float) -> float:
    return dp_accounting.calibrate_dp_mechanism(
        rdp.RdpAccountant,
        dp_accounting.ZCDpEvent,
        epsilon,
        DELTA,
        dp_accounting.ExplicitBracketInterval(0.0, 10.0),
        tol=1e-6,
    )


def quality(train: Participants, test: Participants) -> list[float]:
    """AUC of both steering classifiers, and how alike the correlations of features are."""
    aucs = [evaluate(each, train, test, seed=0).auc for each in steering()]
    return [*aucs, rank_correlation_of_correlations(train, test)]


def row(what: str, results: list[list[float]]) -> str:
    """Mean and standard deviation over repeats, which differ in noise and sampling."""
    means, sds = np.mean(results, axis=0), np.std(results, axis=0)
    spread = len(results) > 1
    cells = [f"{mean:.3f}" + f" ± {sd:.3f}" * spread for mean, sd in zip(means, sds, strict=True)]
    return f"{what} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
