"""Scores by name: what each says, which way is better, and what it costs to release.

Every score has a file of its own; ``classifiers`` and ``likenesses`` gather them. A classifier's score is its floored
AUC on participants, released with noise. A likeness compares two cohorts number by number and has no useful
sensitivity, so it is computed only where that is free: of surrogate participants, and of a public cohort's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cohorts import Participants
from privacy.mechanisms.auc import ScoreFloors


@dataclass(frozen=True)
class Score:
    """A figure of synthetic participants, as it is reported.

    Args:
        name: in reports, and as a metric.
        title: for people.
        direction: which way is better.
        bounds: least and greatest value.
        sensitivity: the most that one participant, added or removed, changes it, by the public floors of the class
            counts; "free" where it is only ever computed of what may be read without limit.
    """

    name: str
    title: str
    direction: Literal["maximize", "minimize"]
    bounds: tuple[float, float]
    sensitivity: Callable[[ScoreFloors], float] | Literal["free"]


@dataclass(frozen=True)
class Classifier:
    """Something that learns from synthetic participants which class one is of, and is tried on real ones.

    Args:
        name: in reports.
        title: for people.
        short: the same in a narrow column.
        new: one that knows nothing yet, from a seed: for reports.
        steering: likewise, for the search, where it steers it; None otherwise. A fitted one's ``predict_proba`` must
            say of a participant what follows from that participant alone, to the last bit, whoever else it was or is
            asked about: by that the sensitivity holds, and with it the privacy statement. Those that packages add are
            asked about one participant at a time; that they keep nothing from one call to the next is for their
            authors to prove.
    """

    name: str
    title: str
    short: str
    new: Callable[[int], Any]
    steering: Callable[[int], Any] | None = None

    @property
    def score(self) -> Score:
        """Its AUC."""
        title = f"AUC of {self.title}"
        return Score(f"auc_{self.name}", title, "maximize", (0.0, 1.0), lambda floors: floors.sensitivity)


@dataclass(frozen=True)
class Likeness:
    """How alike two cohorts are.

    Args:
        score: as it is reported.
        measure: of a synthetic and a real cohort. Sensitive where the real one is private.
    """

    score: Score
    measure: Callable[[Participants, Participants], float]
