"""Where ledgers lie: a site's shared folder, a network file system, a disk that is full or only reads."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cohorts import CohortError, user_data
from privacy.errors import LedgerError, LedgerUnavailable
from privacy.ledger import database
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import ledger_file_of
from tests.conftest import sealed
from tests.privacy.ledgers import epoch, ledger_of, ledger_with, private_cohort, private_participants

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become another account or mount a disk")


pytestmark = pytest.mark.usefixtures("data_home")


@pytest.fixture
def site(tmp_path) -> Path:
    """A folder that a site's accounts share."""
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_a_folder_named_in_the_environment_is_where_a_ledger_and_its_keys_begin(site, data_home, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_LEDGERS", str(site))
    ledger = ledger_with(1)
    assert ledger.file == site / "secret" / "ledger.db"
    assert {"ledger.db", "ledger.db.key", "split.key"} <= {file.name for file in ledger.file.parent.iterdir()}
    assert not data_home.exists()


def test_a_folder_named_in_the_sites_file_is_too_unless_the_environment_says_otherwise(
    site, tmp_path, monkeypatch, data_home
):
    (tmp_path / "dpgan-tune.yaml").write_text(f"ledgers: {site}\n")
    monkeypatch.setattr(user_data, "SITE_FILE", tmp_path / "dpgan-tune.yaml")
    assert ledger_file_of("secret") == data_home / "cohorts" / "secret" / "ledger.db"
    monkeypatch.delenv("DPGAN_TUNE_DATA")
    assert ledger_file_of("secret") == site / "secret" / "ledger.db"


@pytest.mark.parametrize("text", ["ledgers: [1]\n", "- a\n", "ledger: /srv\n", "ledgers: relative\n", "ledgers: {\n"])
def test_a_sites_file_that_cannot_be_meant_is_an_error(tmp_path, monkeypatch, text):
    (tmp_path / "dpgan-tune.yaml").write_text(text)
    monkeypatch.setattr(user_data, "SITE_FILE", tmp_path / "dpgan-tune.yaml")
    monkeypatch.delenv("DPGAN_TUNE_DATA")
    with pytest.raises(CohortError, match=r"dpgan-tune\.yaml"):
        ledger_file_of("secret")


def test_a_folder_that_is_not_there_is_an_error_and_no_other_is_begun(tmp_path, data_home, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_LEDGERS", str(tmp_path / "nowhere"))
    with pytest.raises(CohortError, match="install -d -m 2770"):
        ledger_with(1)
    assert not data_home.exists()


def test_a_ledger_that_a_user_had_before_goes_on_where_it_is(site, monkeypatch):
    own = ledger_with(1)
    own.close()
    monkeypatch.setenv("DPGAN_TUNE_LEDGERS", str(site))
    with closing(Ledger.for_cohort(private_cohort())) as again:
        assert again.file == own.file
    assert not list(site.iterdir())


def test_nor_are_its_people_unknown_under_another_name_in_the_sites_folder(site, monkeypatch):
    ledger_with(1).close()
    monkeypatch.setenv("DPGAN_TUNE_LEDGERS", str(site))
    people = private_participants()
    renamed = replace(people, schema=people.schema.model_copy(update={"name": "renamed"}))
    with pytest.raises(LedgerError, match="known to the ledger of the cohort secret"):
        ledger_of(sealed(renamed))
    assert not list(site.iterdir())


ACCOUNT = """
import os, sys
from privacy.ledger.ledger import Ledger
from tests.privacy.ledgers import BUDGET, EPOCH, epoch, private_cohort


def charge_once(begin):
    ledger = Ledger.for_cohort(private_cohort(), begin=begin)
    ledger.declare("first", BUDGET, {"train": EPOCH})
    ledger.charge(epoch())
    ledger.verify()
    return ledger


charge_once(True)  # as root and elsewhere: whatever has to be imported may lie where the account may not look
user, group, site, command = sys.argv[1:]
os.environ.update(DPGAN_TUNE_LEDGERS=site, DPGAN_TUNE_DATA=f"{site}/own")
os.setgroups([int(group)])
os.setgid(int(user))
os.setuid(int(user))
os.umask(0o077)
ledger = charge_once(command == "begin")
print(ledger.receipt.count, ledger.split_key.hex(), flush=True)
input()
"""
GROUP = 64_321


@as_root
def test_two_accounts_of_a_group_share_one_ledger_and_nobody_else_reads_it(monkeypatch):
    """Both with a umask that shuts everybody out, and the second while the first has the ledger open."""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folder lets no other account in
        site = Path(place) / "site"
        Path(place).chmod(0o755)
        site.mkdir()
        os.chown(site, -1, GROUP)
        site.chmod(0o2770)
        running = []
        for user, command in ((64_001, "begin"), (64_002, "go on")):
            monkeypatch.setenv("DPGAN_TUNE_DATA", f"{place}/{user}")
            process = subprocess.Popen(
                [sys.executable, "-c", ACCOUNT, str(user), str(GROUP), str(site), command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            running.append((process, process.stdout.readline().split()))
        for process, _ in running:
            process.communicate("\n")
        (first, second) = (said for _, said in running)
        assert (int(first[0]), int(second[0])) == (3, 5)  # each bound it, and the first declared the study
        assert first[1] == second[1]
        for file in (site / "secret").iterdir():
            assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_gid) == (0o660, GROUP), file
        assert stat.S_IMODE((site / "secret").stat().st_mode) == 0o2770


def journal_of(file: Path) -> str:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
        return opened.execute("PRAGMA journal_mode").fetchone()[0]


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_on_a_network_file_system_there_is_no_write_ahead_log(monkeypatch, kind):
    here = ledger_with(1)
    assert (journal_of(here.file), here.durable) == ("wal", True)
    here.close()
    monkeypatch.setattr(database, "file_system", lambda file: kind)
    moved = Ledger.for_cohort(private_cohort())
    moved.charge(epoch())
    assert (journal_of(moved.file), moved.durable) == ("delete", True)
    assert not moved.file.with_name("ledger.db-wal").exists()
    moved.verify()


def test_the_system_says_what_a_file_lies_on():
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("no Linux")
    assert database.file_system(Path("/proc/self/mountinfo")) == "proc"


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


@as_root
def test_a_disk_too_small_to_begin_on_is_said_and_left_empty(small_disk, data_home):
    with pytest.raises(LedgerUnavailable, match="full"):
        ledger_with(0, small_disk / "ledger.db")
    assert not list(small_disk.iterdir())
    remount(small_disk, "size=4m")
    ledger_with(0, small_disk / "ledger.db").verify()


@as_root
def test_a_disk_that_is_full_or_only_reads_takes_no_charge_and_the_next_goes_on_from_there(small_disk):
    remount(small_disk, "size=1m")
    ledger = ledger_with(1, small_disk / "ledger.db")
    before = ledger.receipt
    filler = small_disk / "filler"
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    with pytest.raises(LedgerUnavailable, match="make room on its disk"):
        ledger.charge(epoch())
    assert ledger.receipt == before
    filler.unlink()
    ledger.charge(epoch())
    ledger.verify([before])
    assert ledger.receipt.count == before.count + 1
    ledger.close()
    remount(small_disk, "ro")
    with pytest.raises(LedgerUnavailable, match="writable"):
        Ledger.open(small_disk / "ledger.db")


def test_another_process_that_holds_it_is_waited_for_and_then_named(monkeypatch):
    monkeypatch.setattr(database, "WAIT_FOR_OTHERS_S", 0.1)
    ledger = ledger_with(1)
    with closing(sqlite3.connect(ledger.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="another process holds it"):
            ledger.charge(epoch())
        other.execute("ROLLBACK")
    ledger.charge(epoch())


@as_root
def test_a_ledger_that_another_account_keeps_to_itself_is_no_reason_to_begin_another(monkeypatch):
    with tempfile.TemporaryDirectory() as place:
        site = Path(place) / "site"
        site.mkdir()
        Path(place).chmod(0o755)
        (site / "secret").mkdir(mode=0o700)
        site.chmod(0o777)
        process = subprocess.run(
            [sys.executable, "-c", ACCOUNT, "64001", str(GROUP), str(site), "begin"], capture_output=True, text=True
        )
        assert "may not be entered by this account" in process.stderr
