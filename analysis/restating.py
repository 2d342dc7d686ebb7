"""Licence, citation and publisher of a release, changed after it was sealed. Nothing is drawn for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from analysis.dataset.croissant import CROISSANT_FILE, croissant
from analysis.dataset.describe import citation, licence_section, title
from analysis.errors import AnalysisError
from analysis.release import (
    DATASHEET_FILE,
    MANIFEST_FILE,
    REPORT_FILE,
    REPORT_JSON,
    Manifest,
    described_files,
    finish,
    write_schema,
)
from analysis.reports.blocks import paragraph
from analysis.reports.public import CITING, named, under_licence
from analysis.sealing import STATED, is_sealed, seal, stated_digest, verified_ledger
from analysis.study import StudyDirectory
from cohorts import Schema
from cohorts.publication import Publication
from cohorts.storage import replaced_directory


def restate_publication(directory: StudyDirectory, publication: Publication) -> Manifest:
    """Have a sealed release say another licence, citation or publisher, in all of its files that say them.

    Tables, statement and figures stay to the byte; the ledger keeps that the release was relabelled.

    Args:
        directory: the study.
        publication: what is to be said.

    Returns:
        The release's manifest, with the new checksums.

    Raises:
        AnalysisError: there is no release, or it is not the one that the study sealed.
        LedgerError: the study's record is not found whole in the cohort's own ledger.
    """
    settings = directory.settings()
    _, ledger = verified_ledger(directory, settings, ())
    with closing(ledger):
        if not is_sealed(directory, settings, ledger):
            raise AnalysisError(
                f"{directory.release} is not the release that the study {settings.study} sealed, or there is none. "
                f"Build it first: python -m analysis {directory.path}"
            )
        with replaced_directory(directory.release) as building:
            shutil.copytree(directory.release, building, dirs_exist_ok=True)
            manifest = Manifest.model_validate_json((building / MANIFEST_FILE).read_bytes())
            _restate(building, manifest, publication)
            manifest = manifest.model_copy(update={"files": described_files(building)})
            finish(
                building,
                manifest,
                lambda digest: seal(directory, settings, ledger, {STATED: stated_digest(ledger, settings, digest)}),
            )
    return manifest


def stated_in(directory: StudyDirectory) -> Publication:
    """What a study's release says now.

    Raises:
        AnalysisError: there is none.
    """
    if not directory.release.is_dir():
        raise AnalysisError(f"There is no release in {directory.release} yet. Run the study to its end first.")
    return Schema.load(_schema_file(directory.release)).publication


def _schema_file(folder: Path) -> Path:
    found = sorted(folder.glob("schema-*.yaml"))
    if len(found) != 1:
        raise AnalysisError(f"{folder} is not a release as a study wrote it: it has {len(found)} schemas, not one.")
    return found[0]


def _restate(folder: Path, manifest: Manifest, publication: Publication) -> None:
    """Bring every file in line that says something of the publication."""
    cohort, study = manifest.cohort, manifest.study
    old = Schema.load(_schema_file(folder))
    new = old.model_copy(update={"publication": publication})
    write_schema(new, _schema_file(folder))
    sections = (licence_section(each.publication, cohort, study) for each in (old, new))
    _replace(folder / DATASHEET_FILE, [tuple(sections)])
    metadata = json.loads((folder / CROISSANT_FILE).read_text())
    metadata = croissant(new, folder, title(cohort), metadata["description"], citation(cohort, study))
    (folder / CROISSANT_FILE).write_text(json.dumps(metadata, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    report = json.loads((folder / REPORT_JSON).read_text())
    (section,) = (each for each in report["sections"] if each["title"] == CITING)
    before = section["prose"][:2]
    cited = before[0].removeprefix(named(old.publication, cohort, study, manifest.begun.year))
    section["prose"][:2] = [
        named(publication, cohort, study, manifest.begun.year) + cited,
        under_licence(publication),
    ]
    (folder / REPORT_JSON).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    pairs = zip(before, section["prose"], strict=False)
    _replace(folder / REPORT_FILE, ((paragraph(was), paragraph(now)) for was, now in pairs))


def _replace(file: Path, pairs: Iterable[tuple[str, ...]]) -> None:
    """Replace texts that a release wrote, each of which stands there once.

    Raises:
        AnalysisError: one does not, so another version wrote the file.
    """
    text = file.read_text()
    for was, now in pairs:
        if text.count(was) != 1:
            raise AnalysisError(
                f"{file.name} of the release does not say its licence and citation as this version writes them. Use "
                "the version that manifest.json names."
            )
        text = text.replace(was, now)
    file.write_text(text)
