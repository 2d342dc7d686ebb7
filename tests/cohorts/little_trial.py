"""A trial of two tables, two visits and one measure of each kind, to be spoiled in every way a file can be."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

SCHEMA: dict[str, Any] = {
    "name": "little",
    "public": False,
    "participant": "id",
    "nominal_size": 80,
    "tables": {"people": "people.csv", "visits": "visits.csv"},
    "label": {
        "name": "arm",
        "table": "people",
        "column": "arm",
        "randomised": True,
        "classes": [{"name": "control", "value": "C", "share": 0.5}, {"name": "treated", "value": "T", "share": 0.5}],
    },
    "visits": {"column": "visit", "codes": ["V0", "V1"]},
    "measures": [
        {
            "name": "SBP",
            "unit": "mmHg",
            "kind": "integer",
            "lower": 60,
            "upper": 240,
            "table": "visits",
            "column": "sbp",
        },
        {
            "name": "HB",
            "unit": "g/dl",
            "kind": "continuous",
            "lower": 3,
            "upper": 25,
            "decimals": 1,
            "table": "visits",
            "column": "hb",
        },
        {"name": "NYHA", "kind": "categorical", "categories": ["I", "II", "III"], "table": "visits", "column": "nyha"},
    ],
    "covariates": [
        {
            "name": "age",
            "unit": "years",
            "kind": "integer",
            "lower": 18,
            "upper": 100,
            "table": "people",
            "column": "age",
        },
        {"name": "sex", "kind": "binary", "categories": ["f", "m"], "table": "people", "column": "sex"},
    ],
}


def schema_mapping() -> dict[str, Any]:
    return copy.deepcopy(SCHEMA)


def people_frame(n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": [f"P{i:03d}" for i in range(n)],
            "arm": [("C", "T")[i % 2] for i in range(n)],
            "age": rng.integers(20, 90, n),
            "sex": rng.choice(["f", "m"], n),
        }
    ).astype(object)


def visits_frame(n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "id": np.repeat([f"P{i:03d}" for i in range(n)], 2),
            "visit": ["V0", "V1"] * n,
            "sbp": rng.integers(90, 200, 2 * n),
            "hb": rng.uniform(9, 17, 2 * n).round(1),
            "nyha": rng.choice(["I", "II", "III"], 2 * n),
        }
    ).astype(object)


def write_trial(
    directory: Path,
    people: pd.DataFrame | None = None,
    visits: pd.DataFrame | None = None,
    schema: dict[str, Any] | None = None,
) -> str:
    """Write the trial and its schema; returns the schema's path as `load_participants` takes it."""
    directory.mkdir(parents=True, exist_ok=True)
    (people_frame() if people is None else people).to_csv(directory / "people.csv", index=False)
    (visits_frame() if visits is None else visits).to_csv(directory / "visits.csv", index=False)
    path = directory / "little.yaml"
    path.write_text(yaml.safe_dump(schema or SCHEMA, sort_keys=False))
    return str(path)
