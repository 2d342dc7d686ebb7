"""Whether a release is what was published, and its tables are what they are said to be, by its folder alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from analysis.dataset.sums import SUMS_FILE, file_names, read_sums, sha256
from analysis.errors import AnalysisError
from cohorts import CohortError, Participants, Schema
from cohorts.loader import read_participants
from privacy.statements.sections import EVENTS_FILE

if TYPE_CHECKING:
    from analysis.release import Manifest

MOST_NAMED = 5


@dataclass(frozen=True)
class Verified:
    """A release that holds.

    Args:
        folder: where it lies.
        manifest: what it says of itself.
        files: how many, the checksums' own included.
    """

    folder: Path
    manifest: Manifest
    files: int


def verify_release(folder: Path) -> Verified:
    """Check a release: that its files are those that were published, none is missing and none is left over; that the
    manifest and the privacy statement say the same; that CSV and Parquet hold the same participants, as many as stated,
    who keep to the schema.

    Args:
        folder: a release, or a study that has one.

    Raises:
        AnalysisError: something does not hold; one paragraph that says what, where, and what to do.
    """
    folder = _release_of(folder)
    _check_sums(folder)
    manifest = _manifest(folder)
    _check_tables(folder, manifest)
    return Verified(folder, manifest, len(file_names(folder)))


def _release_of(folder: Path) -> Path:
    """The folder, or the release in it where it is a study's."""
    from analysis.release import MANIFEST_FILE  # here, so that --help need not wait for PyTorch

    for place in (folder, folder / "release"):
        if (place / MANIFEST_FILE).is_file():
            return place
    problem = "it is a file, not a folder" if folder.is_file() else f"it holds no {MANIFEST_FILE}"
    raise AnalysisError(
        f"There is no release at {folder}: {problem}. Give the folder that was published, with all "
        "its files, or a study's, such as results/NAME."
    )


def _check_sums(folder: Path) -> None:
    stated, found = read_sums(folder), set(file_names(folder)) - {SUMS_FILE}
    again = f"Fetch the whole folder again from where it was published; do not use these files before {SUMS_FILE} fits."
    missing = sorted(stated.keys() - found)
    if missing:
        raise AnalysisError(f"{folder} lacks {_named(missing)}, which {SUMS_FILE} lists. {again}")
    left_over = sorted(found - stated.keys())
    if left_over:
        raise AnalysisError(
            f"{folder} holds {_named(left_over)}, which no release wrote there: {SUMS_FILE} does not list it. Remove "
            "it, and do not take it for a part of the release."
        )
    changed = [name for name in sorted(stated) if sha256(folder / name) != stated[name]]
    if changed:
        raise AnalysisError(f"{folder}: {_named(changed)} is not as it was published, by {SUMS_FILE}. {again}")


def _manifest(folder: Path) -> Manifest:
    """What the release says of itself, where that agrees with its files."""
    from analysis.release import MANIFEST_FILE, Manifest, described_files

    file = folder / MANIFEST_FILE
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise AnalysisError(
            f"{file} is not a manifest that this version of dpgan-tune knows ({error.error_count()} of its fields are "
            "wrong). Verify the release with the version that made it."
        ) from None
    stated, found = {each.path: each for each in manifest.files}, {each.path: each for each in described_files(folder)}
    differing = sorted(name for name in stated.keys() | found.keys() if stated.get(name) != found.get(name))
    if differing:
        raise AnalysisError(
            f"{file} says something else of {_named(differing)} than the files do: it lists rows, size and checksum of "
            "every file. The release was edited, or put together from several; fetch it again."
        )
    _check_statement(folder, manifest)
    return manifest


def _check_statement(folder: Path, manifest: Manifest) -> None:
    """That the privacy statement and its figures are those that the manifest has."""
    from analysis.release import MANIFEST_FILE, STATEMENT_FILE, STATEMENT_JSON

    said, statement = f"{manifest.statement}\n".encode(), folder / STATEMENT_FILE
    told = [] if statement.is_file() and statement.read_bytes() == said else [STATEMENT_FILE]
    for name in (STATEMENT_JSON, EVENTS_FILE):
        if _figures(folder / name) != (manifest.epsilon, manifest.delta):
            told.append(name)
    if told:
        raise AnalysisError(
            f"{folder}: {_named(told)} states something else than {MANIFEST_FILE} does, where epsilon is "
            f"{manifest.epsilon} at delta {manifest.delta:g}. One of them was edited, so do not rely on any; fetch the "
            "release again."
        )


def _figures(file: Path) -> tuple[object, object] | None:
    """Epsilon and delta in a file of figures; None where it holds none."""
    try:
        figures = json.loads(file.read_bytes())
        return figures["epsilon"], figures["delta"]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _check_tables(folder: Path, manifest: Manifest) -> None:
    """Load the tables as anyone who was given them would."""
    (file,) = folder.glob("schema-*.yaml")
    schema = Schema.load(file)
    as_csv, as_parquet = (_participants(schema, folder, ending) for ending in (".csv", ".parquet"))
    if len(as_csv) != manifest.participants:
        raise AnalysisError(
            f"{folder} holds {len(as_csv):,} complete participants and {manifest.participants:,} were published. The "
            f"tables do not keep to {file.name}; fetch them again."
        )
    if not _same(as_csv, as_parquet):
        raise AnalysisError(
            f"The CSV and the Parquet files in {folder} do not hold the same participants, although both should be "
            "the same tables. Fetch them again."
        )
    if not np.allclose(schema.constrained().kept(as_csv.values), as_csv.values, equal_nan=True, rtol=1e-6):
        raise AnalysisError(
            f"Not every participant in {folder} keeps to the constraints in {file.name}, which are said to be true of "
            "all. Fetch the tables again."
        )


def _participants(schema: Schema, folder: Path, ending: str) -> Participants:
    tables = {table: f"{schema.stem(table)}{ending}" for table in schema.tables}
    try:
        people, _ = read_participants(schema.model_copy(update={"tables": tables}), folder, for_a_study=False)
    except CohortError as error:
        raise AnalysisError(f"A table does not keep to the release's schema: {error}") from None
    return replace(people, schema=schema)


def _same(one: Participants, other: Participants) -> bool:
    return (
        np.array_equal(one.ids, other.ids)
        and np.array_equal(one.labels, other.labels)
        and np.allclose(one.values, other.values, equal_nan=True, rtol=1e-6)
    )


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
