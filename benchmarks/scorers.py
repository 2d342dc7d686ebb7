"""The classifiers that steer the search against scikit-learn's defaults: how far apart their AUCs are, and how fast.

``python -m benchmarks.scorers`` trains some configurations of the default search space without noise or with little,
has synthetic participants of each at several epochs judged by both, prints the table and writes
benchmarks/results/scorers.json. A few minutes on two cores.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import roc_auc_score

from benchmarks.page import write_section
from benchmarks.workloads import participants, streams
from cohorts import Encoding, Participants, load_participants, split_key, split_participants
from search_spaces import load_search_space
from trainables.engine import PublicFigures, TrainingData
from trainables.generation import Generator, arm_shares, grid
from trainables.hyperparameters import Hyperparameters
from trainables.packed_engine import PackedEngine
from trainables.scoring import CLASSIFIERS, STEERING, Fitted

RESULTS = Path(__file__).parent / "results" / "scorers.json"
COHORTS = ("sprint-simulated", "actg175")
CONFIGURATIONS = 8
EPOCHS = (1, 3, 9)


def main() -> None:
    rows = [row for cohort in COHORTS for row in judged(cohort)]
    summary = [summarise(rows, cohort, name) for cohort in COHORTS for name in STEERING]
    RESULTS.write_text(json.dumps({"summary": summary, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
