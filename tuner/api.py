"""A study from Python: what ``tuner/run.py`` does, by the same code, with exceptions in place of exit statuses."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypedDict, Unpack

from tuner.errors import StudyError
from tuner.options import parser

if TYPE_CHECKING:
    import pandas as pd
    from ray.tune import Callback, ResultGrid
    from rich.console import Console

    from analysis import StudyDirectory
    from analysis.release import Manifest
    from privacy.planning.plan import StudyPlan


class Options(TypedDict, total=False):
    """What a study may be asked: the options of ``tuner/run.py``, whose help explains each, with the same defaults."""

    preset: str
    cohort: str | Path
    data: str | Path
    search_space: str | Path
    trials: int
    max_epochs: int
    engine: str
    copies: int
    policy: str
    epsilon: float
    delta: float
    ledger: str | Path
    new_ledger: bool
    adopt_ledger: bool
    other_people: Sequence[str]
    search_minutes: float
    seed: int
    cpus_per_trial: float
    gpus_per_trial: float
    storage: str | Path
    study: str
    out: str | Path


@dataclass(frozen=True)
class Release:
    """What a study may publish.

    Args:
        path: its folder.
        manifest: what it says of itself: epsilon, statement, quality, files.
    """

    path: Path
    manifest: Manifest

    def tables(self) -> dict[str, pd.DataFrame]:
        """The synthetic participants, by the names that tables have in the schema."""
        import pandas as pd

        from cohorts import Schema

        (schema_file,) = self.path.glob("schema-*.yaml")
        schema = Schema.load(schema_file)
        return {table: pd.read_parquet(self.path / f"{schema.stem(table)}.parquet") for table in schema.tables}


class Study:
    """One study of a cohort: planned, run to its release, gone on with.

    Nothing is checked or read before it is planned or run. Every method raises what the command would end with: for
    something to mend StudyError, CohortError, SearchSpaceError, PlanError, LedgerError, BudgetExhausted, AnalysisError
    or ExtensionError, and MachineError where the machine could not run it; each says the same sentences.

    Args:
        options: see ``Options``; those left out have the command's defaults.

    Raises:
        TypeError: there is no option of that name.
        StudyError: a value is of the wrong kind.

    Example:
        >>> study = Study(cohort="actg175", epsilon=1, study="from-python")
        >>> study.plan().epsilon
        1.0
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self._arguments = _as_command(options)

    @classmethod
    def resume(cls, directory: str | Path) -> Self:
        """A study that was interrupted, or has ended, to be run on.

        Its own record says what it was asked. Nothing that Ray would unpickle is read but a snapshot that this person's
        own studies sealed.

        Args:
            directory: ``results/STUDY``.
        """
        path = Path(directory)
        study = cls(study=path.resolve().name, out=path.resolve().parent)
        study._arguments.resume = True
        return study

    @property
    def directory(self) -> StudyDirectory:
        """Where the study is or will be written; known once it has a name, at the latest after it was planned.

        Raises:
            StudyError: it was given no name, and was not planned yet.
        """
        from analysis import StudyDirectory

        if self._arguments.study is None:
            raise StudyError("The study has no name yet. Give study=NAME, or plan or run it first.")
        return StudyDirectory(self._arguments.out / self._arguments.study)

    def plan(self) -> StudyPlan:
        """How the study would divide its budget; reads no participant and writes nothing."""
        from tuner.request import outline_study

        outline = outline_study(self._arguments)
        self._arguments.study = outline.settings.study  # a name that was drawn stays
        return outline.plan

    def run(
        self,
        callbacks: Sequence[Callback] = (),
        *,
        address: str | None = None,
        dashboard: bool | None = None,
        console: Console | None = None,
    ) -> ResultGrid | None:
        """Search, write the release and the report, as the command does.

        Args:
            callbacks: of Ray Tune, your own or Ray's for MLflow or Weights & Biases. Of a trial's reports they are
                handed what was paid for; times, hosts and checkpoints are left out.
            address: of a running Ray cluster; without it Ray starts on this machine, and ends with the study.
            dashboard: whether Optuna's dashboard is served; if left out, for public cohorts only.
            console: where progress is shown; nowhere if left out.

        Returns:
            Ray Tune's own results of the trials, those of the last search where there are several; None where they
            are a secret number of runs.

        Raises:
            StudyError: one of the callbacks is none.
            KeyboardInterrupt: somebody interrupted it; what was trained is kept, and ``Study.resume`` goes on.
        """
        from rich.console import Console

        from analysis import build_release
        from analysis.machine import machine_errors
        from cohorts import storage
        from cohorts.interrupts import interrupted_by
        from privacy.policies import policy_named
        from tuner.callbacks import Ended, watched_by
        from tuner.request import request_study
        from tuner.study import run_study

        _require_callbacks(callbacks)
        console, ended = console or Console(quiet=True), Ended()
        with machine_errors(), storage.private_files(), interrupted_by():
            request = request_study(self._arguments)
            self._arguments.study = request.settings.study
            watched = watched_by(callbacks, policy_named(request.settings.policy), request.cohort.schema.public)
            if not run_study(request, address, console, dashboard, [*watched, ended]):
                raise KeyboardInterrupt(f"Interrupted. To go on: Study.resume({str(request.directory.path)!r}).run()")
            build_release(request.directory, console)
        return ended.results()

    def trials_dataframe(self) -> pd.DataFrame:
        """Optuna's own table of the study's trials: values, hyperparameters, states, what was reported."""
        import optuna

        settings = self.directory.settings()
        database = f"sqlite:///{self.directory.database.resolve()}"
        return optuna.load_study(study_name=settings.study, storage=database).trials_dataframe()

    @property
    def release(self) -> Release:
        """What may be published.

        Raises:
            AnalysisError: there is none yet.
        """
        from analysis import AnalysisError
        from analysis.release import read_release

        folder = self.directory.release
        if not folder.is_dir():
            raise AnalysisError(f"There is no release in {folder} yet. Run the study to its end first.")
        return Release(folder, read_release(folder)[0])


def _require_callbacks(callbacks: Any) -> None:
    """Raise StudyError where Ray Tune would find out after participants were paid for."""
    from ray.tune import Callback

    if not isinstance(callbacks, Sequence):
        raise StudyError(f"callbacks={callbacks!r:.100} is not a list. Give one of ray.tune.Callback's, perhaps empty.")
    for each in callbacks:
        if not isinstance(each, Callback):
            raise StudyError(
                f"callbacks holds {each!r:.100}, which is not a callback of Ray Tune. Give an object of a class that "
                "inherits from ray.tune.Callback."
            )


class _Refusing(argparse.ArgumentParser):
    """Raises what the command would print and end with."""

    def error(self, message: str) -> NoReturn:
        raise StudyError(message.replace("argument --", "--", 1))


def _as_command(options: Mapping[str, Any]) -> argparse.Namespace:
    """Options as the command line has them, so that both are checked by the same code."""
    for name in options:
        if name not in Options.__annotations__:
            near = get_close_matches(name, Options.__annotations__, 1)
            raise TypeError(f"A study has no option {name!r}." + (f" Is {near[0]!r} meant?" if near else ""))
    words = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif isinstance(value, list | tuple):
            words += [f"{option}={each}" for each in value]
        elif value is not None and value is not False:
            words.append(f"{option}={value}")
    return parser(_Refusing).parse_args(words)
