"""A finished study into its release, and then into what its steward may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from analysis import internal
from analysis.copies import draw_copies
from analysis.datasheet import survival_file
from analysis.ensemble import ensemble, generate_alike, random_stream, share_mended
from analysis.epochs import releasable_epochs
from analysis.errors import AnalysisError
from analysis.failures import Failures
from analysis.figures import Panel
from analysis.picking import picked
from analysis.quality.by_copies import with_copies
from analysis.quality.estimates import estimates, read_estimates
from analysis.quality.gate import NOTHING_MEASURED, Quality, judge, not_judged
from analysis.release import Judged, Manifest, read_release, write_release
from analysis.reports.internal import Opened, internal_report
from analysis.reports.pictures import Shown
from analysis.reports.public import PAID_FOR_FILE, Asked, public_report
from analysis.reports.tried import Baseline, Tried, gaussian_baseline
from analysis.sealing import PICKED, SEALED, drawn_before, is_sealed, seal, verified_ledger
from analysis.selection import Selected, Selection, picker_titles
from analysis.steward import open_for_steward
from analysis.study import StudyDirectory, StudySettings
from analysis.survival import FollowUp, combined_survival, survival_table
from analysis.transfer import Transfer, count_of_models, measure_transfer
from analysis.watching import show_figures
from cohorts import CohortError, Participants, Schema, resolve_schema
from privacy.errors import LedgerError, LedgerUnavailable
from privacy.ledger.ledger import Ledger
from privacy.ledger.summary import looks
from privacy.policies import policy_named
from privacy.policies.on_measured import kept_measurements
from privacy.statements.statement import Chosen, Statement
from privacy.versions import installed_versions
from trainables.candidate import candidate_of


@dataclass(frozen=True)
class ReleaseSummary:
    """What was built.

    Args:
        directory: the study.
        manifest: of the release.
        selection: the picked epochs. Sensitive: their scores are not private.
        transfer: scores on test participants; None where there is no label to predict. Sensitive.
        mended: share of the participants drawn by the epoch picked first whom constraints changed.
    """

    directory: StudyDirectory
    manifest: Manifest
    selection: Selection
    transfer: Transfer | None
    mended: float

    @property
    def written(self) -> tuple[Path, ...]:
        """Every file there now is in release/ and internal/."""
        folders = (self.directory.release, self.directory.internal)
        return tuple(file for folder in folders for file in sorted(folder.iterdir()))

    @property
    def quality(self) -> Quality:
        """What the gate found."""
        return self.manifest.quality or not_judged("The release was made by an earlier version.")

    @property
    def statement_summary(self) -> str:
        """The sentence of the privacy statement that must be read if only one is."""
        paragraphs = self.manifest.statement.split("\n\n")
        return next(p for p in paragraphs if not p.startswith("#")).strip("*")


@dataclass(frozen=True)
class _Synthetic:
    """All synthetic participants that a report needs; no real one is read to make them."""

    release: Participants
    singles: tuple[tuple[Selected, Participants], ...]
    panels: tuple[Panel, ...]


def build_release(
    directory: StudyDirectory, console: Console, redraw: bool = False, despite_failures: bool = False
) -> ReleaseSummary:
    """Build `release/` and `internal/` of a finished study.

    The release is made from the trials' generators and public figures alone and sealed before the cohort's files
    are opened, so nothing in `internal/` can find its way into it. A release that was sealed before stays as it is:
    drawing another one after real results were seen would be a choice that no statement covers.

    Args:
        directory: the study.
        console: where progress is shown.
        redraw: draw another release all the same; its statement says so.
        despite_failures: draw one though most trials failed for good.

    Returns:
        What was built.

    Raises:
        AnalysisError: the study is missing, unfinished, unreadable, has nothing to release or lost most of its trials;
            or, after the release is sealed, the cohort's files cannot be read.
        CohortError: the cohort's schema cannot be read.
        LedgerError: the study's copy of the cohort's ledger is missing, damaged, or not found in the cohort's own.
    """
    settings = directory.settings()
    schema = resolve_schema(settings.cohort)
    check_seed(settings, schema)
    policy, declared = policy_named(settings.policy), directory.declared_plan()
    with shown_progress(console) as progress:
        task = progress.add_task("Reading trials", total=None)
        stage = policy.stages(declared)[-1]
        epochs, failures = releasable_epochs(directory, settings, schema, stage), Failures.of(directory, stage)
        spent, ledger = verified_ledger(directory, settings, epochs)
        with closing(ledger):
            selection = picked(epochs, settings, declared, ledger)
            progress.update(task, description="Generating participants")
            sealed = None
            if not redraw and is_sealed(directory, settings, ledger):
                manifest, sealed = read_release(directory.release)
                sealed = replace(sealed, schema=schema)
            elif not despite_failures:
                failures.check(directory, settings, stage)
            synthetic = _generate(selection, schema, random_stream(settings.seed), sealed)
            statement = policy.statement(spent, declared, chosen(schema, selection, ledger, settings))
            copies = None
            if sealed is None:
                copies = draw_copies(directory, schema, settings.copies, random_stream(settings.seed))
            tried = Tried(epochs, selection, failures)
            published = manifest.quality if sealed else None
            asked = _asked(directory, settings, statement, synthetic.release, tried, copies, published)
            if copies is not None:
                progress.update(task, description="Writing the release")
                scores_are_paid_for = policy.declares_budget and not stage.runs
                # How trials failed is paid for by nothing.
                shown = Tried(epochs, selection, Failures(0, 0), asked.tried.baselines) if asked.tried else None
                page = public_report(replace(asked, tried=shown if scores_are_paid_for else None))
                manifest = write_release(
                    directory,
                    settings,
                    policy.marking,
                    statement,
                    Judged(asked.quality, asked.shown.estimates, page, asked.shown.survival),
                    synthetic.release,
                    synthetic.panels,
                    lambda digest: seal(directory, settings, ledger, {PICKED: selection.digest, SEALED: digest}),
                    copies,
                )
        progress.update(task, total=1, completed=1, description="Release sealed")
        if unshown := show_figures(directory):
            console.print(unshown, style="yellow", markup=False, highlight=False, soft_wrap=True)
        try:
            transfer = _report(directory, settings, selection, synthetic, asked, progress)
        except (CohortError, LedgerError) as error:
            kind = LedgerUnavailable if isinstance(error, LedgerUnavailable) else AnalysisError
            raise kind(
                f"The release is complete in {directory.release}, but its comparison with real participants in "
                f"{directory.internal} is not: {error}"
            ) from error
    mended = share_mended(selection.picks[0].epoch, schema, random_stream(settings.seed))
    return ReleaseSummary(directory, manifest, selection, transfer, mended)


def chosen(schema: Schema, selection: Selection, ledger: Ledger, settings: StudySettings) -> Chosen:
    """What the release is made of, for its statement."""
    return Chosen(
        cohort=schema.name,
        epochs=len({pick.epoch.key for pick in selection.picks}),
        training=selection.training,
        nominal_size=schema.nominal_size,
        internal_before=looks(ledger.books.entries),
        redrawn=drawn_before(ledger, settings.study),
        labelled=len(schema.label.classes) > 1,
        candidates=tuple(sorted({candidate_of(pick.epoch.config).name for pick in selection.picks})),
    )


def _asked(
    directory: StudyDirectory,
    settings: StudySettings,
    statement: Statement,
    release: Participants,
    tried: Tried,
    copies: Sequence[Participants] | None,
    published: Quality | None,
) -> Asked:
    """What reports are about; the release is judged by what was paid for, where that says anything of it.

    Where copies are None, the release was sealed before, has the paid-for table, and says what the gate found.
    """
    measured = kept_measurements(directory.path)
    version = installed_versions(("dpgan-tune",))["dpgan-tune"]
    survival = _survival(directory, settings, release, copies)
    if measured is None:
        shown = Shown(release, None, (), survival=survival)
        return Asked(settings, statement, not_judged(NOTHING_MEASURED), shown, tried, version)
    baselines = (
        Baseline.of("the release", measured, release),
        Baseline.of("a Gaussian in each class, without a search", measured, gaussian_baseline(measured, release)),
    )
    written = directory.release / PAID_FOR_FILE
    if copies is None and written.exists():
        lines = read_estimates(written)
    else:
        lines = with_copies(estimates(measured, release.schema), copies or ())
    shown = Shown(release, measured, lines, survival=survival)
    quality = published or judge(measured, release, copies or ())
    return Asked(settings, statement, quality, shown, replace(tried, baselines=baselines), version)


def _survival(
    directory: StudyDirectory, settings: StudySettings, release: Participants, copies: Sequence[Participants] | None
) -> pd.DataFrame | None:
    """The table of survival, of copies too; that of the release where it was sealed before."""
    followed = FollowUp.of(release)
    if followed is None:
        return None
    if copies is None:
        return pd.read_csv(directory.release / survival_file(policy_named(settings.policy).marking))
    table = survival_table({"synthetic": followed})
    if len(copies) < 2:
        return table
    return pd.concat([table, combined_survival([each for each in map(FollowUp.of, copies) if each])], ignore_index=True)


def check_seed(settings: StudySettings, schema: Schema) -> None:
    """Raise AnalysisError where somebody could undo the study's noise."""
    if settings.seed is not None and not schema.public:
        raise AnalysisError(
            f"The study {settings.study} has a seed ({settings.seed}), but the cohort {schema.name} is not public: "
            "anyone who knows the seed can undo the noise. Run the study again without --seed."
        )


def _generate(
    selection: Selection, schema: Schema, randomness: torch.Generator, sealed: Participants | None = None
) -> _Synthetic:
    """As many participants from the ensemble and from every single epoch as the schema's nominal size.

    The ensemble is made of rows of those of single epochs, unless it was drawn before.

    Args:
        selection: the picked epochs.
        schema: of the cohort.
        randomness: to draw from.
        sealed: the ensemble, where it was drawn before.
    """
    epochs = [pick.epoch for pick in selection.picks]
    whole = generate_alike((*epochs, selection.last), schema.nominal_size, schema, randomness)
    release = sealed or ensemble([whole[each.key] for each in epochs], schema, randomness)
    best = [
        Panel(f"best_{name}", f"best epoch by {picker_titles()[name]}", whole[epoch.key])
        for name, epoch in selection.best.items()
    ]
    panels = (
        Panel("last_epoch", "last epoch of the best trial", whole[selection.last.key]),
        *best,
        Panel("release", f"ensemble of {len(epochs)} epochs (the release)", release),
    )
    singles = tuple((pick, whole[pick.epoch.key]) for pick in selection.picks)
    return _Synthetic(release, singles, panels)


def _report(
    directory: StudyDirectory,
    settings: StudySettings,
    selection: Selection,
    synthetic: _Synthetic,
    asked: Asked,
    progress: Progress,
) -> Transfer | None:
    """Compare with real participants, for the data steward."""
    opened = open_for_steward(directory, settings, "report for the data steward")
    real, splits = opened.everybody, opened.splits
    if real.report:
        internal.write_loading(directory.internal, real.report)
    internal.write_selection(directory.internal, selection)
    internal.write_figures(directory.internal, synthetic.panels, real, settings.study)
    internal.write_survival(directory.internal, asked.shown, real, settings.study)
    transfer = None
    if len(real.schema.label.classes) > 1:
        task = progress.add_task("Testing on real participants", total=count_of_models(synthetic.singles))
        transfer = measure_transfer(
            splits.train,
            splits.test,
            synthetic.release,
            synthetic.singles,
            settings.seed or 0,
            lambda: progress.advance(task),
        )
        internal.write_transfer(directory.internal, transfer)
    progress.add_task("Writing the report", total=None)
    internal.write_report(directory.internal, internal_report(asked, Opened(real, transfer)))
    return transfer


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """How far a build has come, while it lasts."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress
