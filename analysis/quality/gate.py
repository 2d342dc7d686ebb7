"""The gate: whether a release strays from what was measured further than noise explains, and far enough to matter.

A figure fails when both are true: its difference, over the standard deviation that noise and sampling explain, is
beyond what the largest of so many differences would be by chance (Bonferroni's bound, so that a release without a fault
fails in at most ``FALSE_ALARMS`` of all releases, however its figures depend on each other), and it is larger than what
matters for its kind, so that a large cohort is not failed for a trifle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import ndtri

from analysis.quality.comparisons import EXCESSES, Comparison, What, associations, comparisons, pairs_in_tables, tables
from cohorts import Participants, Schema
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.misfit import misfit

FALSE_ALARMS = 0.01

MATTERS: Mapping[What, float] = {
    "class": 0.05,
    "share": 0.10,
    "middle": 0.10,
    "spread": 0.10,
    "limit": 0.05,
    "missing": 0.05,
    "mean": 0.25,
    "difference": 0.25,
    "association": 0.10,
    "table": 0.05,
}
"""The least difference that matters: of shares as such, of means and their differences in standard deviations (0.2 is
what Cohen calls small, and moves a share at the median by 0.08), of associations in correlations, of tables in shares
of participants."""

SHARES_OF_CLASSES = 0.15
"""Likewise of the difference between two classes in a share."""

BLIND: Mapping[What, float] = {
    "share": 0.5,
    "middle": 0.4,
    "spread": 0.4,
    "mean": 0.5,
    "difference": 1.0,
    "association": 0.25,
    "table": 0.25,
}
"""Where the typical difference that would have been found is larger than this, too little was seen to call it good."""

MOST: Mapping[What, float] = {"middle": 0.5, "spread": 0.5, "mean": np.inf, "difference": np.inf}
"""The most that a figure can differ by, where that is not 1: shares about the release's median and quartiles are near
one half, and means are in standard deviations."""

IN_DEVIATIONS: frozenset[What] = frozenset({"mean", "difference"})

NAMES: Mapping[What, str] = {
    "class": "sizes of classes",
    "share": "shares of categories",
    "middle": "shares on either side of the median",
    "spread": "shares inside the middle half",
    "limit": "shares in the outermost bins",
    "missing": "shares without a value",
    "mean": "means",
    "difference": "differences between classes",
    "association": "correlations",
    "table": "two-way tables",
}

NOTHING_MEASURED = (
    "This policy measures nothing of participants that a release could be compared with, column by column."
)

Verdict = Literal["passed", "failed", "not judged"]
Whose = Literal["release", "copies"]


class Finding(BaseModel):
    """A figure that strayed.

    Args:
        of: whose it is: the release's, or that of its copies together.
        what: the kind of figure.
        column: the measure.
        visit: at which it was taken; empty for a covariate.
        group: class, or classes, that it is of.
        detail: which share or difference.
        released: the figure of the release.
        measured: the same as it was bought, noise included.
        sd: standard deviation of the difference that noise and sampling explain.
        z: the difference in these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: Whose = "release"
    what: What
    column: str
    visit: str
    group: str
    detail: str
    released: float
    measured: float
    sd: float
    z: float

    @classmethod
    def from_comparison(cls, each: Comparison, of: Whose) -> Finding:
        """Of the release or of its copies."""
        numbers = {name: round(getattr(each, name), 4) for name in ("released", "measured", "sd")}
        words = {name: getattr(each, name) for name in ("what", "column", "visit", "group", "detail")}
        return cls(of=of, **words, **numbers, z=round(each.z, 2))

    def sentence(self) -> str:
        """In words."""
        if self.of == "copies" and self.what in EXCESSES:
            return f"In the copies, {self.model_copy(update={'of': 'release'}).sentence()}"
        if self.what == "association":
            return (
                f"{self.column}: its correlations differ from those measured by {self.released:.2g} (root mean "
                f"square), where noise and sampling explain {self.measured:.2g}"
            )
        if self.what == "table":
            return (
                f"{self.column}{f' ({self.visit})' if self.visit else ''}: {self.detail} {self.released:.2g}, where "
                f"noise and sampling explain {self.measured:.2g}"
            )
        where = ", ".join(part for part in (self.visit, self.group) if part)
        return (
            f"{self.column}{f' ({where})' if where else ''}: {self.detail} {self.released:.3g} in the {self.of}, "
            f"{self.measured:.3g} as measured, where noise and sampling explain a difference of about {self.sd:.2g}"
        )


class Sight(BaseModel):
    """How well a kind of figure could be compared.

    Args:
        what: the kind.
        figures: how many were compared.
        furthest: the largest difference in standard deviations; of associations and tables the largest excess.
        found_from: the difference from which on a typical one of them would have failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: What
    figures: int
    furthest: float
    found_from: float

    @property
    def found(self) -> str:
        """``found_from`` in words: no share differs by more than there is of it."""
        if self.found_from >= MOST.get(self.what, 1):
            return "hidden by noise"
        return in_units(self.what, self.found_from)

    @property
    def strayed(self) -> str:
        """``furthest`` in words; of a kind that is compared all at once it may be less than noise makes."""
        if self.what in EXCESSES and self.furthest < 0.05:
            return "no more than noise"
        return f"{self.furthest:.1f} standard deviations"


class Quality(BaseModel):
    """What the gate found.

    Args:
        verdict: whether the release may be called good.
        reason: why it was not judged; empty where it was.
        columns: measures that strayed, worst first.
        findings: figures that strayed, worst first.
        figures: how many were compared.
        threshold: standard deviations beyond which a difference is not chance.
        sight: how well each kind could be seen.
        misfit: mean square of all differences in standard errors of the noise; about 1 where noise explains them.
        tables: pairs of which two-way tables were measured.
        copies: whether the copies were compared, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reason: str = ""
    columns: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    figures: int = 0
    threshold: float = 0.0
    sight: tuple[Sight, ...] = ()
    misfit: float | None = None
    tables: tuple[str, ...] = ()
    copies: bool = False

    @property
    def failed(self) -> bool:
        """Whether it strayed."""
        return self.verdict == "failed"

    @property
    def blind(self) -> tuple[Sight, ...]:
        """Kinds of which only very large differences would have been found."""
        return tuple(each for each in self.sight if each.found_from > BLIND.get(each.what, np.inf))

    def _they_stray(self) -> str:
        """Which columns do, as a sentence that can go on."""
        *others, last = self.columns
        if not others:
            return f"the column {last} strays"
        return f"the columns {', '.join(others)} and {last} stray"

    def summary(self) -> str:
        """One paragraph for a reader who sees nothing else."""
        if self.verdict == "not judged":
            return f"Quality: not judged. {self.reason}"
        of_what = "the release and of its copies" if self.copies else "the release"
        compared = f"{self.figures} figures of {of_what} were compared with what was measured of the trial"
        if self.failed:
            return f"Quality: failed. {compared}; {self._they_stray()} further than noise and sampling explain."
        return f"Quality: passed. {compared}, and none strays further than noise and sampling explain.{self._unseen()}"

    def good_for(self, schema: Schema) -> str:
        """What the release is good for, as the datasheet says it."""
        label = schema.compared_by
        if any(len(schema.visits_of(each)) > 1 for each in schema.measures):
            moving = f"how measures move with time{f' and {label}' if label else ''}"
        else:
            moving = f"how measures differ by {label}" if label else "how values are spread"
        always = "Good for writing and testing an analysis, and for teaching"
        if self.failed:
            return (
                f"{always} with columns other than those that stray. **Not good for a first look**: "
                f"{self._they_stray()} from what was measured of the trial further than noise explains."
            )
        if self.verdict == "not judged":
            return (
                f"{always}. Whether it is good for a first look at {moving} is not "
                f"known: its quality was not judged. {self.reason}"
            )
        as_far = ", as far as could be seen," if self.blind else ""
        return f"{always}, and{as_far} for a first look at {moving}.{self._unseen()}"

    def _unseen(self) -> str:
        if not self.blind:
            return ""
        seen = [f"in {NAMES[each.what]} from {each.found} on" for each in self.blind if each.found[0].isdigit()]
        hidden = [NAMES[each.what] for each in self.blind if not each.found[0].isdigit()]
        told = [f"only large differences could be found: {', '.join(seen)}"] if seen else []
        told += [f"none at all could be found in {' and '.join(hidden)}"] if hidden else []
        return f" The noise is large beside so few participants: {'; '.join(told)}."


def not_judged(reason: str) -> Quality:
    """That nothing was paid for which a release could be judged by."""
    return Quality(verdict="not judged", reason=reason)


def judge(measured: Measured, release: Participants, copies: Sequence[Participants] = ()) -> Quality:
    """Compare a release with what was measured, and its copies together: one alone has a draw of the noise in it.

    Args:
        measured: what was bought.
        release: synthetic participants, under the schema that participants were measured under.
        copies: of the release, if any.
    """
    judged: dict[Whose, Participants] = {"release": release}
    if copies:
        judged["copies"] = Participants.in_equal_shares(copies)
    compared = {of: [each for each in comparisons(measured, own) if np.isfinite(each.z)] for of, own in judged.items()}
    further = len(judged) * (len(release.schema.all_measures) + len(measured.tables))
    threshold = float(-ndtri(FALSE_ALARMS / 2 / (sum(map(len, compared.values())) + further)))
    for of, people in judged.items():
        alone = {each.column for each in compared[of] if strays(each, threshold)}
        compared[of] += [*associations(measured, people, but=alone), *tables(measured, people, but=alone)]
    every = [(of, each) for of, own in compared.items() for each in own]
    strayed = sorted(((of, each) for of, each in every if strays(each, threshold)), key=lambda pair: -abs(pair[1].z))
    return Quality(
        verdict="failed" if strayed else "passed",
        columns=tuple(dict.fromkeys(each.column for _, each in strayed)),
        findings=tuple(Finding.from_comparison(each, of) for of, each in strayed),
        figures=len(every),
        threshold=round(threshold, 2),
        sight=tuple(_sights([each for _, each in every], threshold)),
        misfit=round(misfit(measured, release)["misfit"], 3),
        tables=pairs_in_tables(measured, release.schema),
        copies=bool(copies),
    )


def strays(each: Comparison, threshold: float) -> bool:
    """Whether a difference is neither chance nor a trifle."""
    if each.what in EXCESSES and each.difference < 0:
        return False
    return abs(each.z) > threshold and abs(each.difference) > least_that_matters(each)


def _found_from(each: Comparison, threshold: float) -> float:
    """From which difference on a figure would have failed.

    Of distances that is what a release has of its own beside what noise explains: their squares add up.
    """
    least = max(threshold * each.sd, least_that_matters(each))
    return least if each.what not in EXCESSES else math.sqrt((each.measured + least) ** 2 - each.measured**2)


def least_that_matters(each: Comparison) -> float:
    """The least difference of a figure that matters."""
    if each.what == "difference" and "share" in each.detail:
        return SHARES_OF_CLASSES
    return least_of(each.what)


def in_units(what: What, difference: float) -> str:
    """A difference of a kind of figure, with its unit where it has one."""
    return f"{difference:.2g}{' standard deviations' if what in IN_DEVIATIONS else ''}"


def least_of(what: What) -> float:
    """The least difference of a kind of figure that matters."""
    return MATTERS[what]


def _sights(compared: Sequence[Comparison], threshold: float) -> Iterable[Sight]:
    for what in MATTERS:
        own = [each for each in compared if each.what == what]
        if own:
            from_here = float(np.median([_found_from(each, threshold) for each in own]))
            furthest = max(max(each.z, 0.0) if what in EXCESSES else abs(each.z) for each in own)
            yield Sight(what=what, figures=len(own), furthest=round(furthest, 2), found_from=round(from_here, 3))
