"""The page: every figure with what to look for, and what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.paper.accuracy import accuracy_table
from analysis.paper.classifying import COMBINED, SUBSETS, Classified
from analysis.paper.correlation import Likeness
from analysis.paper.plates import Plate
from analysis.paper.series import NON_PRIVATE, Series
from analysis.paper.times import VisitTimes
from analysis.reports.blocks import Report, Section, Table
from analysis.reports.internal import BANNER
from trainables.candidate import CANDIDATE

SOURCE = "Beaulieu-Jones et al. 2019 (Circ Cardiovasc Qual Outcomes 12:e005122)"
THE_PAPERS = {
    "trials": "1",
    "scored epochs": "500",
    "picked epochs": "10",
    "network": "paper",
    "noise multiplier": "1",
    "clip norm": "0.0001",
    "generator learning rate": "2e-05",
    "discriminator learning rate": "2e-05",
    "participants in a batch, about": "1",
}
"""Its private run: dp_gan.py --noise 1 --clip_value 0.0001 --epochs 500 --lr 2e-05 --batch_size 1."""


@dataclass(frozen=True)
class Plates:
    """Every figure of the page.

    Args:
        losses: figure 1 D and E; None where no study wrote its losses.
        medians: figure 2, by measure.
        correlations: figure 3.
        classifying: figure 4; empty where nothing is predicted.
        deltas: figure 5; None where nothing was trained with noise by the epoch.
        ranks: scores of epochs.
        components: principal components.
    """

    losses: Plate | None
    medians: Sequence[Plate]
    correlations: Plate
    classifying: Sequence[Plate]
    deltas: Plate | None
    ranks: Plate
    components: Plate

    @property
    def all(self) -> list[Plate]:
        """In the order of the page."""
        found = [self.losses, *self.medians, self.correlations, *self.classifying, self.deltas, self.ranks]
        return [each for each in (*found, self.components) if each is not None]


@dataclass(frozen=True)
class Numbers:
    """What figures say in numbers. Sensitive.

    Args:
        likeness: of correlations.
        classified: by classifier; empty where nothing is predicted.
    """

    likeness: Likeness
    classified: Mapping[str, Classified]


def page(series: Sequence[Series], times: VisitTimes, plates: Plates, found: Numbers, command: str, kit: str) -> Report:
    """Put the page together.

    Args:
        series: in their order.
        times: of visits.
        plates: its figures.
        found: the numbers behind them.
        command: that made it.
        kit: a sentence on the reader's kit.
    """
    schema = series[0].schema
    names = [each.name for each in series]
    return Report(
        title=f"The figures of the SPRINT paper, for the cohort {schema.name}",
        subtitle=f"{SOURCE}, redone with the epochs of {_studies(series)}. Made by: {command}",
        banner="" if schema.public else BANNER,
        verdict="not judged",
        summary=_summary(found, names),
        sections=[
            _what_is_shown(series, times),
            _section("Figure 1: how training went", [plates.losses], _no_losses(series)),
            _section("Figure 2: medians by visit", plates.medians, _NO_MEDIANS),
            _section("Figure 3: how columns hang together", [plates.correlations], "", _likeness_table(found, names)),
            _section("Figure 4: what classifiers learn", plates.classifying, _NO_LABEL, *_accuracies(found, names)),
            _section("Figure 5: what training costs", [plates.deltas], _NO_DELTAS),
            _section("Supplement: scores of epochs", [plates.ranks], ""),
            _section("Principal components", [plates.components], ""),
            Section("The blinded reader's kit", (kit,)),
        ],
    )


_NO_MEDIANS = "No number is measured at two visits or more, so there are no medians to follow."
_NO_LABEL = (
    "Nothing is predicted: the cohort has no label, or not every class is among the test participants. So there is no "
    "figure 4."
)
_NO_DELTAS = "No trial that is shown was trained on participants with noise, epoch by epoch, so there is no figure 5."


def _no_losses(series: Sequence[Series]) -> str:
    files = dict.fromkeys(str(each.directory.losses) for each in series)
    return (
        f"The losses of both networks are not known: {' or '.join(files)} with those of the best trial is not there. "
        "They are written by python -m trainables.dp_gan and under the policy unaccounted, and by no search with a "
        "budget, since the discriminator's loss on real participants is not paid for."
    )


def _section(title: str, plates: Sequence[Plate | None], otherwise: str, *tables: Table) -> Section:
    found = [each.picture for each in plates if each is not None]
    return Section(title, () if found else (otherwise,), (*found, *tables))


def _studies(series: Sequence[Series]) -> str:
    studies = list(dict.fromkeys(each.settings.study for each in series))
    return f"the stud{'y' if len(studies) == 1 else 'ies'} {', '.join(studies)}"


def _summary(found: Numbers, names: Sequence[str]) -> str:
    alike = found.likeness
    words = [f"{name} {alike.spearman[name]:.3f}" for name in names]
    text = (
        f"Spearman's correlation of the correlations of {alike.pairs:,} pairs, real against synthetic: "
        f"{', '.join(words)}; two halves of the real participants have {alike.halves:.3f}."
    )
    forest = found.classified.get("random_forest")
    if forest is None:
        return text
    words = []
    for name in names:
        accuracies = [each.accuracy for each in forest.by_selection[COMBINED][name]]
        words.append(f"{name} {sum(accuracies) / len(accuracies):.3f}")
    return (
        f"{text} Accuracy of a random forest on real participants, by what it was trained on: real "
        f"{forest.real.accuracy:.3f}, {', '.join(words)}."
    )


def _what_is_shown(series: Sequence[Series], times: VisitTimes) -> Section:
    where = (
        f"Visits stand at their times ({times.axis.lower()})."
        if times.known
        else "The names of this trial's visits do not tell when they were, so visits stand at equal distances; write "
        "them as 12M, W20 or week 4, or use windows, and they stand at their times."
    )
    words = (
        "Real participants are set beside synthetic ones of every series below. A series holds the scored epochs of a "
        "study that were trained with noise (private), or without (non-private). Figure 2 A to C each show one epoch; "
        f"everything else shows participants of all picked epochs together, drawn anew in {SUBSETS} equal subsets, or "
        "what was learned from them.",
        where,
        "What differs from the paper, and its own numbers, stand in docs/paper.md.",
    )
    return Section("What is shown", words, (_series_table(series),))


def _series_table(series: Sequence[Series]) -> Table:
    lines: dict[str, list[str]] = {}
    for each in series:
        last = each.selection.last
        picked = {(epoch.trial_id, epoch.epoch) for epoch in each.picked}
        cells = {
            "study": each.settings.study,
            "policy": each.settings.policy,
            "trials": f"{len({epoch.trial_id for epoch in each.epochs}):,}",
            "scored epochs": f"{len(each.epochs):,}",
            "picked epochs": f"{len(each.picked):,}, of them {len(picked):,} different",
            "best trial": f"{last.trial_id}, {last.epoch:,} epochs",
            "its candidate": str(last.config[CANDIDATE]),
            **_configuration(each),
            "epsilon of its training": _epsilon(each),
        }
        for name, cell in cells.items():
            lines.setdefault(name, [""] * len(series))
            lines[name][series.index(each)] = cell
    rows = [(name, *cells, THE_PAPERS.get(name, "")) for name, cells in lines.items()]
    look_for = (
        "The last column is the run of the paper. Epsilon is that of training the best trial alone; what covers the "
        "whole study stands in its privacy statement."
    )
    return Table("Series", ("", *(each.name for each in series), "the paper"), rows, look_for)


def _configuration(series: Series) -> dict[str, str]:
    """What a GAN was trained with, in the paper's order."""
    config = series.selection.last.config
    if "sampling_rate" not in config:
        return {}
    batch = config["sampling_rate"] * series.schema.nominal_size * series.settings.shares.train
    cells = {name.replace("_", " "): f"{config[name]:g}" for name in _NUMBERS if config.get(name) is not None}
    if not config.get("noise_multiplier"):
        cells["clip norm"] = "not clipped"
    return {"network": str(config.get("network", "")), **cells, "participants in a batch, about": f"{batch:.3g}"}


_NUMBERS = ("noise_multiplier", "clip_norm", "generator_learning_rate", "discriminator_learning_rate")


def _epsilon(series: Series) -> str:
    if not series.private:
        return "none: without noise" if series.name.startswith(NON_PRIVATE) else "none: too little noise"
    if series.selection.last.epsilon == 0:
        return "0: it was trained on what was measured"
    return f"{series.selection.last.epsilon:.3g} (delta {series.settings.delta:g})"


def _likeness_table(found: Numbers, names: Sequence[str]) -> Table:
    alike = found.likeness
    rows = [(f"real, {name}", f"{alike.spearman[name]:.3f}", f"{alike.difference[name]:.3f}") for name in names]
    rows.append(("one half of real, the other", f"{alike.halves:.3f}", f"{alike.halves_difference:.3f}"))
    return Table(
        f"Correlations of {alike.pairs:,} pairs of columns compared",
        ("", "Spearman's correlation", "mean absolute difference"),
        [tuple("unknown" if cell == "nan" else cell for cell in row) for row in rows],
        "The first column should be as near to 1, and the second as near to 0, as those of two halves.",
        vars(alike),
    )


def _accuracies(found: Numbers, names: Sequence[str]) -> Sequence[Table]:
    return (accuracy_table(found.classified, names),) if found.classified else ()
