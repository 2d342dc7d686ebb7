"""A ledger that cannot be written to stops a study where it can be resumed, and no trial is given up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from privacy.ledger.ledger import Ledger
from tests.shared_ray import SharedRay
from tests.tuner.commands import Office, Ran

TRIALS = 4
OPTIONS = ("--policy", "composed", "--epsilon", "20", "--trials", str(TRIALS), "--search-space", "smoke")
ROOM_KIB = 140  # for a ledger and a few of its charges

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("small-disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM_KIB}k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay) -> Office:
    return Office.of(tmp_path_factory.mktemp("faults"), "faulty-disk", shared_ray)


@pytest.fixture(scope="module")
def stopped(office: Office, small_disk: Path) -> Ran:
    """A study whose ledger's disk is full after a few charges."""
    return office.begin("full", "--ledger", str(small_disk / "ledger.db"), *OPTIONS, "--max-epochs", "4")


def charges(file: Path) -> int:
    with closing(Ledger.open(file, read_only=True)) as ledger:
        ledger.verify()
        return len(ledger.books.release_charges())


def test_a_full_disk_is_said_in_a_paragraph_with_what_to_do(stopped):
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    said = " ".join(stopped.stderr.split())
    assert "full" in said and "make room on its disk" in said and "Traceback" not in said
    assert "--study full --resume" in stopped.stdout


def test_no_trial_is_given_up_for_it(office, stopped):
    database = f"sqlite:///{office.study('full') / 'study.db'}"
    states = {trial.state for trial in optuna.load_study(study_name="full", storage=database).trials}
    assert states and optuna.trial.TrialState.FAIL not in states
    log = office.study("full") / "trials.jsonl"
    assert not log.exists() or '"failed"' not in log.read_text()
    assert not (office.study("full") / "release").exists()


def test_it_stops_again_while_the_disk_is_full_and_with_room_it_ends_as_if_nothing_had_been(
    office, stopped, small_disk
):
    before = charges(small_disk / "ledger.db")
    assert before > 0
    again = office.resume("full")
    assert again.returncode == 1, again.stdout + again.stderr
    assert "make room on its disk" in " ".join(again.stderr.split())
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    resumed = office.resume("full")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert (office.study("full") / "release" / "privacy_statement.json").exists()
    assert charges(small_disk / "ledger.db") > before
    checked = office.check("full")
    assert checked.returncode == 0, checked.stderr
    assert str(small_disk) in " ".join(checked.stdout.split())
