"""What each part of a measured release is worth: the same fit without it, judged on all real participants.

``python -m benchmarks.ablation`` measures, fits and draws with every part and without each, of some draws of the noise,
prints the table and writes it to docs/quality.md, and the raw rows to benchmarks/results/ablation.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dp_accounting
import numpy as np
import torch
from rich.progress import track

from benchmarks.page import write_section
from benchmarks.quality import COLUMNS as JUDGED
from benchmarks.quality import PAGE, quality
from cohorts import Encoding, Participants, load_participants, split_key, split_participants
from privacy.accounting.budget import Budget
from privacy.accounting.calibration import largest_rho, room_in
from privacy.mechanisms import normal_scores
from privacy.mechanisms.histograms import Bins, ClassHistograms
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.shrinkage import smooth_products
from privacy.mechanisms.simplex import onto_simplex
from privacy.mechanisms.two_way_tables import NoisyTables
from trainables.candidate import Generator, Setting
from trainables.measured import candidate
from trainables.measured.copula import CopulaGenerator

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "ablation.json"
DELTA, EPOCHS = 1e-5, 12
LONG = 1.15
"""Radius over the root of the number of scores, by which one participant in five is shortened."""

COLUMNS = {name: what for name, what in JUDGED.items() if name not in ("change", "real_on_synthetic", "seconds")}


@dataclass(frozen=True)
class Recipe:
    """How a release is made; each field is a part."""

    tables: bool = True
    smooth_within_bins: bool = True
    smooth_histograms: bool = True
    smooth_products: bool = True
    directions: bool = True
    network: bool = True
    without_error: bool = True


RECIPES = {
    "all of it": Recipe(),
    "no two-way tables": Recipe(tables=False),
    "values spread evenly over each bin": Recipe(smooth_within_bins=False),
    "histograms as noisy as bought": Recipe(smooth_histograms=False),
    "products as noisy as bought": Recipe(smooth_products=False),
    "vectors hardly shortened": Recipe(directions=False),
    "a Gaussian for the network": Recipe(network=False),
    "drawn with the error of drawing": Recipe(without_error=False),
    "none of it": Recipe(*[False] * len(fields(Recipe))),
}
COHORTS: Mapping[str, Sequence[str]] = {
    "sprint-simulated": tuple(RECIPES),
    "actg175": tuple(RECIPES),
    **dict.fromkeys(
        (f"examples/{name}.yaml" for name in ("rotterdam/rotterdam", "colon/colon-recurrence", "muscatine/muscatine")),
        ("all of it", "no two-way tables", "values spread evenly over each bin"),
    ),
}
"""By cohort the recipes that are tried."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--draws", type=int, default=5, help="of the noise")
    given = parser.parse_args()
    work = [(cohort, name, seed) for seed in range(given.draws) for cohort, names in COHORTS.items() for name in names]
    rows = [row(*each, given.epsilon) for each in track(work, "releases")]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    report(rows, given.epsilon, given.draws)


def row(cohort: str, name: str, seed: int, epsilon: float) -> dict[str, Any]:
    """One release, judged."""
    real, recipe = load_participants(str(ROOT / cohort) if "/" in cohort else cohort)[0], RECIPES[name]
    splits = split_participants(real, split_key(real.schema))
    people = Participants.together([splits.train, splits.validation])
    torch.manual_seed(seed)
    evenly = nullcontext() if recipe.smooth_within_bins else patch.object(normal_scores, "_bent", _evenly)
    with evenly:
        found = quality(released(people, real, recipe, seed, epsilon), real)
    return {"cohort": cohort, "recipe": name, "seed": seed, "epsilon": epsilon, **found}


def released(people: Participants, real: Participants, recipe: Recipe, seed: int, epsilon: float) -> Participants:
    """A release of what is measured of people, as many as there are real ones by nominal size."""
    generator = made(bought(people, recipe, epsilon), real, recipe, seed)
    at_random = {"standardised": lambda latent: latent, "stratified": lambda scores, many: scores}
    with nullcontext() if recipe.without_error else patch.multiple(candidate, **at_random):
        return generator.generate(real.schema.nominal_size, torch.Generator().manual_seed(seed))


def _evenly(edges: np.ndarray, between: np.ndarray, *_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return edges, between


def bought(people: Participants, recipe: Recipe, epsilon: float) -> Measured:
    """What a study would measure with all of its budget, as the recipe says."""
    schema, room = people.schema, room_in(Budget(epsilon, DELTA))
    rho = largest_rho(lambda rho: room(dp_accounting.ZCDpEvent(rho)) >= 0)
    with nullcontext() if recipe.tables else patch.object(NoisyTables, "costing", return_value=None):
        mechanism = Measurements.costing(schema, len(people) / schema.nominal_size, rho)
    if not recipe.directions:
        radius = LONG * mechanism.moments.features**0.5 / LIMIT
        mechanism = replace(mechanism, moments=replace(mechanism.moments, radius=radius))
    histograms = mechanism.histograms.release(Encoding(schema).positions(people.values), people.labels)
    if not recipe.smooth_histograms:
        histograms = tuple(_projected(each, mechanism.histograms.bins) for each in histograms)
    scores = NormalScores(schema, histograms)
    products = mechanism.moments.release(scores.scores(people.values, people.labels) / LIMIT, people.labels)
    if recipe.smooth_products:
        smooth = smooth_products(products, scores.encoding.places)
        products = tuple(replace(each, smooth=matrix) for each, matrix in zip(products, smooth, strict=True))
    found = Measured(histograms, products)
    if mechanism.tables is None:
        return found
    return replace(found, tables=mechanism.tables.release(people.values, people.labels, found.known(scores)))


def made(measured: Measured, real: Participants, recipe: Recipe, seed: int) -> Generator:
    """The generator, with the default configuration."""
    if not recipe.network:
        return CopulaGenerator(measured, real.schema)
    network = candidate.MeasuredNetwork.of({}, Setting(real.schema, 1.0, "packed", torch.device("cpu")))
    network.take(measured)
    network.fit(EPOCHS * candidate.STEPS_PER_EPOCH, torch.Generator().manual_seed(seed))
    return network.generator()


def _projected(histograms: ClassHistograms, bins: Sequence[Bins]) -> ClassHistograms:
    widths = [each.width for each in bins]
    noisy = np.split(histograms.counts / histograms.participants, np.cumsum(widths)[:-1])
    return replace(histograms, smooth=np.concatenate([onto_simplex(each) for each in noisy]))


def report(rows: list[dict[str, Any]], epsilon: float, draws: int) -> None:
    """Print the table and put it on the page."""
    cohorts = dict.fromkeys(each["cohort"] for each in rows)
    lines = [f"| cohort | | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for cohort in cohorts:
        for name in COHORTS[cohort]:
            these = [each for each in rows if (each["cohort"], each["recipe"]) == (cohort, name)]
            medians = [float(np.median([each[column] for each in these])) for column in COLUMNS]
            lines.append(f"| {Path(cohort).stem} | {name} | {' | '.join(f'{each:.3g}' for each in medians)} |")
    text = (
        f"Medians of {draws} draws of the noise at epsilon {epsilon:g}, one network of the default configuration:\n\n"
    )
    print("\n".join(lines))
    write_section("ablation", text + "\n".join(lines), PAGE)


if __name__ == "__main__":
    main()
