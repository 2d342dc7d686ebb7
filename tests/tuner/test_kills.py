"""However a study is killed, its ledger never counts less than what was run on participants, and hardly more."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from cohorts import Schema, write_cohort
from privacy import DPSGD
from privacy.__main__ import main as check_ledger
from privacy.accounting.events import composed
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from tests.conftest import SMALL_SCHEMA, small_cohort

ROOT = Path(__file__).parents[2]
VICTIMS = ("driver", "trial", "ledger", "pack", "scorer")
PROCESS = {
    "trial": "ray::_Inner",
    "ledger": "ray::LedgerServer",
    "pack": "ray::PackServer",
    "scorer": "ray::Scorer",
}  # Tune wraps a trainable that has parameters
RANDOM_KILLS = 50
ONE_CORE = {"RAY_OVERRIDE_RESOURCES": '{"CPU": 1}'}  # so that all trials are in one pack, two at a time
AT_ONCE = 2  # trials that run at a time


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.tuner.recorded_study", str(folder / "executed.jsonl"), *arguments]
    environment = {**os.environ, "DPGAN_TUNE_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT), **ONE_CORE}
    with (folder / "said.txt").open("a") as said:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said, text=True)


def executed(folder: Path) -> list[dict]:
    file = folder / "executed.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def processes_of(study: subprocess.Popen) -> Iterator[psutil.Process]:
    """Everything a study started, its Ray included."""
    try:
        yield from psutil.Process(study.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return


def wait_until_executed(study: subprocess.Popen, folder: Path, lines: int) -> bool:
    """Wait for so many lines; False if the study ended first."""
    while len(executed(folder)) < lines:
        try:
            study.wait(timeout=0.05)
            return False
        except subprocess.TimeoutExpired:
            continue
    return True


def kill(victim: str, study: subprocess.Popen) -> bool:
    """SIGKILL it; for the driver, with everything it started, as when a machine loses its power."""
    if victim == "driver":
        children = list(processes_of(study))
        study.kill()
        for child in children:
            with_grace(child)
        study.wait()
        return True
    found = [child for child in processes_of(study) if PROCESS[victim] in title(child)]
    for child in found[:1]:
        with_grace(child)
    return bool(found)


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def with_grace(process: psutil.Process) -> None:
    """Kill a process that may be gone already."""
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return


def killed_study(folder: Path, kills: list[tuple[str, int]]) -> int:
    """Run a study and kill parts of it after so many more lines each time; returns how many kills there were."""
    write_cohort(small_cohort(Schema.model_validate(SMALL_SCHEMA), 400, 1), folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL_SCHEMA))
    begin = (
        *("--cohort", "small.yaml", "--study", "killed", "--policy", "composed", "--epsilon", "30"),
        *("--search-space", "smoke", "--trials", "4", "--max-epochs", "9", "--cpus-per-trial", "0.5"),
    )
    study, done = start(folder, *begin), 0
    for victim, lines in kills:
        if not wait_until_executed(study, folder, len(executed(folder)) + lines):
            break
        done += kill(victim, study)
        if victim == "driver":
            study = start(folder, "--study", "killed", "--resume")
    assert study.wait(timeout=400) == 0, (folder / "said.txt").read_text()
    return done


def require_honest_ledger(folder: Path, kills: int) -> None:
    """Never below what was executed; above it by at most one charge in flight for every trial that a kill met."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPGAN_TUNE_DATA", str(folder / "data"))
        ledger = Ledger.open(folder / "data" / "cohorts" / "small" / "ledger.db", read_only=True)
        ledger.verify()
    charges = [charge for _, charge in ledger.books.release_charges()]
    lines = executed(folder)
    ran = [DPSGD(*line["charge"]).event for line in lines if line["what"] == "train"]
    charged = [charge.event for charge in charges if charge.split == "train"]
    in_flight = AT_ONCE * kills
    assert epsilon_by_rdp(composed(charged), 1e-5) >= epsilon_by_rdp(composed(ran), 1e-5) * (1 - 1e-12)
    assert not Counter(map(repr, ran)) - Counter(map(repr, charged)), "everything that ran was charged"
    assert sum((Counter(map(repr, charged)) - Counter(map(repr, ran))).values()) <= in_flight
    scores = sum(line["what"] == "score" for line in lines)
    assert scores <= count(charges, "validation") <= scores + in_flight


def count(charges: list[Charge], split: str) -> int:
    return sum(charge.split == split for charge in charges)


BOTH = [("pack", 2), ("driver", 2)]
ONE_AFTER_ANOTHER = [("trial", 3), ("pack", 2), ("ledger", 2), ("driver", 2)]
# A scorer exists once somebody was scored.
ALONE = [[("driver", 3)], [("trial", 3)], [("ledger", 3)], [("pack", 3)], [("scorer", 5)]]
SLOW = {"all": ONE_AFTER_ANOTHER, **{kills[0][0]: kills for kills in ALONE}}


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(BOTH, id="pack, then driver"),
        *(pytest.param(kills, marks=pytest.mark.slow, id=name) for name, kills in SLOW.items()),
    ],
)
def test_a_killed_study_counts_what_it_ran_and_still_releases(tmp_path, kills):
    assert killed_study(tmp_path, kills) == len(kills)
    require_honest_ledger(tmp_path, len(kills))
    assert (tmp_path / "results" / "killed" / "release" / "privacy_statement.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "data"))
        assert check_ledger([str(tmp_path / "results" / "killed")]) == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_random_kills_are_counted_right(tmp_path):
    chance = random.Random(50)
    done = 0
    for number in range(RANDOM_KILLS):
        if done >= RANDOM_KILLS:
            break
        folder = tmp_path / str(number)
        folder.mkdir()
        kills = killed_study(folder, [(chance.choice(VICTIMS), chance.randint(1, 4)) for _ in range(4)])
        require_honest_ledger(folder, kills)
        done += kills
    assert done >= RANDOM_KILLS
