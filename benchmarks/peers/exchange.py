"""What a peer's process is given and gives back: a folder with task.json, real.csv and synthetic.csv.

Both sides import this module, so it knows neither dpgan-tune nor any peer. Values are positions in the public range of
their column, from 0 to 1, so that no peer has to spend epsilon on limits; above 1 a value is missing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Column:
    """What is public about a column of the table.

    Args:
        name: of the measure, with its visit, or of the label.
        count: how many values it can take, each in the middle of one of so many equal intervals; 0 for a continuum.
        categorical: whether these values have no order.
        may_be_missing: whether some may have none.
    """

    name: str
    count: int
    categorical: bool
    may_be_missing: bool


@dataclass(frozen=True)
class Task:
    """One release: which tool shall make how many rows at which total epsilon and delta, of which columns."""

    tool: str
    epsilon: float
    delta: float
    rows: int
    columns: tuple[Column, ...]

    def write(self, folder: Path, real: pd.DataFrame) -> None:
        """Leave the task and the real table in a folder."""
        (folder / "task.json").write_text(json.dumps(asdict(self)))
        real.to_csv(folder / "real.csv", index=False)

    @classmethod
    def read(cls, folder: Path) -> tuple[Task, pd.DataFrame]:
        """The task in a folder, and its real table."""
        given = json.loads((folder / "task.json").read_text())
        columns = tuple(Column(**each) for each in given.pop("columns"))
        return cls(**given, columns=columns), pd.read_csv(folder / "real.csv")


def write_synthetic(folder: Path, synthetic: pd.DataFrame) -> None:
    """Leave what a peer made beside its task."""
    synthetic.to_csv(folder / "synthetic.csv", index=False)


def read_synthetic(folder: Path) -> pd.DataFrame:
    """What a peer left."""
    return pd.read_csv(folder / "synthetic.csv")
