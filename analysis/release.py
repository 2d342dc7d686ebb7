"""The release: what may be published, made without opening the trial's files.

The directory appears whole or not at all, with a manifest that gives every other file's checksum. Its data and
figures carry the policy's name in their file names while the policy leaves the search unaccounted, so that a
file that is passed on alone still says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict

from analysis.datasheet import Statement, datasheet, marking, schema_file_name
from analysis.figures import Panel, figures
from analysis.selection import Selection
from analysis.study import StudyDirectory, StudySettings
from cohorts import Participants, Schema, write_cohort
from cohorts.storage import replaced_directory
from privacy.ledger.summary import Summary, epsilon_of_study
from privacy.statements.declared_budget import DeclaredBudget
from privacy.statements.unaccounted_search import UnaccountedSearch
from privacy.versions import installed_versions

MANIFEST_FILE = "manifest.json"
STATEMENT_FILE = "privacy_statement.md"
STATEMENT_JSON = "privacy_statement.json"
DATASHEET_FILE = "README.md"
PACKAGES = ("dpgan-tune", "dp-accounting", "numpy", "opacus", "optuna", "pandas", "ray", "scikit-learn", "torch")


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


class Manifest(BaseModel):
    """What the release is, for machines.

    Args:
        study: the study's name.
        cohort: the cohort's name.
        policy: what the search was charged by.
        epsilon: as declared; under `unaccounted` of the training of all chosen trials together, None where one of
            them adds no noise.
        delta: the delta of every epsilon.
        winning_run_epsilon: largest epsilon of a single chosen trial's training; None likewise.
        ledger: receipt of the cohort's ledger that the release was made from.
        participants: synthetic participants, a public number.
        generators: picked epochs, each giving an equal share of the participants.
        chosen_trials: trials that the picked epochs come from.
        files: every other file of the release.
        statement: the privacy statement, whole.
        versions: of the packages that made the release.
        created: when it was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    cohort: str
    policy: str
    epsilon: float | None
    delta: float
    winning_run_epsilon: float | None
    ledger: str
    participants: int
    generators: int
    chosen_trials: int
    files: tuple[ReleasedFile, ...]
    statement: str
    versions: dict[str, str]
    created: datetime


def write_release(
    directory: StudyDirectory,
    settings: StudySettings,
    spent: Summary,
    selection: Selection,
    ensemble: Participants,
    panels: Sequence[Panel],
) -> Manifest:
    """Write the release, in place of an older one, and seal it with its checksums.

    Args:
        directory: the study.
        settings: what it was asked to do.
        spent: the verified ledger's figures; without a ledger that holds there is no release.
        selection: the picked epochs and what their trials' training costs.
        ensemble: the synthetic participants to release.
        panels: synthetic participants of the figures.

    Returns:
        The manifest, as written.
    """
    statement = _statement(directory, settings, spent, selection, ensemble.schema)
    schema = released_schema(ensemble.schema, settings.policy)
    with replaced_directory(directory.release) as building:
        write_cohort(Participants(schema, ensemble.ids, ensemble.labels, ensemble.values), building)
        _write_schema(schema, building / schema_file_name(settings.policy))
        note = f"Synthetic participants only. Study {settings.study}; read {STATEMENT_FILE} before use."
        for measure, picture in figures(panels, None, note).items():
            (building / figure_name(measure, marking(settings.policy))).write_bytes(picture)
        (building / STATEMENT_FILE).write_text(statement.text() + "\n")
        (building / STATEMENT_JSON).write_text(json.dumps(statement.as_json(), indent=2, allow_nan=False) + "\n")
        (building / DATASHEET_FILE).write_text(datasheet(settings, schema, statement))
        manifest = Manifest(
            study=settings.study,
            cohort=statement.cohort,
            policy=settings.policy,
            epsilon=_stated(statement.epsilon),
            delta=statement.delta,
            winning_run_epsilon=_stated(statement.winning_run_epsilon),
            ledger=statement.receipt,
            participants=len(ensemble),
            generators=statement.chosen_epochs,
            chosen_trials=statement.chosen_trials,
            files=tuple(_described(file, building) for file in sorted(building.iterdir())),
            statement=statement.text(),
            versions=installed_versions(PACKAGES),
            created=datetime.now(UTC),
        )
        (building / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _statement(
    directory: StudyDirectory, settings: StudySettings, spent: Summary, selection: Selection, schema: Schema
) -> Statement:
    if settings.policy != "unaccounted":
        return DeclaredBudget.of(
            spent,
            directory.declared_plan(),
            chosen_trials=len(selection.trials_to_pay),
            chosen_epochs=len({(pick.epoch.trial_id, pick.epoch.epoch) for pick in selection.picks}),
            winning_run_epsilon=selection.winning_run_epsilon(settings.delta),
            nominal_size=schema.nominal_size,
        )
    return UnaccountedSearch(
        study=settings.study,
        cohort=schema.name,
        public_cohort=schema.public,
        trials=settings.trials,
        chosen_trials=len(selection.trials_to_pay),
        chosen_epochs=len(selection.picks),
        epsilon=selection.epsilon(settings.delta),
        winning_run_epsilon=selection.winning_run_epsilon(settings.delta),
        all_trials_epsilon=epsilon_of_study(spent, settings.study, "train", settings.delta),
        earlier_studies=len({entry.study for entry in spent.entries} - {settings.study, None}),
        receipt=str(spent.receipt),
        delta=settings.delta,
        shares=(settings.shares.train, settings.shares.validation, settings.shares.test),
        nominal_size=schema.nominal_size,
    )


def released_schema(schema: Schema, policy: str) -> Schema:
    """The schema of the released files: the trial's own, under the released names.

    It has a name of its own, so a study of the synthetic cohort never meets the real cohort's key or files.
    """
    tables = {table: f"{schema.stem(table)}-{marking(policy)}.csv" for table in schema.tables}
    return schema.model_copy(update={"name": f"{schema.name}-synthetic", "tables": tables})


def figure_name(measure: str, mark: str) -> str:
    """File name of a measure's figure."""
    spelled = "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in measure)
    return f"medians-{spelled}-{mark}.png"


def _write_schema(schema: Schema, file: Path) -> None:
    content = schema.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    comment = "# Describes the synthetic files beside it; give it to tuner/run.py as --cohort to load them.\n"
    file.write_text(comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _described(file: Path, root: Path) -> ReleasedFile:
    content = file.read_bytes()
    return ReleasedFile(
        path=file.relative_to(root).as_posix(),
        rows=_rows(file),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _rows(file: Path) -> int | None:
    if file.suffix == ".csv":
        return len(pd.read_csv(file))
    return len(pd.read_parquet(file)) if file.suffix == ".parquet" else None


def _stated(epsilon: float) -> float | None:
    """An epsilon as JSON can hold it: infinity is None."""
    return epsilon if isfinite(epsilon) else None
