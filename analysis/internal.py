"""What only the data steward may see: figures and scores computed from real participants.

Opened after the release is sealed; nothing here flows back into it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from analysis.figures import REAL_SHOWN, Panel, figures, median_table
from analysis.release import figure_names
from analysis.reports.blocks import Report
from analysis.reports.pictures import Shown
from analysis.selection import Selection
from analysis.survival import FollowUp, survival_table
from analysis.survival_figure import survival_figure
from analysis.transfer import Transfer
from cohorts import LoadReport, Participants, storage

WARNING_FILE = "DO_NOT_PUBLISH.txt"
WARNING = (
    "The files in this folder were computed from real participants without noise. No privacy statement covers\n"
    "them or anyone who has seen them. Do not publish them, and do not use them to choose what is published.\n"
)


def write_transfer(internal: Path, transfer: Transfer) -> None:
    """Write the transfer table as transfer.json and transfer.csv."""
    prepare(internal)
    text = json.dumps(transfer.as_json(), indent=2, allow_nan=False)
    storage.write_text(internal / "transfer.json", text + "\n")
    storage.write_text(internal / "transfer.csv", transfer.as_frame().to_csv(index=False))


def write_loading(internal: Path, report: LoadReport) -> None:
    """Write how many participants each loading rule dropped, as participants.json."""
    prepare(internal)
    storage.write_text(internal / "participants.json", json.dumps(asdict(report), indent=2) + "\n")


def write_figures(internal: Path, panels: Sequence[Panel], real: Participants, study: str) -> None:
    """Write every measure's figure with real participants, and the numbers behind them as medians.csv."""
    prepare(internal)
    note = f"Study {study}. {REAL_SHOWN}"
    pictures = figures(panels, real, note)
    for measure, name in figure_names(pictures, "internal").items():
        storage.write_bytes(internal / name, pictures[measure])
    storage.write_text(internal / "medians.csv", median_table(panels, real).to_csv(index=False))


def write_survival(internal: Path, shown: Shown, real: Participants, study: str) -> None:
    """Where the label is a time to an event, write curves of the release beside the real ones, and their table."""
    ours, theirs = FollowUp.of(shown.release), FollowUp.of(real)
    if ours is None or theirs is None:
        return
    prepare(internal)
    note = f"Study {study}. {REAL_SHOWN}"
    storage.write_bytes(internal / "survival-internal.png", survival_figure(ours, theirs, note))
    table = pd.concat([survival_table({"real": theirs}), shown.survival])
    storage.write_text(internal / "survival.csv", table.to_csv(index=False, float_format="%.4g"))


def write_selection(internal: Path, selection: Selection) -> None:
    """Write the picked epochs with their scores and hyperparameters as selection.csv."""
    prepare(internal)
    rows = [
        {
            "selected_by": pick.selected_by,
            "trial": pick.epoch.trial_id,
            "epoch": pick.epoch.epoch,
            "epsilon": pick.epoch.epsilon,
            **pick.epoch.scores,
            **pick.epoch.config,
        }
        for pick in selection.picks
    ]
    storage.write_text(internal / "selection.csv", pd.DataFrame(rows).to_csv(index=False))


def write_report(internal: Path, report: Report) -> None:
    """Write the report as report.html, and its numbers as report.json."""
    prepare(internal)
    storage.write_text(internal / "report.html", report.as_html())
    storage.write_text(internal / "report.json", json.dumps(report.as_json(), indent=2, allow_nan=False) + "\n")


def prepare(internal: Path) -> None:
    """Make the folder, with its warning."""
    internal.mkdir(exist_ok=True)
    if not (internal / WARNING_FILE).exists():
        storage.write_text(internal / WARNING_FILE, WARNING)
