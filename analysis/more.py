"""More participants, later: drawn from the ensemble that a sealed release was drawn from. Nobody is read for it."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.build import check_seed, chosen
from analysis.dataset.describe import FILES, describe, licence_section
from analysis.dataset.dictionary import table_section
from analysis.dataset.reading import reading_lines
from analysis.datasheet import schema_file_name
from analysis.ensemble import ensemble, generate_alike, random_stream
from analysis.epochs import releasable_epochs
from analysis.errors import AnalysisError
from analysis.picking import picked
from analysis.release import (
    DATASHEET_FILE,
    Drawn,
    Manifest,
    finish,
    released_schema,
    write_schema,
    write_statement,
)
from analysis.sealing import DRAWN, PICKED, is_sealed, seal, verified_ledger
from analysis.selection import Selection
from analysis.study import StudyDirectory, StudySettings
from cohorts import Participants, Schema, resolve_schema, write_cohort
from cohorts.schema import MINIMUM_PARTICIPANTS
from cohorts.storage import replaced_directory
from privacy.ledger.ledger import Ledger
from privacy.policies import policy_named
from privacy.statements.statement import Statement

FOLDER = "draws"
MOST_AT_ONCE = 10_000_000
SLACK = 1.1  # how many more than expected are drawn at first where only one class is wanted

README = """\
# More synthetic participants of {cohort}

{participants:,} generated participants{of_class}, drawn from the same generators as the release of study `{study}`,
after it; no participant of the trial was read for them. **Read [privacy_statement.md](privacy_statement.md) before you
use or pass on these files.** How good the generators are, the release's own README.md and report.html say. Identifiers
begin with {prefix}, so these participants may be put together with those of the release and of other draws.

## Files

{files}
{more}
## Read it

{reading}

## Tables

{tables}

## Licence and citation

{licence}
"""


def draw_participants(
    directory: StudyDirectory,
    participants: int,
    group: str | None = None,
    seed: int | None = None,
    folder: Path | None = None,
) -> tuple[Path, Manifest]:
    """Draw more participants from the ensemble of a sealed release, into a folder like a release.

    What is drawn is post-processing of what was paid for. The statement says how often the study drew before, and
    whether real results were seen since; the ledger keeps that it was drawn.

    Args:
        directory: the study.
        participants: how many.
        group: class that all of them shall be of; all classes, as a release has them, if left out.
        seed: to draw the same again; random numbers come from the operating system if left out. It hides nobody: the
            noise that protects participants was drawn before.
        folder: where to; `draws/NUMBER` of the study if left out. It must not exist.

    Returns:
        The folder, and its manifest.

    Raises:
        AnalysisError: the study has no sealed release, or what is asked for cannot be drawn.
        CohortError: the cohort's schema cannot be read.
        LedgerError: the study's record is not found whole in the cohort's own ledger.
    """
    settings = directory.settings()
    schema = resolve_schema(settings.cohort)
    check_seed(settings, schema)
    label = _label(schema, group)
    if participants < 1:
        raise AnalysisError(f"--participants {participants} draws nobody. Give 1 or more.")
    if participants > MOST_AT_ONCE:
        raise AnalysisError(
            f"--participants {participants} is more than are drawn at once. Give at most {MOST_AT_ONCE:,}."
        )
    if seed is not None and not 0 <= seed < 2**63:
        raise AnalysisError(f"--seed {seed} is out of range. Give a whole number from 0 on, such as 7.")
    policy, declared = policy_named(settings.policy), directory.declared_plan()
    epochs = releasable_epochs(directory, settings, schema, policy.stages(declared)[-1])
    spent, ledger = verified_ledger(directory, settings, epochs)
    with closing(ledger):
        selection = picked(epochs, settings, declared, ledger)
        _require_ensemble(directory, settings, ledger, selection)
        drawn = Drawn(number=_number(ledger, settings), group=group, seed=seed)
        target = folder or directory.path / FOLDER / str(drawn.number)
        if target.exists():
            raise AnalysisError(f"{target} is there already, and no draw replaces another. Give another --out.")
        people = _people(selection, schema, participants, label, drawn)
        statement = policy.statement(spent, declared, chosen(schema, selection, ledger, settings))
        target.parent.mkdir(parents=True, exist_ok=True)
        with replaced_directory(target) as building:
            manifest = _write(building, people, f"{policy.marking}-draw-{drawn.number}", settings, statement, drawn)
            finish(building, manifest, lambda digest: seal(directory, settings, ledger, {DRAWN: digest}))
    return target, manifest


def _label(schema: Schema, group: str | None) -> int | None:
    names = [each.name for each in schema.label.classes]
    if group is None:
        return None
    if group not in names:
        raise AnalysisError(
            f"--class {group!r} is no class of {schema.label.name}. Its classes are {', '.join(map(repr, names))}."
        )
    return names.index(group)


def _require_ensemble(directory: StudyDirectory, settings: StudySettings, ledger: Ledger, selection: Selection) -> None:
    """Raise AnalysisError unless the release is the sealed one, and its generators are still those of the study."""
    if not is_sealed(directory, settings, ledger):
        raise AnalysisError(
            f"{directory.release} is not the release that the study {settings.study} sealed, or there is none, so "
            f"there is nothing to draw more from. Build it first: python -m analysis {directory.path}"
        )
    if not ledger.settled(settings.study, PICKED, selection.digest):
        raise AnalysisError(
            f"The release of {settings.study} was drawn from other epochs than would be picked now, since some of the "
            "study's checkpoints are gone, or by a version that did not write down from which. Restore its trials from "
            f"a backup, or draw another release: python -m analysis {directory.path} --redraw"
        )


def _number(ledger: Ledger, settings: StudySettings) -> int:
    return len(ledger.books.settled(settings.study, DRAWN)) + 1


def _prefix(drawn: Drawn) -> str:
    return f"D{drawn.number}S"


def _people(selection: Selection, schema: Schema, count: int, label: int | None, drawn: Drawn) -> Participants:
    """So many participants of the ensemble, of a class or of all.

    At least a whole release is drawn and some of it taken: generators give whole releases their own class means.
    """
    randomness, epochs = random_stream(drawn.seed), [pick.epoch for pick in selection.picks]
    share = 1.0 if label is None else schema.label.classes[label].share
    size = max(schema.nominal_size, math.ceil(SLACK * count / share) if share < 1 else count)
    while True:
        whole = generate_alike(epochs, size, schema, randomness)
        people = ensemble([whole[each.key] for each in epochs], schema, randomness)
        wanted = np.flatnonzero(people.labels == label) if label is not None else np.arange(size)
        if len(wanted) >= count:
            ids = np.array([f"{_prefix(drawn)}{number:06d}" for number in range(1, count + 1)])
            return replace(people.take(wanted[:count]), ids=ids)
        size *= 2


def _write(
    folder: Path, people: Participants, marking: str, settings: StudySettings, statement: Statement, drawn: Drawn
) -> Manifest:
    """Fill the folder, but for what ``finish`` writes."""
    count, trial = len(people), people.schema
    schema = released_schema(trial, marking).model_copy(update={"nominal_size": max(count, MINIMUM_PARTICIPANTS)})
    tables = write_cohort(replace(people, schema=schema), folder, like=trial)
    write_schema(schema, folder / schema_file_name(marking))
    write_statement(folder, statement)
    describe(folder, schema, statement, settings.study, count)
    (folder / DATASHEET_FILE).write_text(
        README.format(
            cohort=statement.cohort,
            participants=count,
            of_class=f", all of the class {drawn.group}" if drawn.group else "",
            study=settings.study,
            prefix=_prefix(drawn),
            files="\n".join(f"- `{file.name}`" for file in tables),
            more=FILES,
            reading=reading_lines(schema),
            tables="\n\n".join(table_section(schema, table) for table in schema.tables),
            licence=licence_section(schema.publication, statement.cohort, settings.study),
        )
    )
    return Manifest.of(folder, settings, statement, count, drawn=drawn)
