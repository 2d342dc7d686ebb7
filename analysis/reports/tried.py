"""What was tried side by side, at the same total epsilon: the best epoch of every trial, and a baseline for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.epochs import ScoredEpoch
from analysis.failures import Failures
from analysis.quality.gate import judge
from analysis.reports.blocks import Section, Table
from analysis.reports.numbers import number
from analysis.selection import Selection
from cohorts import Participants
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.misfit import misfit
from trainables.candidate import CANDIDATE
from trainables.scoring import steering

MOST_TRIALS = 20
ABOUT_MISFIT = (
    " A misfit of 1 is what noise alone makes; far above it a generator did not learn, and below it "
    "one follows the noise as well."
)


@dataclass(frozen=True)
class Baseline:
    """Another way from the same measurements to participants.

    Args:
        name: in words.
        misfit: mean square of its differences from what was measured, in standard errors.
        strayed: how many of its figures the gate would fail.
    """

    name: str
    misfit: float
    strayed: int

    @classmethod
    def of(cls, name: str, measured: Measured, people: Participants) -> Baseline:
        """Of its participants."""
        return cls(name, misfit(measured, people)["misfit"], len(judge(measured, people).findings))


@dataclass(frozen=True)
class Tried:
    """What was tried.

    Args:
        epochs: every scored epoch whose scores may be published.
        selection: those that were picked.
        failures: of trials, which then have no further epochs.
        baselines: of the release itself and of what else could have been made of the measurements.
    """

    epochs: Sequence[ScoredEpoch]
    selection: Selection
    failures: Failures
    baselines: Sequence[Baseline] = ()


def gaussian_baseline(measured: Measured, release: Participants) -> Participants:
    """As many participants from a Gaussian in each class with the moments that were measured; reads nobody."""
    return measured.draw(release.schema, len(release), np.random.default_rng(0))


def tried_section(tried: Tried) -> Section:
    """The section of a report."""
    best: dict[str, ScoredEpoch] = {}
    for each in tried.epochs:
        if each.trial_id not in best or _score(each) > _score(best[each.trial_id]):
            best[each.trial_id] = each
    picks = [pick.epoch.trial_id for pick in tried.selection.picks]
    ranked = sorted(best.values(), key=lambda each: (-_score(each), each.trial_id))
    aucs = {
        each.score.name: f"AUC, {each.title}"
        for each in steering().values()
        if any(each.score.name in epoch.scores for epoch in ranked)
    }
    measures_misfit = any("misfit" in each.scores for each in ranked)
    columns = ("trial", "candidate", "best epoch", "score", *aucs.values(), *(["misfit"] if measures_misfit else []))
    rows = [
        (
            each.trial_id,
            str(each.config[CANDIDATE]),
            str(each.epoch),
            number(_score(each), 3),
            *(f"{each.scores[name]:.3f}" for name in aucs),
            *([f"{each.scores.get('misfit', np.nan):.2f}"] if measures_misfit else []),
            f"{picks.count(each.trial_id)} of {len(picks)}" if each.trial_id in picks else "not chosen",
        )
        for each in ranked[:MOST_TRIALS]
    ]
    more = f", the best {MOST_TRIALS} of {len(ranked)}" if len(ranked) > MOST_TRIALS else ""
    blocks = [
        Table(
            f"Trials of the search{more}",
            (*columns, "shares of the release"),
            rows,
            f"All had the same budget, which covers them together.{_lost(tried.failures)} The trials at the top "
            "should be hardly apart: then "
            f"another search would have found as good a release.{ABOUT_MISFIT if measures_misfit else ''}",
        )
    ]
    if tried.baselines:
        rows = [(each.name, f"{each.misfit:.2f}", str(each.strayed)) for each in tried.baselines]
        look_for = (
            "The release should have the least misfit and no figure that strays; otherwise the search was not worth it."
        )
        blocks.append(Table("Made from the same measurements", ("", "misfit", "figures that stray"), rows, look_for))
    return Section("What was tried", (), tuple(blocks))


def _lost(failures: Failures) -> str:
    """Which trials are not there, or not to their end."""
    if not failures.failed:
        return ""
    return f" {failures.failed} of {failures.ended} trials failed for good, and are there with what they had reached."


def _score(epoch: ScoredEpoch) -> float:
    if "score" in epoch.scores:
        return float(epoch.scores["score"])
    aucs = [epoch.scores[each.score.name] for each in steering().values()]
    return float(sum(aucs) / len(aucs))
