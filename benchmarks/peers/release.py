"""A release by another tool, on the same terms as one of ours.

It is given what a study is given to search on: train and validation participants, the schema's public limits, and one
total epsilon and delta; and it makes as many participants as the schema says there are.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.peers.exchange import Column, Task, read_synthetic
from cohorts import Encoding, Participants, Schema, split_key, split_participants

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TITLES = {"aim": "AIM", "mst": "MST", "patectgan": "PATE-CTGAN", "dpctgan": "DP-CTGAN"}
FAMILIES = dict.fromkeys(TITLES, "smartnoise")
"""Each peer, and the family that it is installed and run with."""
COMPLETE_ONLY = ("patectgan", "dpctgan")
"""Those that have no way to be told that a value is missing."""
DELTA = 1e-5
LABEL = "label"


def environment(peer: str) -> Path:
    """The python that runs a peer; its virtual environment is made where it is missing."""
    family = FAMILIES[peer]
    python = ROOT / f".venv-peers-{family}" / "bin" / "python"
    done = python.parents[1] / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        requirements = HERE / f"requirements-{family}.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
        done.touch()
    return python


def require_able(peer: str, schema: Schema) -> None:
    """End with a sentence where a peer cannot be asked for such a cohort."""
    if peer in COMPLETE_ONLY and schema.may_be_missing.any():
        sys.exit(f"{TITLES[peer]} is asked for complete cohorts only, and in {schema.name} values may be missing")


def version(peer: str) -> str:
    """The package, with its version, that a peer comes from."""
    return (HERE / f"requirements-{FAMILIES[peer]}.txt").read_text().splitlines()[0]


def release(real: Participants, peer: str, epsilon: float) -> Participants:
    """What a peer makes of a cohort.

    Args:
        real: everybody; the peer gets those whom a study trains and validates on.
        peer: one of `FAMILIES`.
        epsilon: in total.
    """
    python, script = environment(peer), HERE / f"with_{FAMILIES[peer]}.py"
    splits = split_participants(real, split_key(real.schema))
    known = Participants.together([splits.train, splits.validation])
    columns = columns_of(real.schema)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Task(peer, epsilon, DELTA, real.schema.nominal_size, columns).write(folder, table_of(known, columns))
        subprocess.run([python, script, folder], check=True)
        return participants_of(read_synthetic(folder)[[column.name for column in columns]], real.schema)


def columns_of(schema: Schema) -> tuple[Column, ...]:
    """A column for every observed cell, and the label."""
    columns = [
        Column(f"{cell.measure.name} {cell.visit}", cell.measure.count, cell.measure.discrete, cell.may_lack)
        for cell in Encoding(schema).cells
    ]
    return (*columns, Column(LABEL, len(schema.label.classes), True, False))


def table_of(people: Participants, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Participants as positions in the public ranges, one row each; above 1 where a value is missing."""
    labels = (people.labels + 0.5) / len(people.schema.label.classes)
    positions = np.c_[Encoding(people.schema).positions(people.values), labels]  # (n, C + 1)
    return pd.DataFrame(positions, columns=[column.name for column in columns])


def participants_of(table: pd.DataFrame, schema: Schema) -> Participants:
    """Participants of a table of positions, clamped and rounded to values that the schema allows.

    Where a peer says that somebody came to a visit and lacks a value that may not be missing by itself, they get that
    of somebody who has one.
    """
    positions = table.to_numpy(float)  # (n, C + 1)
    randomness = np.random.default_rng(0)
    for number, cell in enumerate(Encoding(schema).cells):
        lacking = positions[:, number] > 1
        if cell.may_lack and not cell.flagged and not lacking.all():
            positions[lacking, number] = randomness.choice(positions[~lacking, number], lacking.sum())
    values = Encoding(schema).at_positions(positions[:, :-1])
    ids, classes = np.arange(len(table)).astype(str), len(schema.label.classes)
    labels = np.floor(positions[:, -1] * classes).clip(0, classes - 1).astype(np.int64)
    return Participants(schema, ids, labels, values)
