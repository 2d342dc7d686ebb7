"""Which hyperparameters a search space may name, told to its loader."""

from __future__ import annotations

from typing import Any

from search_spaces import Domain
from trainables.gan.hyperparameters import Hyperparameters


def domains() -> dict[str, Domain]:
    """Name and legal range of every hyperparameter, read off the model that trials validate with."""
    described = Hyperparameters.model_json_schema()["properties"]
    return {name: _domain(json_schema) for name, json_schema in described.items()}


def _domain(described: dict[str, Any]) -> Domain:
    """A hyperparameter's domain from its JSON schema."""
    if "enum" in described:
        return Domain(kind="choice", choices=tuple(described["enum"]))
    return Domain(
        kind="integer" if described["type"] == "integer" else "float",
        low=described.get("exclusiveMinimum", described.get("minimum")),
        high=described.get("exclusiveMaximum", described.get("maximum")),
        low_open="exclusiveMinimum" in described,
        high_open="exclusiveMaximum" in described,
        gap=described.get("gap", 0.0),
    )
