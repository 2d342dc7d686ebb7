"""What every label has, and every one of its classes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from cohorts.parts import Frozen, Name
from cohorts.spelling import require_distinct


class LabelClass(Frozen):
    """One of a label's classes; `share` is its public share of participants."""

    name: Name
    share: float = Field(gt=0, lt=1)


class NamedLabel(Frozen):
    """What a label is called, and the table that it stands in."""

    name: Name
    table: Name
    description: str = ""


def check_classes(classes: Sequence[LabelClass]) -> None:
    """Raise ValueError unless names differ and shares sum to 1."""
    require_distinct("class name", (each.name for each in classes))
    total = sum(each.share for each in classes)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the shares of the classes sum to {total:g}; they must sum to 1")
