"""How good releases are: whole studies, judged on all real participants.

``python -m benchmarks.quality --cohort actg175 --epsilon 3 --runs 9`` runs studies until there are so many of each
policy, one after the other, and appends each to benchmarks/results/quality.json as it ends, so that it may be
stopped and started again. ``--peer aim`` has another tool make the releases instead. ``--table`` runs nothing. All
write the table of docs/quality.md, and a short one of it into the README.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp, spearmanr
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from analysis.detection import detection
from benchmarks.page import write_section
from benchmarks.peers import release as peers
from cohorts import Encoding, Participants, load_participants, split_key, split_participants
from privacy.mechanisms.auc import ScoreFloors, floored_auc
from privacy.policies import policies
from trainables.scoring import classifiers
from trainables.scoring.judging import evaluate

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "quality.json"
PAGE = ROOT / "docs" / "quality.md"
POLICIES = tuple(policy.name for policy in policies() if policy.declares_budget)
JUDGES = ("logistic_regression", "random_forest")
COLUMNS = {
    "auc_logistic_regression": "AUC logistic",
    "auc_random_forest": "AUC forest",
    "spearman": "Spearman",
    "correlation_error": "correlations",
    "ks": "KS",
    "detection": "detection",
    "contrast_error": "contrast",
    "spread": "spread",
    "change": "change",
    "real_on_synthetic": "real to synthetic",
    "seconds": "seconds",
}
REAL = "real"
README = ROOT / "README.md"
SHORT = {
    "auc_logistic_regression": "AUC, logistic",
    "auc_random_forest": "AUC, forest",
    "spearman": "correlations, Spearman",
    "ks": "distributions, KS",
    "detection": "detection AUC",
    "contrast_error": "difference of classes, in standard errors",
}
"""What the README's table has, of one cohort at one epsilon."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", action="append", help="may be given repeatedly (default: two)")
    parser.add_argument(
        "--policy", choices=POLICIES, action="append", help="may be given repeatedly (default: measured)"
    )
    parser.add_argument(
        "--peer", choices=peers.FAMILIES, action="append", help="another tool instead of a policy; may be repeated"
    )
    parser.add_argument("--search-space", help="another than the policy's own")
    parser.add_argument("--trials", type=int, help="others than the policy's own number")
    parser.add_argument("--epsilon", type=float, action="append", help="may be given repeatedly (default: 3)")
    parser.add_argument("--runs", type=int, default=9, help="of each")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of what there is")
    given = parser.parse_args()
    if not given.table:
        for cohort in given.cohort or ("sprint-simulated", "actg175"):
            real = load_participants(cohort)[0]
            if _labelled(real) and not _known(real.schema.name, REAL, "", None, 0.0):
                _keep(row_of_real(real))
            for epsilon in given.epsilon or (3.0,):
                for peer in given.peer or ():
                    while len(_known(real.schema.name, peer, "", None, epsilon)) < given.runs:
                        _keep(peer_row(real, peer, epsilon))
                for policy in given.policy or (() if given.peer else ("measured",)):
                    while (
                        len(_known(real.schema.name, policy, given.search_space or "", given.trials, epsilon))
                        < given.runs
                    ):
                        _keep(study(real, cohort, policy, given.search_space or "", given.trials, epsilon))
    write_table(_rows())
    write_short_table(_rows())


def study(
    real: Participants, cohort: str, policy: str, space: str, trials: int | None, epsilon: float
) -> dict[str, Any]:
    """Run one study in a folder of its own and judge its release."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--cohort", cohort, "--policy", policy, "--epsilon", str(epsilon), "--study", "s", "--out", folder]
        options += ["--release-anyway"]
        options += ["--search-space", space] if space else []
        options += ["--trials", str(trials)] if trials else []
        environment = {**os.environ, "DPGAN_TUNE_DATA": f"{folder}/data"}
        began = time.monotonic()
        subprocess.run([sys.executable, ROOT / "tuner" / "run.py", *options], cwd=ROOT, env=environment, check=True)
        seconds = time.monotonic() - began
        released, _ = load_participants(str(next(Path(folder).glob("s/release/schema-*.yaml"))))
    row = {"cohort": real.schema.name, "policy": policy, "search_space": space, "trials": trials, "epsilon": epsilon}
    return {**row, **quality(replace(released, schema=real.schema), real), "seconds": round(seconds)}


def peer_row(real: Participants, peer: str, epsilon: float) -> dict[str, Any]:
    """Have another tool make a release, and judge it."""
    peers.require_able(peer, real.schema)
    peers.environment(peer)
    began = time.monotonic()
    released = peers.release(real, peer, epsilon)
    seconds = time.monotonic() - began
    row = {"cohort": real.schema.name, "policy": peer, "search_space": "", "trials": None, "epsilon": epsilon}
    return {**row, **quality(released, real), "seconds": round(seconds), "version": peers.version(peer)}


def quality(synthetic: Participants, real: Participants) -> dict[str, float]:
    """Figures of one release, beside all real participants and beside those who had no part in the search.

    Without a label there is nothing to predict, and no classes to set against each other.
    """
    ours, theirs = (Encoding(each.schema).encode(each.values) for each in (synthetic, real))  # (n, F), (m, F)
    our_pairs, their_pairs = (_pairs(*each) for each in ((ours, synthetic.labels), (theirs, real.labels)))
    classes = range(len(real.schema.label.classes))
    figures = _of_classes(synthetic, real) if _labelled(real) else {}
    figures |= {
        "spearman": float(spearmanr(our_pairs, their_pairs).statistic),
        "correlation_error": float(np.abs(our_pairs - their_pairs).mean()),
        "ks": _ks(ours, theirs),
        "ks_by_class": float(np.mean([_ks(ours[synthetic.labels == c], theirs[real.labels == c]) for c in classes])),
        "detection": detection(synthetic, real),
        "spread": float(np.median([np.std(ours[synthetic.labels == c], axis=0).mean()
                                   / np.std(theirs[real.labels == c], axis=0).mean() for c in classes])),
        "change": _change(synthetic) / _change(real),
        "distinct": len(np.unique(ours, axis=0)) / len(ours),
    }  # fmt: skip
    return {name: round(value, 4) for name, value in figures.items() if np.isfinite(value)}


def _labelled(people: Participants) -> bool:
    return len(people.schema.label.classes) > 1


def _of_classes(synthetic: Participants, real: Participants) -> dict[str, float]:
    """What is predicted, and how far differences of classes are from the trial's."""
    test = split_participants(real, split_key(real.schema)).test
    errors = contrast_errors(synthetic, real)
    figures = {f"auc_{name}": evaluate(name, synthetic, real, 0).auc for name in JUDGES}
    figures |= {f"test_auc_{name}": evaluate(name, synthetic, test, 0).auc for name in JUDGES}
    return figures | {
        "contrast_error": float(np.median(np.abs(errors))),
        "contrast_error_last": float(errors[-1]),
        "real_on_synthetic": evaluate("random_forest", real, synthetic, 0).auc - ceiling("random_forest", real),
    }


def contrast_errors(synthetic: Participants, real: Participants) -> np.ndarray:
    """Error of the difference of each later class from the first in the first measure, in its standard errors on real.

    Of those who have a value, by class and then by visit: float64 ((k - 1) V,).
    """
    seen = real.schema.observed[0]
    differences, errors = [], []
    for people in (synthetic, real):
        first = pd.DataFrame(people.values[people.labels == 0, 0][:, seen])
        for label in range(1, len(real.schema.label.classes)):
            later = pd.DataFrame(people.values[people.labels == label, 0][:, seen])
            differences.append(later.mean() - first.mean())
            errors.append(np.sqrt(first.var(ddof=0) / first.count() + later.var(ddof=0) / later.count()))
    half = len(differences) // 2
    wrong, scale = np.subtract(differences[:half], differences[half:]), np.array(errors[half:])
    return np.asarray(wrong / scale).ravel()


def ceiling(classifier: str, real: Participants) -> float:
    """AUC of a classifier trained on real participants, threefold cross-validated."""
    features = Encoding(real.schema).predictors(real.values)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = classifiers()[classifier].new(0)
    guessed = cross_val_predict(model, features, real.labels, cv=folds, method="predict_proba")
    ranking = guessed[:, 1] if guessed.shape[1] == 2 else guessed
    return floored_auc(ranking, real.labels, ScoreFloors.none(guessed.shape[1]))


def row_of_real(real: Participants) -> dict[str, Any]:
    """What real participants reach among themselves."""
    figures = {f"auc_{name}": round(ceiling(name, real), 4) for name in JUDGES}
    return {"cohort": real.schema.name, "policy": REAL, "search_space": "", "trials": None, "epsilon": 0.0, **figures}


def write_table(rows: list[dict[str, Any]]) -> None:
    """Medians, and the range of all runs, into docs/quality.md and to the terminal; other numbers of trials apart."""
    for section, those in (
        ("quality", [row for row in rows if not row["trials"]]),
        ("trials", [row for row in rows if row["trials"]]),
    ):
        lines = [
            f"| cohort | epsilon | policy | runs | {' | '.join(COLUMNS.values())} |",
            "|---" * (len(COLUMNS) + 4) + "|",
        ]
        keys = sorted({(r["cohort"], r["epsilon"], r["policy"], r["search_space"], r["trials"] or 0) for r in those})
        for cohort, epsilon, policy, space, trials in keys:
            these = _known(cohort, policy, space, trials or None, epsilon)
            said = " ".join([policy, *([f"({space})"] if space else []), *([f"{trials} trials"] if trials else [])])
            cells = [cell([each[name] for each in these if name in each]) for name in COLUMNS]
            budget = f"{epsilon:g}" if epsilon else ""
            lines.append(f"| {cohort} | {budget} | {said} | {len(these)} | {' | '.join(cells)} |")
        print("\n".join(lines))
        write_section(section, "\n".join(lines), PAGE)


def write_short_table(rows: list[dict[str, Any]], cohort: str = "actg175", epsilon: float = 3.0) -> None:
    """Medians of the default study and of other tools, into the README."""
    named = {"measured": "**dpgan-tune**", **peers.TITLES, REAL: "real participants"}
    lines = [f"| | runs | {' | '.join(SHORT.values())} |", "|---" * (len(SHORT) + 2) + "|"]
    for policy, title in named.items():
        key = (cohort, policy, "", None, 0.0 if policy == REAL else epsilon)
        these = [row for row in rows if _key(row) == key]
        medians = [[row[name] for row in these if name in row] for name in SHORT]
        if these:
            shown = [f"{np.median(each):.3g}" if each else "" for each in medians]
            lines.append(f"| {title} | {len(these)} | {' | '.join(shown)} |")
    write_section("others", "\n".join(lines), README)


def cell(values: list[float]) -> str:
    """Median and range; nothing of nothing."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    return f"{np.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def _pairs(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Correlations of all pairs of features, the class among them; 0 where one does not vary."""
    together = np.c_[features, labels[:, None] == np.arange(1, labels.max() + 1)]
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.nan_to_num(np.corrcoef(together, rowvar=False))
    return np.asarray(matrix[np.triu_indices_from(matrix, k=1)])


def _ks(ours: np.ndarray, theirs: np.ndarray) -> float:
    columns = range(ours.shape[1])
    return float(np.mean([ks_2samp(ours[:, column], theirs[:, column]).statistic for column in columns]))


def _change(people: Participants) -> float:
    """Standard deviation of the change of the first measure within a person, from the first visit to the last."""
    seen = np.flatnonzero(people.schema.observed[0])
    return float(np.nanstd(people.values[:, 0, seen[-1]] - people.values[:, 0, seen[0]])) or np.nan  # of one visit none


def _rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def _known(cohort: str, policy: str, space: str, trials: int | None, epsilon: float) -> list[dict[str, Any]]:
    wanted = (cohort, policy, space, trials, epsilon)
    return [each for each in _rows() if _key(each) == wanted]


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("cohort", "policy", "search_space", "trials", "epsilon"))


def _keep(row: dict[str, Any]) -> None:
    RESULTS.write_text(json.dumps([*_rows(), row], indent=1) + "\n")


if __name__ == "__main__":
    main()
