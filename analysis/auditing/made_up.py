"""Trials that never were, for attacks that read nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cohorts import Schema


def made_up_schema(name: str, participants: int, weeks: Sequence[int], measures: Sequence[dict[str, Any]]) -> Schema:
    """A public trial of two arms of the same size.

    Args:
        name: of the trial.
        participants: nominal size.
        weeks: of its visits.
        measures: at every visit; each is in a column of its own name.
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
                "classes": [{"name": "a", "value": 0, "share": 0.5}, {"name": "b", "value": 1, "share": 0.5}],
            },
            "visits": {"column": "visit", "codes": [f"week {week}" for week in weeks]},
            "measures": [{**each, "column": each["name"]} for each in measures],
        }
    )
