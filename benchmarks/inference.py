"""Whether intervals from copies hold: simulated trials of which the truth is known, with an effect and with none.

``python -m benchmarks.inference --trials 200`` simulates so many trials of 500 participants with an effect and as many
without one, measures each at epsilon 3, draws copies, analyses each copy and combines the results. ``--studies 10`` has
whole studies by ``tuner/run.py`` do so, which also release a synthetic cohort of a searched generator; and
``--resampled 20`` takes so many samples of as many participants from ACTG175, with replacement, for trials, and
``--sprint 20`` simulates SPRINT so many times, in its own size.
``--mst 50`` has MST make a synthetic cohort of so many, in an environment of its own (``benchmarks/peers``). Beside it
stands the trial itself, and what somebody finds who analyses a single synthetic cohort as if it were one. Each trial is
added to benchmarks/results/inference.json as it comes, and those that are there are not repeated; the table of
docs/intervals.md is written at the end. Several of these may run at once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from filelock import FileLock
from scipy.stats import beta

from analysis import combine
from analysis.quality.by_copies import Key, figures, key_of, with_copies
from analysis.quality.estimates import Quantity, Z, estimates, is_complement
from analysis.release import read_release
from benchmarks.ablation import Recipe, bought
from benchmarks.page import write_section
from benchmarks.peers.release import release
from benchmarks.simulated_sprint import simulated_sprint
from benchmarks.simulated_trial import ANALYSES, SCHEMA, Found, analysed, simulated
from cohorts import Participants, Schema, load_participants, write_cohort
from privacy.mechanisms.measurements import Measured
from trainables.measured.copies import Copies

ROOT = Path(__file__).parent.parent
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "inference.json", ROOT / "docs" / "intervals.md"
EFFECTS, COPIES, MEASURED_SHARE = (0.0, 1.0), 10, 0.9
RESAMPLED, SPRINT = "actg175", "sprint-simulated"
MEANS, APART, SPREADS = "means and shares of a class", "differences between classes", "variances of a class"
KINDS: Mapping[Quantity, str] = {
    "mean": MEANS,
    "share": MEANS,
    "missing": MEANS,
    "variance": SPREADS,
    "difference in means": APART,
    "difference in shares": APART,
}
SEARCH = ("--trials", "4", "--max-epochs", "6")
"""Of studies: short, since copies do not depend on it."""

POPULATION = 1_000_000
"""Participants of whom the truth is computed."""

POPULATIONS, LARGE = range(10_001, 10_011), 40_000
"""Seeds of simulated SPRINTs of whom together, each so large, the truth of SPRINT is computed."""

WAYS = {
    "trial": "the trial itself",
    "copies": "10 copies, combined",
    "histograms": "histograms alone",
    "single": "one copy, as if it were the trial",
    "release": "the synthetic cohort, as if it were the trial",
    "mst": "MST's synthetic cohort, as if it were the trial",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=0, help="with an effect, and as many without")
    parser.add_argument("--studies", type=int, default=0, help="likewise, of whole studies")
    parser.add_argument("--mst", type=int, default=0, help="likewise, of synthetic cohorts by MST")
    parser.add_argument("--resampled", type=int, default=0, help="trials that are drawn from ACTG175's participants")
    parser.add_argument("--sprint", type=int, default=0, help="trials that are simulated as SPRINT, in its size")
    parser.add_argument("--effect", type=float, action="append", help="1 or 0; both unless given")
    parser.add_argument("--participants", type=int, default=500)
    parser.add_argument("--epsilon", type=float, default=3.0)
    given = parser.parse_args()
    for of, count, run in (
        ("measurements", given.trials, measured_only),
        ("studies", given.studies, studied),
        ("MST", given.mst, by_mst),
    ):
        for seed in range(count):
            for effect in given.effect or EFFECTS:
                key = {"of": of, "participants": given.participants, "epsilon": given.epsilon, "effect": effect}
                if not any(row | key | {"seed": seed} == row for row in _rows()):
                    found = run(given.participants, given.epsilon, effect, seed)
                    _keep({**key, "seed": seed, "found": found})
    for of, count, known in ((RESAMPLED, given.resampled, resampled), (SPRINT, given.sprint, sprint)):
        for seed in range(count):
            key = {"of": of, "epsilon": given.epsilon, "seed": seed}
            if not any(row | key == row for row in _rows()):
                _keep({**key, "found": known(given.epsilon, seed)})
    write_table(_rows())


def measured_only(participants: int, epsilon: float, effect: float, seed: int) -> dict[str, Any]:
    """What is found of one trial that is measured and copied, without a search."""
    randomness = np.random.default_rng([seed, int(effect), participants])
    return _copied(simulated(participants, effect, randomness), analysed, epsilon, randomness)


def resampled(epsilon: float, seed: int) -> dict[str, Any]:
    """What is found of a trial whose participants are drawn from those of a real one, of whom the truth is known."""
    real, randomness = load_participants(RESAMPLED)[0], np.random.default_rng(seed)
    trial = real.take(randomness.integers(0, len(real), len(real)))
    return {**_tabled(trial, epsilon, randomness), "truth": _estimates(by_class(real))}


def sprint(epsilon: float, seed: int) -> dict[str, Any]:
    """The same of a trial that is simulated as SPRINT is."""
    trial = simulated_sprint(seed=seed)
    return {**_tabled(trial, epsilon, np.random.default_rng(seed)), "truth": dict(truth_of_sprint())}


@cache
def truth_of_sprint() -> Mapping[str, float]:
    """Figures of those who are enrolled in SPRINT, of so many that hardly any chance is left."""
    found = pd.DataFrame([_estimates(by_class(simulated_sprint(LARGE, seed))) for seed in POPULATIONS]).mean()
    return {str(name): _rounded(value)[0] for name, value in found.items()}


def _estimates(found: Mapping[str, Found]) -> dict[str, float]:
    return {name: _rounded(each.estimate)[0] for name, each in found.items()}


def _copied(
    trial: Participants,
    analysis: Callable[[Participants], Mapping[str, Found]],
    epsilon: float,
    randomness: np.random.Generator,
) -> dict[str, Any]:
    measured = _measured(trial, epsilon, randomness)
    copies = Copies(measured, trial.schema, randomness)
    drawn = [analysis(copies.draw(trial.schema.nominal_size)) for _ in range(COPIES)]
    return {"trial": _alone(analysis(trial)), "copies": _combined(drawn), "single": _alone(drawn[0])}


def _tabled(trial: Participants, epsilon: float, randomness: np.random.Generator) -> dict[str, Any]:
    """What the paid-for table has, by histograms and by copies, beside the trial's own."""
    measured = _measured(trial, epsilon, randomness)
    copies = Copies(measured, trial.schema, randomness)
    drawn = [copies.draw(trial.schema.nominal_size) for _ in range(COPIES)]
    lines = [
        each
        for each in with_copies(estimates(measured, trial.schema), drawn)
        if not is_complement(trial.schema, each.measure, each.category)
    ]
    own = {"trial": _alone(by_class(trial)), "single": _alone(by_class(drawn[0]))}
    combined = {_name(key_of(each)): _rounded(*each.cited) for each in lines if each.combined_estimate is not None}
    return {
        **{way: {name: found[name] for name in combined} for way, found in own.items()},
        "copies": combined,
        "histograms": {
            name: _rounded(each.estimate, each.lower, each.upper)
            for each in lines
            if (name := _name(key_of(each))) in combined
        },
    }


def _measured(trial: Participants, epsilon: float, randomness: np.random.Generator) -> Measured:
    people = trial.take(np.flatnonzero(randomness.random(len(trial)) < MEASURED_SHARE))
    return bought(people, Recipe(), epsilon)


def by_class(people: Participants) -> Mapping[str, Found]:
    """Figures of the paid-for table, of these people."""
    return {
        _name(key): Found(*figure)
        for key, *figure in figures(people)
        if not is_complement(people.schema, measure=key[0], category=key[3])
    }


def _name(key: Key) -> str:
    measure, visit, quantity, category, group = key
    return f"{KINDS[quantity]}: {' '.join(part for part in (measure, visit, category, quantity, group) if part)}"


def studied(participants: int, epsilon: float, effect: float, seed: int) -> dict[str, Any]:
    """What is found of one trial by a whole study."""
    trial = simulated(participants, effect, np.random.default_rng([seed, int(effect), participants, 1]))
    with tempfile.TemporaryDirectory() as folder:
        write_cohort(trial, Path(folder))
        named = Path(folder, f"simulated-{seed}-{effect:g}.yaml")
        named.write_text(yaml.safe_dump({**SCHEMA, "name": named.stem, "nominal_size": participants}))
        command = [sys.executable, ROOT / "tuner" / "run.py", "--cohort", named, "--epsilon", str(epsilon)]
        environment = {**os.environ, "DPGAN_TUNE_DATA": f"{folder}/data"}
        subprocess.run(
            [*command, *SEARCH, "--copies", str(COPIES), "--study", "s", "--out", folder, "--release-anyway"],
            cwd=ROOT,
            env=environment,
            check=True,
        )
        published = Path(folder, "s", "release")
        synthetic = read_release(published)[1]
        drawn = [analysed(copy) for copy in released_copies(published, synthetic.schema)]
    found = {"trial": trial, "release": replace(synthetic, schema=trial.schema)}
    return {**{name: _alone(analysed(each)) for name, each in found.items()}, "copies": _combined(drawn)}


def by_mst(participants: int, epsilon: float, effect: float, seed: int) -> dict[str, Any]:
    """What is found of one synthetic cohort by MST, of as many of the trial's participants as a study measures."""
    trial = simulated(participants, effect, np.random.default_rng([seed, int(effect), participants]))
    return {
        name: _alone(analysed(each)) for name, each in {"trial": trial, "mst": release(trial, "mst", epsilon)}.items()
    }


def released_copies(published: Path, schema: Schema) -> Iterable[Participants]:
    """The copies of a release, read by the loader of trials."""
    tables = {table: pd.read_csv(published / f"{schema.stem(table)}-copies.csv") for table in schema.tables}
    for number in range(1, COPIES + 1):
        with tempfile.TemporaryDirectory() as folder:
            for table, rows in tables.items():
                rows[rows["copy"] == number].to_csv(Path(folder, schema.tables[table]), index=False)
            content = schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            Path(folder, "copy.yaml").write_text(yaml.safe_dump(content))
            yield load_participants(f"{folder}/copy.yaml")[0]


@cache
def truth(effect: float) -> Mapping[str, float]:
    """The same figures of a population, in which hardly any chance is left."""
    found = analysed(simulated(POPULATION, effect, np.random.default_rng(0)))
    return {name: each.estimate for name, each in found.items()}


def _alone(found: Mapping[str, Found]) -> dict[str, list[float]]:
    return {
        name: _rounded(each.estimate, each.estimate - Z * each.error, each.estimate + Z * each.error)
        for name, each in found.items()
    }


def _combined(copies: list[Mapping[str, Found]]) -> dict[str, list[float]]:
    estimates, errors = (
        [pd.Series({name: getattr(found, part) for name, found in copy.items()}) for copy in copies]
        for part in ("estimate", "error")
    )
    table = combine(estimates, errors)
    return {str(name): _rounded(*row[["estimate", "lower", "upper"]]) for name, row in table.iterrows()}


def _rounded(*numbers: float) -> list[float]:
    return [float(f"{number:.6g}") for number in numbers]


def write_table(rows: list[dict[str, Any]]) -> None:
    """Coverage of 95 % intervals, how often an effect is found where there is none, and widths beside the trial's."""
    lines = ["| of | analysed | trials | what | coverage | found though there is none | width |", "|---" * 7 + "|"]
    for of in dict.fromkeys(row["of"] for row in rows):
        these = [row for row in rows if row["of"] == of]
        for way in (way for way in WAYS if way in these[0]["found"]):
            kinds = dict.fromkeys(KINDS.values(), False) if of in (RESAMPLED, SPRINT) else ANALYSES
            for what, tests in kinds.items():
                lines.append(f"| {of} | {WAYS[way]} | {len(these)} | {what} | {_figures(these, way, what, tests)} |")
    print("\n".join(lines))
    write_section("inference", "\n".join(lines), PAGE)


def _figures(rows: list[dict[str, Any]], way: str, what: str, tests: bool) -> str:
    cases = [
        (found, row["found"]["trial"][name], _true(row, name), not row.get("effect", True))
        for row in rows
        for name, found in row["found"][way].items()
        if name.split(": ")[0] == what
    ]
    found, real, true, none = (np.array(each) for each in zip(*cases, strict=True))  # (n, 3), (n, 3), (n,), (n,)
    covered = (found[:, 1] <= true) & (true <= found[:, 2])
    wrongly = ((found[:, 1] > 0) | (found[:, 2] < 0))[none]
    width = np.nanmedian((found[:, 2] - found[:, 1]) / (real[:, 2] - real[:, 1]))
    return f"{_share(covered)} | {_share(wrongly) if tests and none.any() else ''} | {width:.2f}"


def _true(row: Mapping[str, Any], name: str) -> float:
    return float(row["found"]["truth"][name] if "truth" in row["found"] else truth(row["effect"])[name])


def _share(which: np.ndarray) -> str:
    """A share with the 95 % interval of Clopper and Pearson."""
    hits, count = int(which.sum()), len(which)
    low = beta.ppf(0.025, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, count - hits) if hits < count else 1.0
    return f"{hits / count:.1%} ({low:.1%} to {high:.1%})"


def _rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def _keep(row: dict[str, Any]) -> None:
    with FileLock(Path(tempfile.gettempdir(), "dpgan-tune-inference.lock")):
        lines = ",\n".join(json.dumps(each) for each in [*_rows(), row])
        RESULTS.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
