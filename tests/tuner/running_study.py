"""A small study in a process of its own, which records what it runs on participants, and can be harmed meanwhile.

Used by tests, and by ``benchmarks.faults``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from cohorts import Schema, write_cohort
from privacy import DPSGD
from privacy.__main__ import main as check_ledger
from privacy.accounting.events import composed
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.ledger.actor import LedgerServer
from privacy.ledger.ledger import Ledger
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.service.packs import PackServer
from trainables.service.scorers import Scorer
from trainables.service.trials import DPGANTrial

ROOT = Path(__file__).parents[2]
ACTORS = {"trial": DPGANTrial, "ledger": LedgerServer, "pack": PackServer, "scorer": Scorer}
TITLES = {part: f"ray::{actor.__name__}" for part, actor in ACTORS.items()} | {"raylet": "raylet/raylet"}
ONE_CORE = {"RAY_OVERRIDE_RESOURCES": '{"CPU": 1}'}  # so that all trials are in one pack, two at a time
AT_ONCE = 2  # trials that run at a time
NAME, TRIALS = "harmed", 4
BEGIN = (
    *("--cohort", "small.yaml", "--study", NAME, "--policy", "composed", "--epsilon", "30"),
    *("--search-space", "smoke", "--trials", str(TRIALS), "--max-epochs", "9", "--cpus-per-trial", "0.5"),
)


@dataclass(frozen=True)
class Ground:
    """Where one study is run.

    Args:
        folder: of the cohort, of what the study says and of what it ran; and unless told otherwise, of its results.
        public: whether the cohort is.
        out: folder of results, where it is not the folder's own.
        ledger: where it is not in the folder's data directory.
        environment: variables of the study's.
    """

    folder: Path
    public: bool = True
    out: Path | None = None
    ledger: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def study(self) -> Path:
        """The study's folder."""
        return (self.out or self.folder / "results") / NAME

    @property
    def ledger_file(self) -> Path:
        """The cohort's ledger."""
        return self.ledger or self.data / "cohorts" / "small" / "ledger.db"

    def prepare(self) -> None:
        """Enrol 400 participants."""
        schema = {**SMALL_SCHEMA, "public": self.public}
        write_cohort(small_cohort(Schema.model_validate(schema), 400, 1), self.folder)
        (self.folder / "small.yaml").write_text(yaml.safe_dump(schema))

    def begin(self, *more: str, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start the study.

        Args:
            more: options.
            under: a command that runs what follows it, to limit it, say.
        """
        return self._start(*BEGIN, *(["--ledger", str(self.ledger)] if self.ledger else []), *more, under=under)

    def resume(self, under: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Go on with the study."""
        return self._start("--study", NAME, "--resume", under=under)

    def _start(self, *arguments: str, under: Sequence[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.tuner.recorded_study", str(self.folder / "executed.jsonl")]
        where = ["--out", str(self.out)] if self.out else []
        own = {"DPGAN_TUNE_DATA": str(self.data), "PYTHONPATH": str(ROOT), **ONE_CORE, **self.environment}
        with (self.folder / "said.txt").open("a") as said:
            return subprocess.Popen(
                [*under, *command, *arguments, *where],
                cwd=self.folder,
                env={**os.environ, **own},
                stdout=said,
                stderr=said,
                text=True,
            )

    @property
    def said(self) -> str:
        """Everything it has said so far."""
        return (self.folder / "said.txt").read_text()

    def executed(self) -> list[dict[str, Any]]:
        """What was run on participants so far."""
        file = self.folder / "executed.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_until_executed(self, study: subprocess.Popen[str], lines: int) -> bool:
        """Wait for so many lines; False if the study ended first."""
        while len(self.executed()) < lines:
            try:
                study.wait(timeout=0.05)
                return False
            except subprocess.TimeoutExpired:
                continue
        return True

    def counted(self) -> Counted:
        """Compare the ledger, which must be whole, with what was run."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DPGAN_TUNE_DATA", str(self.data))
            with closing(Ledger.open(self.ledger_file, read_only=True)) as ledger:
                ledger.verify()
                charges = [charge for _, charge in ledger.books.release_charges()]
        lines = self.executed()
        ran = [DPSGD(*line["charge"]).event for line in lines if line["what"] == "train"]
        charged = [charge.event for charge in charges if charge.split == "train"]
        scores = sum(line["what"] == "score" for line in lines)
        paid = sum(charge.split == "validation" for charge in charges)
        under, over = _surplus(ran, charged), _surplus(charged, ran)
        less = epsilon_by_rdp(composed(charged), 1e-5) < epsilon_by_rdp(composed(ran), 1e-5) * (1 - 1e-12)
        return Counted(max(under, less), over, max(0, scores - paid), max(0, paid - scores))

    def is_released(self) -> bool:
        """Whether there is a release, and the study's ledger passes its check."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DPGAN_TUNE_DATA", str(self.data))
            there = (self.study / "release" / "privacy_statement.json").exists()
            return there and check_ledger([str(self.study)]) == 0


@dataclass(frozen=True)
class Counted:
    """How a ledger differs from what was run: never less, and more only by what was in flight at a fault.

    Args:
        training_missing: segments of training that ran and were not charged.
        training_over: that were charged and did not run.
        scores_missing: likewise of scores.
        scores_over: likewise.
    """

    training_missing: int
    training_over: int
    scores_missing: int
    scores_over: int


def _surplus(these: list[Any], those: list[Any]) -> int:
    return sum((Counter(map(repr, these)) - Counter(map(repr, those))).values())


def processes_of(study: subprocess.Popen[str]) -> Iterator[psutil.Process]:
    """Everything a study started, its Ray included."""
    try:
        yield from psutil.Process(study.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return


def kill(victim: str, study: subprocess.Popen[str]) -> bool:
    """SIGKILL it; for the driver, with everything it started, as when a machine loses its power."""
    if victim == "driver":
        children = list(processes_of(study))
        study.kill()
        for child in children:
            _kill(child)
        study.wait()
        return True
    found = process_of(victim, study)
    if found:
        _kill(found)
    return found is not None


def process_of(part: str, study: subprocess.Popen[str]) -> psutil.Process | None:
    """The process of a part of a study, one of them where there are several; Ray's workers may be forks of another."""
    known = chain(processes_of(study), psutil.Process().children(recursive=True))
    return next((child for child in known if TITLES[part] in _title(child)), None)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill(process: psutil.Process) -> None:
    """Kill a process that may be gone already."""
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return
