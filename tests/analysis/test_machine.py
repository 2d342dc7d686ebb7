"""A machine that is short of something is said in a paragraph, whichever library met it."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from ray.exceptions import OutOfDiskError, OutOfMemoryError, RayTaskError

from analysis.errors import AnalysisError
from analysis.machine import MachineError, machine_errors
from cohorts import storage


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("only root may mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_file_that_does_not_fit_on_the_disk(full_disk):
    with pytest.raises(MachineError, match="No space left on device") as said, machine_errors():
        storage.write_bytes(full_disk / "release.csv", bytes(2**20))
    assert "\n" not in str(said.value) and "df -h" in str(said.value)
    assert not list(full_disk.iterdir()), "nothing half-written"


def test_a_database_that_does_not_fit_on_the_disk(full_disk):
    with pytest.raises(MachineError, match="database or disk is full"), machine_errors():
        optuna.create_study(storage=f"sqlite:///{full_disk}/study.db")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EROFS, errno.EIO])
def test_what_is_short_is_said(number):
    with pytest.raises(MachineError, match=os.strerror(number)), machine_errors():
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("short", [OutOfMemoryError("killed"), OutOfDiskError("full"), MemoryError()])
def test_so_is_what_ray_finds_short(short):
    with pytest.raises(MachineError, match=r"there is no (memory|room on its disk) left"), machine_errors():
        raise RayTaskError("step", "traceback", short)


MISTAKES = [
    FileNotFoundError(errno.ENOENT, "missing"),
    sqlite3.OperationalError("no such table"),
    KeyError("a bug"),
    AnalysisError("what to do"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: type(mistake).__name__)
def test_mistakes_are_not_the_machines(mistake):
    with pytest.raises(type(mistake)), machine_errors():
        raise mistake
