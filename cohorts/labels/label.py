"""What classifiers predict: an arm, an outcome of any kind, or nothing."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from cohorts.labels.class_label import ClassLabel
from cohorts.labels.no_label import NoLabel
from cohorts.labels.numeric_label import NumericLabel
from cohorts.labels.survival_label import SurvivalLabel

LABELS = (ClassLabel, NumericLabel, SurvivalLabel, NoLabel)


def _kind(given: Any) -> str:
    """Which kind a label is of, in words that are no key; a mistyped one is left to the ordinary kind to refuse."""
    kind = given.get("kind") if isinstance(given, dict) else getattr(given, "kind", None)
    return f"kind {kind}" if kind in ("numeric", "survival", "none") else "kind classes"


Label = Annotated[
    Annotated[ClassLabel, Tag("kind classes")]
    | Annotated[NumericLabel, Tag("kind numeric")]
    | Annotated[SurvivalLabel, Tag("kind survival")]
    | Annotated[NoLabel, Tag("kind none")],
    Discriminator(_kind),
]
"""A column of classes, a number that is cut into classes, a time to an event, or nothing."""
