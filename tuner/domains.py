"""Which hyperparameters a search space may name, told to its loader, and where it begins."""

from __future__ import annotations

from typing import Any

from search_spaces import Domain, SearchSpace
from trainables.candidate import CANDIDATE, DEFAULT, candidate_named, candidate_names


def domains() -> dict[str, Domain]:
    """Name and legal range of every candidate's hyperparameters, read off the models that trials validate with."""
    known = {CANDIDATE: Domain(kind="choice", choices=candidate_names())}
    for name in candidate_names():
        described = candidate_named(name).hyperparameters.model_json_schema().get("properties", {})
        known |= {each: _domain(json_schema) for each, json_schema in described.items()}
    return known


def default_configurations(space: SearchSpace) -> list[dict[str, Any]]:
    """The default configuration of each candidate in a space, as far as the space lets a trial have it."""
    found = []
    for name in space.values(CANDIDATE) or (DEFAULT,):
        fields = candidate_named(str(name)).hyperparameters.model_fields
        own = {each: field.default for each, field in fields.items() if not field.is_required()}
        found.append(space.suggestable({CANDIDATE: name, **own}))
    return found


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
