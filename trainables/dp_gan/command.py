"""From a command line to a run that is trained, kept and stated."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cohorts import Cohort, Schema, load_cohort, resolve_schema, split_cohort, storage
from cohorts.interrupts import Interruption
from cohorts.lock import only_one
from privacy import LedgerUnavailable
from privacy.ledger.charge import Charge
from privacy.ledger.first_ledger import ledgers_named_in, require_ledger
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import read_receipts, record_receipt
from privacy.ledger.study_record import RECEIPTS, keep_record
from privacy.ledger.summary import looks
from privacy.mechanisms.mechanism import Exact
from privacy.policies.unaccounted import Freely
from privacy.statements.events import CHECK_SCRIPT
from privacy.statements.fixed_training import FixedTraining
from privacy.statements.sections import CHECK_FILE, EVENTS_FILE
from privacy.versions import installed_versions
from trainables.dp_gan.run import RUN_FILE, SHARES, PaperRun, RunError, training_size
from trainables.dp_gan.training import Folder, Training
from trainables.gan.engine import grid
from trainables.gan.hyperparameters import Hyperparameters
from trainables.scoring import require_scored_by, steering

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
SETTLED_LATER = {"created", "versions", "scored_by"}
PACKAGES = ("dpgan-tune", "dp-accounting", "opacus", "torch")
STATEMENT_FILE, STATEMENT_JSON = "privacy_statement.md", "privacy_statement.json"


@dataclass(frozen=True)
class Requested:
    """A run whose inputs were all found in order.

    Args:
        run: what is asked for.
        schema: of the cohort.
        folder: where it is or will be kept.
        begun: whether it was begun earlier.
        adopt_ledger: whether a ledger begun with other files or another schema is this cohort's all the same.
        other_people: cohorts whose participants are others, though their ledgers may know the same identifiers.
        new_ledger: whether a private cohort's ledger is begun, if it has none.
    """

    run: PaperRun
    schema: Schema
    folder: Folder
    begun: bool
    adopt_ledger: bool
    other_people: tuple[str, ...]
    new_ledger: bool


def request(given: argparse.Namespace) -> Requested:
    """Check a command line; reads nobody, and writes nothing.

    Raises:
        RunError, CohortError, ExtensionError, LedgerError: one paragraph saying what to mend.
    """
    run = _run(given)
    schema = resolve_schema(run.cohort)
    _check(run, schema)
    if any(part.is_file() for part in (given.out, *given.out.parents)):
        raise RunError(f"--out {given.out} cannot be a folder, because a file is in its place. Name another.")
    folder = Folder(given.out / run.name)
    before = PaperRun.read(folder.path)
    if before is None and folder.path.exists():
        raise RunError(f"{folder.path} is there already and is no run of this command. Give another --prefix or --out.")
    if before is None and given.resume:
        raise RunError(f"There is no run {run.name} in {given.out} to resume. Its flags must be those it began with.")
    if before is not None:
        _check_same(before, run, given.resume)
        if before.scored_by:
            require_scored_by(before.scored_by, schema)
    require_ledger(run.cohort, schema, run.ledger, given.out, given.new_ledger)
    return Requested(
        before or run,
        schema,
        folder,
        begun=before is not None,
        adopt_ledger=schema.public or (given.adopt_ledger and not given.resume),
        other_people=tuple(given.other_people),
        new_ledger=given.new_ledger,
    )


def _run(given: argparse.Namespace) -> PaperRun:
    cohort = str(Path(given.cohort).resolve()) if given.cohort.endswith((".yaml", ".yml")) else given.cohort
    name = f"{given.prefix}{given.noise}_{given.clip_value}_{given.epochs}_{given.lr}_{given.batch_size}"
    try:
        run = PaperRun(
            name=name,
            cohort=cohort,
            data_dir=given.data and given.data.resolve(),
            ledger=given.ledger and given.ledger.resolve(),
            noise=given.noise,
            clip_value=given.clip_value,
            epochs=given.epochs,
            lr=given.lr,
            batch_size=given.batch_size,
            engine=given.engine,
            paper_noise=given.paper_noise,
            averaging=given.averaging,
            scores=given.scores,
            scored_by=tuple(steering()) if given.scores else (),
            delta=given.delta,
            created=datetime.now(UTC),
            versions=installed_versions(PACKAGES),
        )
    except ValidationError as error:
        raise RunError(_unusable(error)) from None
    if not re.fullmatch(NAME, name):
        raise RunError(
            f"--prefix {given.prefix!r} cannot begin a run's name, which becomes a folder. Use letters, digits, dots, "
            "dashes and underscores, beginning with a letter or a digit."
        )
    if given.noise > 0 and given.clip_value <= 0:
        raise RunError(
            f"--noise {given.noise:g} is in units of the clip norm, and there is none. Give --clip_value, such as "
            "0.0001 (the paper's), or --noise 0 for training without privacy."
        )
    return run


def _unusable(error: ValidationError) -> str:
    """Which flag holds what no run can have, and what it may be."""
    fault = error.errors(include_url=False)[0]
    words = {"ge": "{:g} or more", "gt": "above {:g}", "lt": "below {:g}"}
    limits = [words[key].format(limit) for key, limit in fault.get("ctx", {}).items() if key in words]
    return f"--{fault['loc'][0]} {fault['input']} cannot be used: it must be {(limits or ['a finite number'])[0]}."


def _check(run: PaperRun, schema: Schema) -> None:
    if grid(schema) is None:
        raise RunError(
            "The paper's convolutional network needs the same measures at every visit and no covariates or categories; "
            f"{schema.name} has them. Search with tuner/run.py instead, whose compact network takes any trial."
        )
    if run.batch_size > training_size(schema):
        raise RunError(f"--batch_size {run.batch_size} is more than the {training_size(schema)} who train. Give fewer.")
    if run.delta > 1 / schema.nominal_size:
        raise RunError(
            f"--delta {run.delta:g} is more than one over the {schema.nominal_size} participants that the schema "
            "names. At such a delta a guarantee would allow one person's data to be published whole. Give 1e-5 or less."
        )


def _check_same(before: PaperRun, run: PaperRun, resume: bool) -> None:
    if not resume:
        raise RunError(f"The run {run.name} was begun before. Give --resume to go on with it, or another --prefix.")
    asked, began = (each.model_dump(exclude=SETTLED_LATER) for each in (run, before))
    changed = sorted(name for name, value in began.items() if asked[name] != value)
    if changed:
        flags = ", ".join(f"--{name.removesuffix('_dir').replace('paper_noise', 'paper-noise')}" for name in changed)
        raise RunError(
            f"The run {run.name} was begun with another {flags}. Give what it began with, or another --prefix."
        )


def carry_out(requested: Requested, console: Console) -> int:
    """Train a run, or go on with one, until it is over or interrupted; returns the command's exit status.

    Raises:
        CohortError, LedgerError: nobody was read.
        RunError: another process is at it.
    """
    with only_one(requested.folder.path, RunError):
        return _carry_out(requested, console)


def _carry_out(requested: Requested, console: Console) -> int:
    run, folder = requested.run, requested.folder
    cohort = load_cohort(run.cohort, run.data_dir)
    ledger = _open_ledger(requested, cohort)
    looked = looks([entry for entry in ledger.books.entries if entry.study == run.name])
    if run.scores and not cohort.schema.public and not looked:
        words = "losses of those who are trained on, by epoch"  # whoever opens the file looks at them
        ledger.charge([Charge(Exact().event, "train", run.name, words, "", "internal", "internal")])
    folder.losses.parent.mkdir(parents=True, exist_ok=True)
    if not requested.begun:
        storage.write_text(folder.path / RUN_FILE, run.model_dump_json(indent=2) + "\n")
    splits = split_cohort(cohort, ledger.split_key, SHARES)
    access = Freely(run.name, ledger, splits.train, splits.validation)
    training = Training(run, cohort.schema, access, folder, ledger.cohort)
    console.print(
        f"Run [bold]{run.name}[/]: cohort {run.cohort}, {run.epochs} epochs of {training.steps_per_epoch} steps"
    )
    interruption = Interruption()
    try:
        with interruption.noted(), _progress(training, run, console) as advance:
            finished = training.go_on(lambda: not interruption.asked, advance)
    except LedgerUnavailable:
        training.save()
        raise
    finally:
        assert ledger.receipt is not None  # it is bound to the cohort, which is an entry
        record_receipt(folder.path / RECEIPTS, ledger.receipt, ledger.cohort)
    if not finished:
        console.print(
            f"Interrupted in epoch {training.epoch + 1}. What was trained is kept; give the same command with --resume."
        )
        return 130
    statement = _state(requested, ledger)
    console.print(f"{statement.first_line}\nSee {folder.path / STATEMENT_FILE}", soft_wrap=True)
    if run.scores:
        console.print(f"A release of its best epochs:  python -m analysis {folder.path}", soft_wrap=True)
    return 0


def _open_ledger(requested: Requested, cohort: Cohort) -> Ledger:
    run, receipts = requested.run, requested.folder.path / RECEIPTS
    ledger = Ledger.for_cohort(
        cohort,
        run.ledger,
        requested.adopt_ledger,
        SHARES,
        requested.other_people,
        requested.new_ledger,
        ledgers_named_in(requested.folder.path.parent),
        run.name,
    )
    ledger.verify(read_receipts(receipts) if receipts.exists() else ())
    return ledger


def _state(requested: Requested, ledger: Ledger) -> FixedTraining:
    """Keep the ledger as of the end, and write what may be said."""
    run, schema, path = requested.run, requested.schema, requested.folder.path
    statement = FixedTraining.of(
        keep_record(ledger, path, run.name, run.delta),
        planned=Hyperparameters(**run.config(schema)).training(run.epochs),
        epochs=run.epochs,
        noise=f"--noise {run.noise:g}, {run.paper_noise}: {_in_words(run)}",
        scored=run.scores,
        train_share=SHARES.train,
        nominal_size=schema.nominal_size,
        cohort=schema.name,
    )
    storage.write_text(path / STATEMENT_JSON, json.dumps(statement.as_json(), indent=2, allow_nan=False) + "\n")
    storage.write_text(path / EVENTS_FILE, json.dumps(statement.events(), indent=2, allow_nan=False) + "\n")
    storage.write_text(path / CHECK_FILE, CHECK_SCRIPT)
    storage.write_text(path / STATEMENT_FILE, statement.text() + "\n")
    return statement


def _in_words(run: PaperRun) -> str:
    power = "^2" if run.paper_noise == "published" else ""
    return f"a standard deviation of noise x clip_value{power}"


@contextmanager
def _progress(training: Training, run: PaperRun, console: Console) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console) as shown:
        task = shown.add_task("", total=run.epochs * training.steps_per_epoch)

        def advance() -> None:
            epoch = min(training.epoch + 1, run.epochs)
            shown.update(task, completed=training.steps_done, description=f"epoch {epoch} of {run.epochs}")

        advance()
        yield advance
