"""One process for each study, and one account for its files."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import ray

import tuner.ray_cluster
from cohorts import storage
from cohorts.lock import only_one
from tuner.errors import MachineError, StudyError
from tuner.ray_cluster import ray_cluster, ray_folder

HOLDER = """
import sys
from pathlib import Path
from cohorts.lock import only_one
with only_one(Path(sys.argv[1]), ValueError):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_study_that_another_process_runs_is_refused_and_says_who_runs_it(tmp_path):
    study = tmp_path / "results" / "first"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(study)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    with (
        pytest.raises(StudyError, match=rf"first is being run by process {other.pid} on \S+\."),
        only_one(study, StudyError),
    ):
        pass
    other.kill()  # it leaves its file, and the system lets go
    other.communicate()
    with only_one(study, StudyError):
        (study / "study.json").touch()
    assert [file.name for file in study.iterdir()] == ["study.json"]


def test_a_study_that_was_refused_leaves_no_folder(tmp_path):
    with pytest.raises(StudyError, match="no room"), only_one(tmp_path / "results" / "first", StudyError):
        raise StudyError("no room")
    assert not (tmp_path / "results" / "first").exists()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "results").touch()
    with (
        pytest.raises(StudyError, match=r"results/first cannot be made .* Name another folder"),
        only_one(tmp_path / "results" / "first", StudyError),
    ):
        pass


def test_what_is_made_in_private_only_its_owner_reads_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        with storage.private_files():
            storage.write_text(tmp_path / "whole", "text")
            (tmp_path / "folder").mkdir()
            (tmp_path / "file").touch()
            subprocess.run([sys.executable, "-c", "open('of-a-child', 'w')"], cwd=tmp_path, check=True)
        assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_rays_sockets_and_logs_lie_where_no_other_account_gets(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    before = os.umask(0)
    try:
        folder = ray_folder()
    finally:
        os.umask(before)
    folder.mkdir(mode=0o777)  # as Ray does
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    folder.parent.chmod(0o777)
    assert ray_folder().parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", ["a link", "a file"])
def test_a_folder_that_somebody_else_prepared_for_ray_is_not_used(tmp_path, monkeypatch, place):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    folder = tmp_path / f"dpgan-tune-{os.getuid()}"
    if place == "a link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.touch()
    with pytest.raises(StudyError, match="RAY_TMPDIR"):
        ray_folder()


def test_a_ray_that_does_not_start_is_a_paragraph_after_a_second_try(monkeypatch):
    tried = []

    def busy(**options):
        tried.append(options["address"])
        raise TimeoutError("The current node timed out during startup.\nstack")

    monkeypatch.setattr(tuner.ray_cluster.ray, "init", busy)
    with (
        pytest.raises(MachineError, match=r"timed out during startup\. The machine may be too busy"),
        ray_cluster(None),
    ):
        pass
    assert tried == ["local", "local"]


def test_workers_of_a_local_study_weigh_as_much_as_the_program_that_started_it():
    with ray_cluster(None):
        assert ray.get(ray.remote(lambda: os.nice(0)).remote()) == os.nice(0)


def test_after_a_study_on_this_machine_a_clusters_encryption_is_still_on(monkeypatch):
    encrypted = []

    def init(address, **options):
        encrypted.append((address, os.environ["RAY_USE_TLS"]))
        return SimpleNamespace(address_info={})

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    for address in (None, "auto"):
        with ray_cluster(address):
            pass
    assert encrypted == [("local", "0"), ("auto", "1")]
