"""One or several finished studies into the page, its figures, and the reader's kit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from analysis import internal
from analysis.build import shown_progress
from analysis.ensemble import generate, random_stream
from analysis.paper.accuracy import accuracy_plate
from analysis.paper.classifying import COMBINED, SUBSETS, Classified, Subsets, classify, count_of_models, in_subsets
from analysis.paper.components import component_plate
from analysis.paper.correlation import correlation_plate, likeness
from analysis.paper.deltas import delta_plate, deltas_of
from analysis.paper.losses import loss_plate, losses_of
from analysis.paper.medians import Shown, median_plates
from analysis.paper.page import Numbers, Plates, page
from analysis.paper.ranks import rank_plate
from analysis.paper.reader import PLOTS, can_be_judged, write_kit
from analysis.paper.series import Chosen, Series, draw, series_of, shown_epochs
from analysis.paper.times import visit_times
from analysis.paper.weighing import weight_plate
from analysis.reports.blocks import Report
from analysis.selection import picker_titles
from analysis.steward import OpenedCohort, open_for_steward
from analysis.study import StudyDirectory
from cohorts import Participants, storage

PAGE_FILE, NUMBERS_FILE, FOLDER, KIT = "index.html", "numbers.json", "paper", "reader"
MOST_IN_SUBSET = 5000
"""Of the paper's notebook."""


@dataclass(frozen=True)
class Drawn:
    """All synthetic participants of the page; no real one is read to make them.

    Args:
        singles: by series, of the epochs of figure 2 A to C.
        subsets: by series and selection.
        chosen: by series, which epochs the singles are of.
    """

    singles: Mapping[str, Mapping[str, Participants]]
    subsets: Mapping[str, Mapping[str, Subsets]]
    chosen: Mapping[str, Mapping[str, Chosen]]

    @property
    def combined(self) -> dict[str, Participants]:
        """Of all picked epochs, by series."""
        return {name: Participants.together(own[COMBINED]) for name, own in self.subsets.items()}


def build_page(directories: Sequence[StudyDirectory], console: Console, in_subset: int | None = None) -> Path:
    """Make the page of some studies of one cohort, in the folder of the first of them.

    That of a private cohort is internal, and so are its figures and the kit: they show real participants without noise.
    That somebody looks is written into the cohort's ledger first, as with every internal report.

    Args:
        directories: finished studies whose releases are sealed.
        console: where progress is shown.
        in_subset: synthetic participants of each of the ten subsets; by default the schema's nominal size, at most as
            many as in the paper.

    Returns:
        The page.

    Raises:
        AnalysisError: a study cannot be read, has no sealed release, or they do not go together.
        CohortError: the cohort's schema or files cannot be read.
        LedgerError: a ledger is missing, damaged, or not what the study was told.
    """
    with shown_progress(console) as progress:
        task = progress.add_task("Reading studies", total=None)
        series = series_of(directories)
        first, schema = series[0], series[0].schema
        progress.update(task, description="Generating participants")
        randomness = random_stream(first.settings.seed)
        drawn = _draw(series, min(schema.nominal_size, in_subset or MOST_IN_SUBSET), randomness)
        where = StudyDirectory(directories[0].path)
        opened = open_for_steward(where, where.settings(), "figures of the paper, and a blinded reader's kit")
        progress.update(task, total=1, completed=1, description="Participants generated")
        classified = _classified(opened, drawn, first.settings.seed or 0, progress)
        progress.add_task("Drawing figures", total=None)
        found = Numbers(likeness(opened.everybody, drawn.combined), classified)
        plates = _plates(series, drawn, opened, found)
        folder = folder_of(where, public=schema.public)
        command = f"python -m analysis paper {' '.join(str(each.path) for each in directories)}"
        command += f" --participants {in_subset}" if in_subset else ""
        judged = series[-1]
        report = page(series, visit_times(schema), plates, found, command, _on_kit(folder, judged))
        _write(folder, report, plates, opened.everybody, drawn.combined[judged.name], first.settings.seed)
    return folder / PAGE_FILE


def folder_of(directory: StudyDirectory, public: bool) -> Path:
    """Where a study's page lies: in its internal folder unless the cohort is public."""
    return (directory.path if public else directory.internal) / FOLDER


def _draw(series: Sequence[Series], in_subset: int, randomness: torch.Generator) -> Drawn:
    singles, subsets, chosen = {}, {}, {}
    for each in series:
        shown = shown_epochs(each)
        wanted = {key: one.epoch for key, one in shown.items() if one.epoch is not None}
        chosen[each.name] = shown
        singles[each.name] = {key: generate(one, in_subset, each.schema, randomness) for key, one in wanted.items()}
        picks = {COMBINED: each.picked} | {name: (best,) for name, best in each.selection.best.items()}
        subsets[each.name] = {
            key: in_subsets(draw(epochs, SUBSETS * in_subset, each.schema, randomness)) for key, epochs in picks.items()
        }
    return Drawn(singles, subsets, chosen)


def _classified(opened: OpenedCohort, drawn: Drawn, seed: int, progress: Progress) -> dict[str, Classified]:
    train, test = opened.splits.train, opened.splits.test
    classes = len(test.schema.label.classes)
    if classes < 2 or min(len(np.unique(each.labels)) for each in (train, test)) < classes:
        return {}
    task = progress.add_task("Testing on real participants", total=count_of_models(len(drawn.subsets)))
    return classify(train, test, drawn.subsets, seed, lambda: progress.advance(task))


def _plates(series: Sequence[Series], drawn: Drawn, opened: OpenedCohort, found: Numbers) -> Plates:
    names, real, combined = [each.name for each in series], opened.everybody, drawn.combined
    losses = {each.name: losses_of(each) for each in series}
    with_losses = [each for each in series if losses[each.name]]
    deltas = [each for each in map(deltas_of, series) if each is not None]
    classifying = []
    if found.classified:
        weights = weight_plate(found.classified, real.schema, names)
        classifying = [accuracy_plate(found.classified, opened.splits.test, names), *([weights] if weights else [])]
    return Plates(
        losses=loss_plate(with_losses, [losses[each.name] for each in with_losses]) if with_losses else None,
        medians=median_plates(_shown(drawn, names), real, names),
        correlations=correlation_plate(real, combined, found.likeness),
        classifying=classifying,
        deltas=delta_plate(deltas) if deltas else None,
        ranks=rank_plate(series),
        components=component_plate(real, combined),
    )


def _shown(drawn: Drawn, names: Sequence[str]) -> list[Shown]:
    """The panels of figure 2; one for which no series has an epoch left is not drawn."""
    titles = {"last": "last epoch of the best trial"}
    titles |= {name: f"best epoch by {title}" for name, title in picker_titles().items()}
    panels = []
    for key, title in titles.items():
        cohorts = {name: own[key] for name, own in drawn.singles.items() if key in own}
        ranks = {name: drawn.chosen[name][key].rank for name in cohorts}
        later = ", ".join(f"{name}: rank {rank}" for name, rank in ranks.items() if rank > 1)
        if cohorts:
            panels.append(Shown(f"{title} ({later})" if later else title, cohorts))
    return [*panels, Shown("all picked epochs", drawn.combined)]


def _on_kit(folder: Path, judged: Series) -> str:
    if not can_be_judged(judged.schema):
        return "There is no kit: no number is measured at two visits or more."
    kept = (
        "The kit that was there stays as it is, since a reader may have it" if (folder / KIT).exists() else "It is new"
    )
    return (
        f"{KIT}/ beside this page holds {PLOTS} plots of single participants, half of them real and half of the series "
        f"{judged.name}, for somebody who may see real participants and does not know which is which. Hand over "
        f"{KIT}/for-the-reader alone, keep {KIT}/key.csv, put the sheet back when it is filled in, and run: python -m "
        f"analysis score {folder / KIT}. {kept}."
    )


def _write(
    folder: Path, report: Report, plates: Plates, real: Participants, judged: Participants, seed: int | None
) -> None:
    if not real.schema.public:
        internal.prepare(folder.parent)
    with storage.replaced_directory(folder) as building:
        for plate in plates.all:
            plate.write(building)
        (building / PAGE_FILE).write_text(report.as_html())
        (building / NUMBERS_FILE).write_text(json.dumps(report.as_json(), indent=2, allow_nan=False) + "\n")
        if (folder / KIT).exists():
            shutil.copytree(folder / KIT, building / KIT)
        elif can_be_judged(real.schema):
            write_kit(building / KIT, real, judged, np.random.default_rng(seed))
