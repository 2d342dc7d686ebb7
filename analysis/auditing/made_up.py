"""Trials that never were, for attacks that read nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cohorts import Encoding, Schema
from cohorts.encoding import BEYOND

TWO_ARMS = {"a": 0.5, "b": 0.5}
THREE_ARMS = {"a": 0.5, "b": 0.3, "c": 0.2}
MISSING = 0.2
"""Share of the values that may be missing by themselves and are."""


def made_up_schema(
    name: str,
    participants: int,
    weeks: Sequence[int],
    measures: Sequence[dict[str, Any]],
    arms: dict[str, float],
    dropout: bool = False,
) -> Schema:
    """A public, randomised trial.

    Args:
        name: of the trial.
        participants: nominal size.
        weeks: of its visits.
        measures: at every visit; each is in a column of its own name.
        arms: the share of each.
        dropout: whether participants may leave.
    """
    return Schema.model_validate(
        {
            "name": name,
            "public": True,
            "participant": "id",
            "nominal_size": participants,
            "tables": {"visits": "visits.csv"},
            "label": {
                "name": "arm",
                "table": "visits",
                "column": "arm",
                "randomised": True,
                "classes": [{"name": each, "value": each, "share": share} for each, share in arms.items()],
            },
            "visits": {"column": "visit", "codes": [f"week {week}" for week in weeks], "dropout": dropout},
            "measures": [{**each, "column": each["name"]} for each in measures],
        }
    )


def made_up_values(schema: Schema, places: np.ndarray, randomness: np.random.Generator) -> np.ndarray:
    """Values at places in their ranges, some of those that may be missing taken away.

    Args:
        schema: of the trial, with C cells.
        places: (n, C) in [0, 1]; with dropout the last says how long each participant stays.
        randomness: to draw from.

    Returns:
        float32 (n, M, V).
    """
    encoding = Encoding(schema)
    flagged = np.array([cell.flagged for cell in encoding.cells])
    return encoding.at_positions(np.where(flagged & (randomness.random(places.shape) < MISSING), BEYOND, places))
