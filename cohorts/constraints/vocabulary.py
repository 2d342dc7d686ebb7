"""What constraints may speak of: measures, covariates, their visits, and values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from cohorts.measure import Measure
from cohorts.schema_words import suggestion
from cohorts.spelling import Meanings, tidy

At = tuple[int, int]
"""A value of a participant: the number of its measure among all that are recorded, and of its visit."""


@dataclass(frozen=True)
class Term:
    """A measure or covariate as it is named: at one visit, or at all (None).

    Args:
        row: its number among all that are recorded.
        visit: number of the visit; that of a covariate is 0.
    """

    row: int
    visit: int | None


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The recorded measures and covariates of a schema, R of them, and their V visits.

    Args:
        recorded: measures, then covariates.
        by_visit: how many are measures.
        visits: names of the visits.
        observed: which values there may be, bool (R, V).
        before: which are from before randomisation, bool (R, V).
    """

    recorded: tuple[Measure, ...]
    by_visit: int
    visits: tuple[str, ...]
    observed: np.ndarray
    before: np.ndarray

    def term(self, text: str) -> Term | None:
        """What `SBP` or `SBP[week 0]` names; None where it begins with the name of no measure.

        Raises:
            ValueError: a visit is named at which there is no value.
        """
        named = self._row(text)
        if named is not None:
            return Term(named, None if named < self.by_visit else 0)
        found = re.fullmatch(r"(.+?)\s*\[(.+)\]", text.strip())
        row = self._row(found[1]) if found else None
        if found is None or row is None:
            return None
        visit, name = tidy(found[2]), self.recorded[row].name
        if row >= self.by_visit:
            raise ValueError(f"{name} is a covariate, known once; leave [{visit}] out")
        if visit not in self.visits:
            raise ValueError(f"[{visit}] is none of the visits {', '.join(self.visits)}")
        number = self.visits.index(visit)
        if not self.observed[row, number]:
            raise ValueError(f"{name} is not measured at the visit {visit}")
        return Term(row, number)

    def known_term(self, text: str) -> Term:
        """As ``term``, of a text that must name something."""
        term = self.term(text)
        if term is None:
            raise ValueError(self.unknown(text))
        return term

    def unknown(self, text: str) -> str:
        """That a text names nothing, and what it may have meant."""
        name = text.split("[")[0].strip()
        return f"there is no measure or covariate {name}{suggestion(name, [each.name for each in self.recorded])}"

    def value(self, term: Term, text: str) -> float:
        """The number, or the index of the category, that a text says of a measure.

        Raises:
            ValueError: the measure cannot have that value.
        """
        measure = self.recorded[term.row]
        if measure.discrete:
            index = Meanings([(category, k) for k, category in enumerate(measure.categories)]).of(text)
            if index < 0:
                listed = ", ".join(str(category) for category in measure.categories)
                raise ValueError(f"{text} is no category of {measure.name} ({listed})")
            return float(index)
        try:
            number = float(text)
        except ValueError:
            raise ValueError(self.unknown(text)) from None
        if not np.isfinite(number):
            raise ValueError(f"{text} is no finite number")
        return number

    def places(self, term: Term) -> list[At]:
        """All values that a term stands for."""
        if term.visit is not None:
            return [(term.row, term.visit)]
        return [(term.row, int(visit)) for visit in np.flatnonzero(self.observed[term.row])]

    def pairs(self, first: Term, second: Term) -> list[tuple[At, At]]:
        """Which values of two terms belong together: those of one visit, or each with the one that is known once.

        Raises:
            ValueError: none do.
        """
        both = [(one, other) for one in self.places(first) for other in self.places(second) if one != other]
        if first.visit is None and second.visit is None:
            both = [(one, other) for one, other in both if one[1] == other[1]]
        if not both:
            raise ValueError(f"{self.said(first)} and {self.said(second)} are never measured at one visit")
        return both

    def said(self, term: Term) -> str:
        """A term as it is written."""
        name = self.recorded[term.row].name
        return name if term.visit is None or term.row >= self.by_visit else f"{name}[{self.visits[term.visit]}]"

    def name_of(self, at: At) -> str:
        """A value as a term is written that names it alone."""
        return self.said(Term(*at))

    def _row(self, text: str) -> int | None:
        names = [tidy(each.name) for each in self.recorded]
        return names.index(tidy(text)) if tidy(text) in names else None
