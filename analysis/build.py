"""A finished study into its release, and then into what its steward may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from dp_accounting import NonPrivateDpEvent
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from analysis import internal
from analysis.ensemble import generate, generate_ensemble, random_stream
from analysis.epochs import ScoredEpoch, scored_epochs, winning_epoch
from analysis.errors import AnalysisError
from analysis.figures import Panel
from analysis.release import Manifest, write_release
from analysis.selection import Selected, Selection, picks_among_few, select
from analysis.study import SHORTLIST, StudyDirectory, StudySettings
from analysis.transfer import Transfer, count_of_models, measure_transfer
from cohorts import CohortError, Participants, Schema, load_cohort, resolve_schema, split_key, split_participants
from privacy.errors import LedgerError
from privacy.ledger.charge import SPLITS, Charge
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import Receipt
from privacy.ledger.study_record import check_record
from privacy.ledger.summary import Summary


@dataclass(frozen=True)
class ReleaseSummary:
    """What was built.

    Args:
        directory: the study.
        manifest: of the release.
        selection: the picked epochs. Sensitive: their scores are not private.
        transfer: scores on test participants. Sensitive.
    """

    directory: StudyDirectory
    manifest: Manifest
    selection: Selection
    transfer: Transfer

    @property
    def written(self) -> tuple[Path, ...]:
        """Every file there now is in release/ and internal/."""
        folders = (self.directory.release, self.directory.internal)
        return tuple(file for folder in folders for file in sorted(folder.iterdir()))

    @property
    def statement_summary(self) -> str:
        """The sentence of the privacy statement that must be read if only one is."""
        paragraphs = self.manifest.statement.split("\n\n")
        return next(p for p in paragraphs if not p.startswith("#")).strip("*")


@dataclass(frozen=True)
class _Synthetic:
    """All synthetic participants that a report needs; no real one is read to make them."""

    ensemble: Participants
    singles: tuple[tuple[Selected, Participants], ...]
    panels: tuple[Panel, ...]


def build_release(directory: StudyDirectory, console: Console) -> ReleaseSummary:
    """Build `release/` and `internal/` of a finished study, in place of older ones.

    The release is made from the trials' generators and public figures alone and sealed before the cohort's files
    are opened, so nothing in `internal/` can find its way into it.

    Args:
        directory: the study.
        console: where progress is shown.

    Returns:
        What was built.

    Raises:
        AnalysisError: the study is missing, unfinished, unreadable, or has nothing to release; or, after the
            release is sealed, the cohort's files cannot be read.
        CohortError: the cohort's schema cannot be read.
        LedgerError: the study's copy of the cohort's ledger is missing, damaged, or not found in the cohort's own.
    """
    settings = directory.settings()
    schema = resolve_schema(settings.cohort)
    _check(settings, schema)
    with _progress(console) as progress:
        task = progress.add_task("Reading trials", total=None)
        epochs = _scored_epochs(directory, settings)
        few = settings.policy != "unaccounted"  # which picks as the paper did
        selection = select(epochs, picks_among_few(epochs)) if few else select(epochs)
        spent = _verified_ledger(directory, settings, epochs)
        progress.update(task, description="Generating participants")
        synthetic = _generate(selection, schema, random_stream(settings.seed))
        progress.update(task, description="Writing the release")
        manifest = write_release(directory, settings, spent, selection, synthetic.ensemble, synthetic.panels)
        progress.update(task, total=1, completed=1, description="Release sealed")
        try:
            transfer = _report(directory, settings, selection, synthetic, progress)
        except (CohortError, LedgerError) as error:
            raise AnalysisError(
                f"The release is complete in {directory.release}, but its comparison with real participants in "
                f"{directory.internal} is not: {error}"
            ) from error
    return ReleaseSummary(directory, manifest, selection, transfer)


def _scored_epochs(directory: StudyDirectory, settings: StudySettings) -> tuple[ScoredEpoch, ...]:
    """The epochs that may be released: of the search, or of the shortlist where the search was on a surrogate."""
    if settings.policy != "unaccounted" and directory.declared_plan().plan.runs:
        return (winning_epoch(directory, settings),)
    if settings.policy == "surrogate":
        return scored_epochs(directory, settings, SHORTLIST, trials_begun=1)
    return scored_epochs(directory, settings)


def _verified_ledger(directory: StudyDirectory, settings: StudySettings, epochs: Sequence[ScoredEpoch]) -> Summary:
    """The figures of the study's ledger, found whole in the cohort's own, with all that its trials were told."""
    told = [Receipt.parse(each.receipt) for each in epochs if each.receipt]
    checked = check_record(directory.path, settings.ledger, told)
    if checked.own_ledger is None:
        raise LedgerError(
            f"The cohort's own ledger.db is not there, so nobody can tell whether the study's copy in {directory.path} "
            "is all that was read. Restore it from a backup, or build the release on the machine that has it."
        )
    return checked.summary


def _check(settings: StudySettings, schema: Schema) -> None:
    if settings.seed is not None and not schema.public:
        raise AnalysisError(
            f"The study {settings.study} has a seed ({settings.seed}), but the cohort {schema.name} is not public: "
            "whoever knows the seed can undo the noise. Run the study again without --seed."
        )


def _generate(selection: Selection, schema: Schema, randomness: torch.Generator) -> _Synthetic:
    """As many participants from the ensemble and from every single epoch as the schema's nominal size."""
    size = schema.nominal_size
    epochs = [pick.epoch for pick in selection.picks]
    ensemble = generate_ensemble(epochs, size, schema, randomness)
    cohorts = {
        key: generate(epoch, size, schema, randomness)
        for key, epoch in {_key(each): each for each in (*epochs, selection.last)}.items()
    }
    logistic, forest = selection.best_by("logistic_regression"), selection.best_by("random_forest")
    panels = (
        Panel("last_epoch", "last epoch of the best trial", cohorts[_key(selection.last)]),
        Panel("best_logistic_regression", "best epoch by logistic regression", cohorts[_key(logistic)]),
        Panel("best_random_forest", "best epoch by random forest", cohorts[_key(forest)]),
        Panel("release", f"ensemble of {len(epochs)} epochs (the release)", ensemble),
    )
    singles = tuple((pick, cohorts[_key(pick.epoch)]) for pick in selection.picks)
    return _Synthetic(ensemble, singles, panels)


def _key(epoch: ScoredEpoch) -> tuple[str, int]:
    return epoch.trial_id, epoch.epoch


def _report(
    directory: StudyDirectory,
    settings: StudySettings,
    selection: Selection,
    synthetic: _Synthetic,
    progress: Progress,
) -> Transfer:
    """Compare with real participants, for the data steward."""
    real = open_for_steward(settings, "report for the data steward")
    splits = split_participants(real, split_key(real.schema), settings.shares)
    if real.report:
        internal.write_loading(directory.internal, real.report)
    internal.write_selection(directory.internal, selection)
    internal.write_figures(directory.internal, synthetic.panels, real, settings.study)
    task = progress.add_task("Testing on real participants", total=count_of_models(synthetic.singles))
    transfer = measure_transfer(
        splits.train,
        splits.test,
        synthetic.ensemble,
        synthetic.singles,
        settings.seed or 0,
        lambda: progress.advance(task),
    )
    internal.write_transfer(directory.internal, transfer)
    return transfer


def open_for_steward(settings: StudySettings, purpose: str) -> Participants:
    """The second door: write down that the data steward looks at real participants; later statements say so.

    Args:
        settings: of the study whose steward looks.
        purpose: what for.
    """
    cohort = load_cohort(settings.cohort, settings.data_dir)
    ledger = Ledger.for_cohort(cohort, settings.ledger, adopt=cohort.schema.public, shares=settings.shares)
    charges = [Charge(NonPrivateDpEvent(), split, settings.study, purpose, account="internal") for split in SPLITS]
    try:
        return ledger.read(cohort, charges).participants
    finally:
        ledger.close()


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress
