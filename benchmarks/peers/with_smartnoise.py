"""Synthesizers of smartnoise-synth: ``python with_smartnoise.py FOLDER``.

AIM (arXiv:2201.12677) and MST (arXiv:2108.04978) are given a public grid, and a value is drawn evenly within its bin;
a missing one has a bin of its own, after the others. The GANs are given numbers as they are and categories one-hot.
What is not set here is as the package has it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from exchange import Column, Task, write_synthetic
from faster_aim import FasterAIM
from mbi import MarkovRandomField, junction_tree
from snsynth.base import Synthesizer
from snsynth.mst import MSTSynthesizer
from snsynth.pytorch.nn import DPCTGAN, PATECTGAN
from snsynth.transform import BinTransformer, ChainTransformer, MinMaxTransformer, OneHotEncoder, TableTransformer

BINS = 32
"""Equal bins of a column's public range; one a value where it has no more values."""
MANY_COLUMNS, ROUNDS = 20, 80
"""From so many columns on, AIM starts from so many rounds; the package's 16 a column would take hours."""


def main(folder: Path) -> None:
    task, real = Task.read(folder)
    budget = {"epsilon": task.epsilon, "delta": task.delta}
    rounds = ROUNDS if len(task.columns) >= MANY_COLUMNS else None
    synthetic = {
        "aim": lambda: on_a_grid(FasterAIM(**budget, rounds=rounds), task, real),
        "mst": lambda: on_a_grid(MSTSynthesizer(**budget), task, real),
        "patectgan": lambda: by_a_gan(PATECTGAN(**budget, verbose=False), task, real),
        "dpctgan": lambda: by_a_gan(DPCTGAN(**budget, verbose=False), task, real),
    }[task.tool]()
    write_synthetic(folder, synthetic)


def on_a_grid(synthesizer: Synthesizer, task: Task, real: pd.DataFrame) -> pd.DataFrame:
    bins = np.array([column.count if 0 < column.count <= BINS else BINS for column in task.columns])
    all_bins = bins + [column.may_be_missing for column in task.columns]
    grid = [BinTransformer(bins=int(n), lower=0, upper=n / b) for n, b in zip(all_bins, bins, strict=True)]
    on_grid = pd.DataFrame(np.where(real > 1, 1 + 0.5 / bins, real), columns=real.columns)
    synthesizer.fit(on_grid, transformer=TableTransformer(grid))
    synthesizer.synthesizer = drawing_right(synthesizer.synthesizer)
    middles = synthesizer.sample(task.rows)
    return middles + (np.random.default_rng().random(middles.shape) - 0.5) / bins


def drawing_right(model: MarkovRandomField) -> SimpleNamespace:
    """A model that draws rows as mbi 2.0.0 has it.

    1.1.0 hands out values in the order of rows, so that unrelated columns correlate, and draws a column given those
    that it was measured with, not all that its clique of the junction tree holds.
    """
    tree = junction_tree.make_junction_tree(model.domain, model.potentials.cliques)[0]
    whole = replace(model, potentials=model.potentials.expand(list(tree)))
    return SimpleNamespace(synthetic_data=partial(whole.synthetic_data, method="sample"))


def by_a_gan(synthesizer: Synthesizer, task: Task, real: pd.DataFrame) -> pd.DataFrame:
    synthesizer.fit(real, transformer=TableTransformer([encoder(column) for column in task.columns]))
    return synthesizer.sample(task.rows)


def encoder(column: Column) -> MinMaxTransformer | ChainTransformer:
    if not column.categorical:
        return MinMaxTransformer(lower=0, upper=1)
    return ChainTransformer([BinTransformer(bins=column.count, lower=0, upper=1), OneHotEncoder()])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
