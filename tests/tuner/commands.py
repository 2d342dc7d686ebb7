"""Commands run in this process, which has imported everything already, on the Ray that its tests share."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cohorts import Participants, Schema, write_cohort
from privacy.__main__ import main as check_ledger
from tests.blank_pictures import blank_pictures
from tests.conftest import SMALL_SCHEMA, small_cohort
from tests.shared_ray import SharedRay
from tuner.dashboards import Dashboards
from tuner.run import main as tune

# Two trials at a time on the shared Ray, which has one core.
HALF_A_CORE = ("--cpus-per-trial", "0.5")


@dataclass(frozen=True)
class Ran:
    """What a command said, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Office:
    """Where somebody runs commands on a private trial.

    Args:
        folder: in which they are run; it holds the trial's small.yaml, and results/.
        cohort: the trial's name; its ledger and its split key are in the data directory of all tests.
        shared_ray: on which studies run.
    """

    folder: Path
    cohort: str
    shared_ray: SharedRay

    @classmethod
    def of(cls, folder: Path, cohort: str, shared_ray: SharedRay) -> Office:
        """One with 400 participants who take part in no other trial."""
        return cls.with_schema(folder, {**SMALL_SCHEMA, "name": cohort, "public": False}, shared_ray)

    @classmethod
    def with_schema(
        cls,
        folder: Path,
        schema: dict[str, Any],
        shared_ray: SharedRay,
        enrol: Callable[[Schema], Participants] = lambda schema: small_cohort(schema, 400, 1),
    ) -> Office:
        """One with a trial of its own."""
        cohort, people = schema["name"], enrol(Schema.model_validate(schema))
        write_cohort(replace(people, ids=np.array([f"{cohort} {each}" for each in people.ids])), folder)
        (folder / "small.yaml").write_text(yaml.safe_dump(schema))
        return cls(folder, cohort, shared_ray)

    def study(self, name: str) -> Path:
        """Where a study is written."""
        return self.folder / "results" / name

    def tune(self, *arguments: str) -> Ran:
        """``tuner/run.py`` on the shared Ray."""
        with self.shared_ray.let_in() as address:
            return run(self.folder, tune, "--address", address, *arguments)

    def begin(self, name: str, *arguments: str) -> Ran:
        """A new study of the trial, and the trial's ledger with the first."""
        first = () if any(self.folder.glob("results/*/study.json")) else ("--new-ledger",)
        return self.tune("--cohort", "small.yaml", "--study", name, *first, *HALF_A_CORE, *arguments)

    def resume(self, name: str) -> Ran:
        """Go on with a study."""
        return self.tune("--study", name, "--resume")

    def check(self, name: str) -> Ran:
        """``python -m privacy`` on a study."""
        return run(self.folder, check_ledger, str(self.study(name)))


def run(folder: Path, command: Callable[[Sequence[str]], int], *arguments: str) -> Ran:
    """Run a command in a folder; the pictures that it makes are blank."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), blank_pictures():
        patch.setenv("COLUMNS", "120")
        patch.setattr("tuner.study.dashboards", nobody_watches)
        patch.chdir(folder)
        status = command(arguments)
    return Ran(status, out.getvalue(), err.getvalue())


@contextmanager
def nobody_watches(*_: Any) -> Iterator[Dashboards]:
    """In place of Optuna's dashboard, a process of its own that no test here looks at."""
    yield Dashboards(None, None, None)
