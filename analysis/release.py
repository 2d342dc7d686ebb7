"""The release: what may be published, made without opening the trial's files.

The directory appears whole or not at all, with a manifest that gives every other file's checksum. Its data and
figures carry the policy's marking in their file names, so that a file that is passed on alone still says what its
search was. Nothing in it depends on the clock after the search was declared, and all its files have the same time:
how long a search took can tell what its statement keeps secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
import yaml
from pydantic import BaseModel, ConfigDict

from analysis.dataset.describe import describe
from analysis.dataset.sums import SUMS_FILE, file_names, sha256, write_sums
from analysis.datasheet import datasheet, schema_file_name, survival_file
from analysis.figures import Panel, figures
from analysis.quality.estimates import Estimate, as_frame
from analysis.quality.gate import Quality
from analysis.reports.blocks import Report
from analysis.reports.public import PAID_FOR_FILE
from analysis.study import StudyDirectory, StudySettings
from analysis.survival import FollowUp
from analysis.survival_figure import survival_figure
from cohorts import Participants, Schema, load_participants, write_cohort, write_copies
from cohorts.storage import replaced_directory
from privacy.accounting.events import json_number
from privacy.ledger.commitment import digest_of
from privacy.statements.events import CHECK_SCRIPT
from privacy.statements.sections import CHECK_FILE, EVENTS_FILE
from privacy.statements.statement import Statement
from privacy.versions import installed_versions

MANIFEST_FILE = "manifest.json"
STATEMENT_FILE = "privacy_statement.md"
STATEMENT_JSON = "privacy_statement.json"
DATASHEET_FILE = "README.md"
REPORT_FILE, REPORT_JSON = "report.html", "report.json"
PACKAGES = ("dpgan-tune", "dp-accounting", "numpy", "opacus", "optuna", "pandas", "ray", "scikit-learn", "torch")
FILE_TIME_S = 315532800  # of every file: the beginning of 1980, the earliest that zip archives know


@dataclass(frozen=True)
class Judged:
    """The trial and the release, by what was paid for.

    Args:
        quality: what the gate found.
        estimates: the paid-for table; empty where nothing was measured.
        report: for people.
        survival: table of what becomes of participants; None where the label is no time to an event.
    """

    quality: Quality
    estimates: Sequence[Estimate]
    report: Report
    survival: pd.DataFrame | None = None


class ReleasedFile(BaseModel):
    """A file of the release.

    Args:
        path: relative to the release.
        rows: rows of a table, without its header; None for anything else.
        bytes: size.
        sha256: checksum, hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    rows: int | None
    bytes: int
    sha256: str


class Drawn(BaseModel):
    """Participants that were drawn beside the release, from what it was drawn from.

    Args:
        number: which draw of the study it is, from 1.
        group: class that all of them are of; None where all classes were drawn.
        seed: by which they can be drawn again; None where random numbers came from the operating system.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    group: str | None
    seed: int | None


class Manifest(BaseModel):
    """What the release is, for machines.

    Args:
        study: the study's name.
        cohort: the cohort's name.
        policy: what the search was charged by.
        epsilon: as stated; the word ``infinity`` where there is no guarantee.
        delta: the delta of every epsilon.
        winning_run_epsilon: largest epsilon of a single chosen trial's training; likewise.
        ledger: receipt of the cohort's ledger that the release was made from.
        participants: synthetic participants, a public number.
        copies: sets of as many participants, for intervals; 0 where there are none.
        generators: different epochs that were picked; each pick gives an equal share of the participants.
        chosen_trials: trials that the picked epochs come from.
        files: every other file of the release, but the checksums.
        statement: the privacy statement, whole.
        quality: how far the release is from what was measured; None in a release of an earlier version, and in a draw.
        versions: of the packages that made the release.
        begun: day on which the study began; nothing here says when it ended.
        drawn: where more participants were drawn beside the release, which.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    cohort: str
    policy: str
    epsilon: float | str
    delta: float
    winning_run_epsilon: float | str
    ledger: str
    participants: int
    copies: int = 0
    generators: int
    chosen_trials: int
    files: tuple[ReleasedFile, ...]
    statement: str
    quality: Quality | None = None
    versions: dict[str, str]
    begun: date
    drawn: Drawn | None = None

    @classmethod
    def of(cls, folder: Path, settings: StudySettings, statement: Statement, participants: int, **own: Any) -> Manifest:
        """Of a folder that is written but for its manifest and checksums.

        Args:
            folder: where everything else lies.
            settings: what the study was asked to do.
            statement: its privacy statement.
            participants: synthetic participants.
            own: fields that only some manifests have.
        """
        return cls(
            study=settings.study,
            cohort=statement.cohort,
            policy=settings.policy,
            epsilon=json_number(statement.epsilon),
            delta=statement.delta,
            winning_run_epsilon=json_number(statement.winning_run_epsilon),
            ledger=statement.receipt,
            participants=participants,
            generators=statement.chosen_epochs,
            chosen_trials=statement.chosen_trials,
            files=described_files(folder),
            statement=statement.text(),
            versions=installed_versions(PACKAGES),
            begun=settings.created.date(),
            **own,
        )


def write_release(
    directory: StudyDirectory,
    settings: StudySettings,
    marking: str,
    statement: Statement,
    judged: Judged,
    ensemble: Participants,
    panels: Sequence[Panel],
    seal: Callable[[str], None],
    copies: Sequence[Participants] = (),
) -> Manifest:
    """Write the release, in place of an older one, and seal it with its checksums.

    Args:
        directory: the study.
        settings: what it was asked to do.
        marking: what its files carry in their names.
        statement: of privacy, from a ledger that holds; without one there is no release.
        judged: what was found by what was paid for.
        ensemble: the synthetic participants to release.
        panels: synthetic participants of the figures.
        seal: is given the digest of the whole release before it appears.
        copies: of the trial, for intervals.

    Returns:
        The manifest, as written.
    """
    schema = released_schema(ensemble.schema, marking)
    with replaced_directory(directory.release) as building:
        synthetic = Participants(schema, ensemble.ids, ensemble.labels, ensemble.values)
        tables = write_cohort(synthetic, building, like=ensemble.schema)
        if copies:
            write_copies([replace(each, schema=schema) for each in copies], building)
        write_schema(schema, building / schema_file_name(marking))
        note = f"Synthetic participants only. Study {settings.study}; read {STATEMENT_FILE} before use."
        pictures = figures(panels, None, note)
        for measure, name in figure_names(pictures, marking).items():
            (building / name).write_bytes(pictures[measure])
        followed = FollowUp.of(synthetic)
        if followed is not None:
            (building / f"survival-{marking}.png").write_bytes(survival_figure(followed, None, note))
        if judged.survival is not None:
            table = judged.survival.to_csv(index=False, float_format="%.4g")
            (building / survival_file(marking)).write_text(table)
        write_statement(building, statement)
        (building / DATASHEET_FILE).write_text(
            datasheet(
                settings,
                marking,
                schema,
                statement,
                judged.quality,
                tables,
                len(copies),
                judged.estimates,
                _shares_drawn(synthetic) if judged.estimates else None,
            )
        )
        (building / REPORT_FILE).write_text(judged.report.as_html())
        (building / REPORT_JSON).write_text(_json(judged.report.as_json()))
        if judged.estimates:
            as_frame(judged.estimates).to_csv(building / PAID_FOR_FILE, index=False)
        describe(building, schema, statement, settings.study, len(ensemble))
        own = {"copies": len(copies), "quality": judged.quality}
        manifest = Manifest.of(building, settings, statement, len(ensemble), **own)
        finish(building, manifest, seal)
    return manifest


def _shares_drawn(release: Participants) -> list[float] | None:
    """Shares of an outcome's classes in a release; of arms the schema says what they are."""
    if release.schema.label.randomised:
        return None
    sizes = np.bincount(release.labels, minlength=len(release.schema.label.classes))
    shares: list[float] = (sizes / len(release)).tolist()
    return shares


def write_statement(folder: Path, statement: Statement) -> None:
    """Write the privacy statement, and what anyone needs to compute its epsilon again."""
    (folder / STATEMENT_FILE).write_text(statement.text() + "\n")
    (folder / STATEMENT_JSON).write_text(_json(statement.as_json()))
    (folder / EVENTS_FILE).write_text(_json(statement.events()))
    (folder / CHECK_FILE).write_text(CHECK_SCRIPT)


def finish(folder: Path, manifest: Manifest, seal: Callable[[str], None]) -> None:
    """Write manifest and checksums, give all files the same time, and seal them."""
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")
    write_sums(folder)
    for file in (*folder.rglob("*"), folder):
        os.utime(file, (FILE_TIME_S, FILE_TIME_S))
    seal(digest_of(folder))


def read_release(release: Path) -> tuple[Manifest, Participants]:
    """A sealed release's manifest and participants, which belong to nobody."""
    manifest = Manifest.model_validate_json((release / MANIFEST_FILE).read_bytes())
    (schema_file,) = release.glob("schema-*.yaml")
    participants, _ = load_participants(str(schema_file))
    return manifest, participants


def released_schema(schema: Schema, marking: str) -> Schema:
    """The schema of the released files: the trial's own, under the released names.

    It has a name of its own, so a study of the synthetic cohort never meets the real cohort's key or files.
    """
    tables = {table: f"{schema.stem(table)}-{marking}.csv" for table in schema.tables}
    return schema.model_copy(update={"name": f"{schema.name}-synthetic", "tables": tables})


def figure_names(measures: Iterable[str], mark: str) -> dict[str, str]:
    """File name of each measure's figure; no two are the same, in capitals or not.

    Example:
        >>> list(figure_names(["NEUT%", "NEUT#", "neut-"], "synthetic").values())
        ['medians-NEUT--synthetic.png', 'medians-NEUT--2-synthetic.png', 'medians-neut--3-synthetic.png']
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for measure in measures:
        spelled = plain = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in measure)
        number = 1
        while spelled.casefold() in taken:
            number += 1
            spelled = f"{plain}-{number}"
        taken.add(spelled.casefold())
        names[measure] = f"medians-{spelled}-{mark}.png"
    return names


def _json(content: object) -> str:
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def write_schema(schema: Schema, file: Path) -> None:
    """Write the schema of released files as a person would, without what it leaves at its default."""
    content = schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    comment = "# Describes the synthetic files beside it; give it to tuner/run.py as --cohort to load them.\n"
    file.write_text(comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def described_files(folder: Path) -> tuple[ReleasedFile, ...]:
    """Every file of a release but the manifest and the checksums, which are of it."""
    names = [name for name in file_names(folder) if name not in (MANIFEST_FILE, SUMS_FILE)]
    return tuple(
        ReleasedFile(path=name, rows=_rows(file), bytes=file.stat().st_size, sha256=sha256(file))
        for name, file in ((name, folder / name) for name in names)
    )


def _rows(file: Path) -> int | None:
    """How many rows a table has, in whichever format: its Parquet file knows."""
    table = file.with_suffix(".parquet")
    return int(pyarrow.parquet.read_metadata(table).num_rows) if table.exists() else None
