"""The paper's figures of the simulated trial: trained without noise, with noise as published, as meant, and `measured`.

``python -m benchmarks.paper`` makes runs until there are three of each series, one after the other, in results/paper,
and appends the figures of each to benchmarks/results/paper.json, so that it may be stopped and started again: a run
goes on where it was. ``--table`` runs nothing. Both write the table of docs/paper.md, of the medians over runs.

A batch of one participant takes 6,000 steps an epoch. Here batches are larger, and the noise is such that epsilon at
the end is the paper's own, of 500 epochs at a batch of one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy.optimize import brentq

from analysis import StudyDirectory
from analysis.paper.build import FOLDER, NUMBERS_FILE
from analysis.paper.classifying import COMBINED
from benchmarks.page import write_section
from benchmarks.published import COLUMNS, FIGURES
from cohorts import load_participants, resolve_schema
from privacy import DPSGD
from privacy.ledger.study_record import FIGURES as ENDED
from privacy.ledger.summary import epsilon_by_pld
from privacy.planning.plan import steps_per_epoch
from trainables.dp_gan.run import training_size

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "paper.json"
PAGE = ROOT / "docs" / "paper.md"
COHORT, CLIP, DELTA = "sprint-simulated", 1e-4, 1e-5


@dataclass(frozen=True)
class Series:
    """One way to train.

    Args:
        flags: of the paper's command.
        learning_rate: of both networks; None for that of all others.
    """

    flags: tuple[str, ...] = ()
    learning_rate: float | None = None


AVERAGED = ("--noise", "0", "--averaging", "0.999")
SERIES: Mapping[str, Series] = {
    "non-private": Series(("--noise", "0")),
    "non-private, averaged": Series(AVERAGED),
    "non-private, averaged, larger steps": Series(AVERAGED, learning_rate=1e-3),
    "noise as published": Series(("--clip_value", str(CLIP), "--paper-noise", "published")),
    "noise as meant": Series(("--clip_value", str(CLIP))),
    "measured": Series(),
}


@dataclass(frozen=True)
class Length:
    """How runs of the paper's command are trained.

    Args:
        epochs: how many.
        batch_size: participants that a step is expected to meet.
        learning_rate: of both networks.
    """

    epochs: int
    batch_size: int
    learning_rate: float

    def noise(self) -> float:
        """The noise multiplier at which these epochs have the epsilon of the paper's 500 at a batch of one."""
        people = training_size(resolve_schema(COHORT))
        aim = epsilon_by_pld(DPSGD(1 / people, 1.0, 500 * people).event, DELTA)
        rate = self.batch_size / people
        steps = self.epochs * steps_per_epoch(rate)

        def too_much(log_noise: float) -> float:
            return epsilon_by_pld(DPSGD(rate, math.exp(log_noise), steps).event, DELTA) - aim

        return math.ceil(1000 * math.exp(brentq(too_much, math.log(0.3), math.log(30), xtol=1e-4))) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", choices=SERIES, action="append", help="only this one (may be given repeatedly)")
    parser.add_argument("--runs", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=60, help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument(
        "--learning-rate", type=float, default=2e-4, help="of series without their own (default: %(default)s)"
    )
    parser.add_argument("--participants", type=int, help="of python -m analysis paper")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "paper", help="(default: results/paper)")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of what there is")
    given = parser.parse_args()
    length = Length(given.epochs, given.batch_size, given.learning_rate)
    if not given.table:
        wanted = given.series or list(SERIES)
        noise = length.noise() if any(map(_noisy, wanted)) else 0.0
        for number in range(1, given.runs + 1):
            for series in wanted:
                own = replace(length, learning_rate=SERIES[series].learning_rate or length.learning_rate)
                if not _known(series, number, own):
                    _keep({**_key(series, number, own), "noise": noise if _noisy(series) else None,
                           "figures": made(given.out, series, number, own, noise, given.participants)})  # fmt: skip
    write_table(_rows())


def made(
    out: Path, series: str, number: int, length: Length, noise: float, participants: int | None
) -> dict[str, float]:
    """Make one run, or go on with it, and its page; returns what the page says."""
    folder = _studied(out, number) if series == "measured" else _trained(out, series, number, length, noise)
    directory = StudyDirectory(folder)
    if not directory.release.exists():
        _command(out, "-m", "analysis", folder)
    _command(out, "-m", "analysis", "paper", folder, *(("--participants", participants) if participants else ()))
    return figures(directory)


def figures(directory: StudyDirectory) -> dict[str, float]:
    """What the page of a study of one series says, by the names of ``published.FIGURES``; real ones begin so."""
    said = json.loads((directory.path / FOLDER / NUMBERS_FILE).read_text())
    blocks = {block["title"]: block.get("data") for each in said["sections"] for block in each["blocks"]}
    (spearman,) = _block(blocks, "Figure 3")["likeness"]["spearman"].values()
    found = {"spearman": spearman}
    for line in _block(blocks, "Figure 4 A"):
        if line["series"] == "real":
            found[f"real {line['classifier']}"] = line["accuracy"][0]
        elif line["selection"] == COMBINED:
            found[line["classifier"]] = statistics.mean(line["accuracy"])
    for line in _block(blocks, "Figure 4 E"):
        (found[f"weights {line['classifier']}"],) = line["spearman"].values()
    released, _ = load_participants(str(next(directory.release.glob("schema-*.yaml"))))
    real, _ = load_participants(COHORT)
    for people, which in ((real, "real "), (released, "")):
        for measure, values in zip(people.schema.all_measures, people.values.transpose(1, 0, 2), strict=True):
            found[f"{which}mean {measure.name}"] = float(values.mean())
    return found | _best_epochs(directory)


def _best_epochs(directory: StudyDirectory) -> dict[str, float]:
    """The best accuracy of any epoch on participants who did not train, by classifier, where scores are exact."""
    reports = [
        json.loads(line).get("report", {}) for line in (directory.path / "trials.jsonl").read_text().splitlines()
    ]
    names = {name for report in reports for name in report if name.startswith("accuracy_")}
    return {f"best {name}": max(report[name] for report in reports if name in report) for name in names}


def _block(blocks: Mapping[str, Any], beginning: str) -> Any:
    return next(data for title, data in blocks.items() if title.startswith(beginning) and data is not None)


def _trained(out: Path, series: str, number: int, length: Length, noise: float) -> Path:
    """A run of the paper's command."""
    prefix = f"{series.replace(', ', '-').replace(' ', '-')}-{number}_"
    flags = [*SERIES[series].flags, "--prefix", prefix, "--epochs", length.epochs, "--batch_size", length.batch_size,
             "--lr", length.learning_rate, "--scores", "--out", out]  # fmt: skip
    if _noisy(series):
        flags += ["--noise", noise]
    begun = _only(out, prefix, length)
    if begun is None or not (begun / ENDED).exists():
        _command(out, "-m", "trainables.dp_gan", *flags, *(["--resume"] if begun else []))
    ended = _only(out, prefix, length)
    assert ended is not None
    return ended


def _only(out: Path, prefix: str, length: Length) -> Path | None:
    ending = f"_{length.epochs}_{length.learning_rate}_{length.batch_size}"
    return next((each for each in out.glob(f"{prefix}*{ending}")), None)


def _studied(out: Path, number: int) -> Path:
    """A study under the default policy."""
    name = f"measured-{number}"
    if not (out / name).exists():
        _command(out, "tuner/run.py", "--cohort", COHORT, "--study", name, "--out", out, "--release-anyway")
    return out / name


def _command(out: Path, *words: object) -> None:
    environment = {**os.environ, "DPGAN_TUNE_DATA": str(out / "data")}
    subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, env=environment, check=True)


def _noisy(series: str) -> bool:
    return "--clip_value" in SERIES[series].flags


def _key(series: str, number: int, length: Length) -> dict[str, Any]:
    lengths = {} if series == "measured" else vars(length)
    return {"series": series, "run": number, **lengths}


def _known(series: str, number: int, length: Length) -> bool:
    return any(_key(series, number, length).items() <= row.items() for row in _rows())


def _rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def _keep(row: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps([*_rows(), row], indent=1) + "\n")


def write_table(rows: list[dict[str, Any]]) -> None:
    """Set the medians of every series beside the paper's numbers."""
    longest = {
        series: max((row.get("epochs", 0) for row in rows if row["series"] == series), default=0) for series in SERIES
    }
    shown = {
        series: [row for row in rows if row["series"] == series and row.get("epochs", 0) == longest[series]]
        for series in SERIES
    }
    lines = [f"| | {' | '.join(COLUMNS)} | {' | '.join(f'ours, {name}' for name in SERIES)} |",
             f"|{'---|' * (1 + len(COLUMNS) + len(SERIES))}"]  # fmt: skip
    for label, names, papers in FIGURES:
        ours = [_cell(names, [row["figures"] for row in shown[series]]) for series in SERIES]
        lines.append(f"| {' | '.join((label, *papers, *ours))} |")
    write_section("paper", f"{_made_by(shown)}\n\n" + "\n".join(lines), PAGE)


def _cell(names: tuple[str, ...], runs: list[dict[str, float]]) -> str:
    """Medians of some figures, and those of the real participants."""
    if not runs or not names:
        return "not run" if names else ""
    if any(name not in run for name in names for run in runs):
        return "not applicable"

    def medians(which: str) -> str:
        found = (statistics.median(run[f"{which}{name}"] for run in runs) for name in names)
        return ", ".join(f"{each:.3f}" if abs(each) < 1 else f"{each:.4g}" for each in found)

    return medians("") + (f" (real {medians('real ')})" if all(f"real {name}" in runs[0] for name in names) else "")


def _made_by(shown: Mapping[str, list[dict[str, Any]]]) -> str:
    """What stands behind the columns that are ours."""
    words = []
    for series, runs in shown.items():
        lengths = Counter(
            (row["epochs"], row["batch_size"], row["learning_rate"], row["noise"]) for row in runs if "epochs" in row
        )
        for (epochs, batch, rate, noise), count in lengths.items():
            noisy = f", `--noise {noise:g}`" if noise else ""
            words.append(f"*{series}*: {count} of {epochs} epochs, `--batch_size {batch} --lr {rate:g}`{noisy}")
        if series == "measured" and runs:
            words.append(f"*{series}*: {len(runs)} with the defaults of `tuner/run.py`, epsilon 3")
    made = f"Runs behind a column: {'; '.join(words)}." if words else "None of ours has been run."
    return (
        "Ours are medians over runs, by `python -m benchmarks.paper`: with larger batches than the paper's and, where\n"
        f"there is noise, as much as gives its epsilon at the end. {made}"
    )


if __name__ == "__main__":
    main()
