"""``python -m privacy backup | restore | where``: a ledger comes back whole, for its owner alone, and never older."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from privacy.__main__ import main
from privacy.accounting.budget import Budget
from privacy.errors import LedgerError
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import key_file, receipts_file
from privacy.ledger.receipt import record_receipt
from privacy.ledger.study_record import RECEIPTS, keep_record
from tests.privacy.ledgers import EPOCH, epoch, ledger_with, private_cohort, public_cohort
from tests.privacy.secret_search import ledger_of as ledger_of_secret_runs

CHARGED = 3


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def file() -> Path:
    """A private cohort's ledger, and one look of its steward, of which a receipt lies beside it."""
    ledger = ledger_with(CHARGED)
    ledger.read_internally(private_cohort(), "first", "report")
    ledger.close()
    return ledger.file


@pytest.fixture
def backup(file, tmp_path) -> Path:
    Ledger.for_cohort(public_cohort()).close()
    assert main(["backup", str(tmp_path / "ledgers.backup")]) == 0
    return tmp_path / "ledgers.backup"


def complaint(capsys: pytest.CaptureFixture, *arguments: object, status: int = 1) -> str:
    capsys.readouterr()
    assert main([str(each) for each in arguments]) == status
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and len(said.err.splitlines()) == 1
    return said.err


def charge_once_more(file: Path) -> None:
    ledger = Ledger.open(file)
    ledger.charge(epoch())
    ledger.close()


def everything(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_a_lost_data_directory_comes_back_and_goes_on_being_charged(backup, file, data_home):
    split_key = (file.parent / "split.key").read_bytes()
    before = Ledger.open(file, read_only=True).receipt
    shutil.rmtree(data_home)
    assert main(["restore", str(backup)]) == 0
    assert Ledger.open(file, read_only=True).receipt == before
    ledger = Ledger.for_cohort(private_cohort())
    ledger.verify([before])
    assert ledger.split_key == split_key
    ledger.charge(epoch())
    assert ledger.durable
    assert main([str(file)]) == 0
    for part in (file, key_file(file), receipts_file(file), file.parent / "split.key"):
        assert stat.S_IMODE(part.stat().st_mode) == 0o600


def test_a_backup_is_its_owners_alone_and_no_other_is_written_over(backup, file, capsys):
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    before = backup.read_bytes()
    assert "there already" in complaint(capsys, "backup", backup, status=2)
    assert backup.read_bytes() == before


def test_a_ledger_that_does_not_pass_its_check_is_not_backed_up(file, tmp_path, capsys):
    record_receipt(receipts_file(file), ledger_with(0, tmp_path / "other.db", private_cohort("other")).receipt)
    complaint(capsys, "backup", tmp_path / "none.backup")
    assert not (tmp_path / "none.backup").exists()


def test_a_ledger_that_holds_more_than_the_backup_is_not_taken_back(backup, file, data_home, capsys):
    charge_once_more(file)
    before = everything(data_home)
    said = complaint(capsys, "restore", backup)
    assert "knows of 9" in said and "would be forgotten" in said
    assert {name: everything(data_home)[name] for name in before} == before


def test_nor_is_one_that_is_lost_where_its_receipts_know_of_more(backup, file, capsys):
    ledger = Ledger.open(file)
    ledger.read_internally(private_cohort(), "first", "another look")
    ledger.close()
    file.unlink()
    assert f"{receipts_file(file)} knows of 11" in complaint(capsys, "restore", backup)
    assert not file.exists()


def test_nor_is_one_that_is_lost_where_a_study_knows_of_more(backup, file, data_home, tmp_path, capsys):
    study = tmp_path / "results" / "first"
    study.mkdir(parents=True)
    ledger = Ledger.open(file)
    record_receipt(study / RECEIPTS, ledger.charge(epoch()))
    keep_record(ledger, study, "first")
    ledger.close()
    shutil.rmtree(data_home)
    assert "rolled back" in complaint(capsys, "restore", backup)
    assert not data_home.exists()


def test_nor_where_a_study_knows_of_more_that_has_not_finished(backup, file, data_home, tmp_path, capsys):
    study = tmp_path / "results" / "first"
    study.mkdir(parents=True)
    ledger = Ledger.open(file)
    record_receipt(study / RECEIPTS, ledger.charge(epoch()), ledger.cohort)
    ledger.close()
    shutil.rmtree(data_home)
    assert "rolled back" in complaint(capsys, "restore", backup)


def test_nor_where_a_trial_of_a_study_knows_of_more_that_was_killed(backup, file, data_home, tmp_path, capsys):
    study = tmp_path / "results" / "first"
    study.mkdir(parents=True)
    ledger = Ledger.open(file)
    record_receipt(study / RECEIPTS, ledger.receipt, ledger.cohort)
    lines = [{"trial": "a", "ended": "completed"}, {"trial": "b", "report": {"ledger": str(ledger.charge(epoch()))}}]
    (study / "trials.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"trial": "c", "repo')
    ledger.close()
    shutil.rmtree(data_home)
    assert "rolled back" in complaint(capsys, "restore", backup)


def test_a_folder_called_as_a_log_keeps_nothing_from_being_restored(backup, file, data_home, tmp_path):
    (tmp_path / "results" / "first" / "trials.jsonl").mkdir(parents=True)
    ledger = Ledger.open(file, read_only=True)
    record_receipt(tmp_path / "results" / "first" / RECEIPTS, ledger.receipt, ledger.cohort)
    with (tmp_path / "results" / "first" / RECEIPTS).open("a") as stream:
        stream.write("x}")
    ledger.close()
    shutil.rmtree(data_home)
    assert main(["restore", str(backup)]) == 0


@pytest.mark.parametrize("line", ["", "[1]", '{"count": 3}', '{"count": 9, "head": "zz"}', '{"cohort": 5, "count'])
def test_what_is_no_receipt_of_a_study_keeps_nothing_from_being_restored(backup, data_home, tmp_path, line):
    study = tmp_path / "results" / "first"
    study.mkdir(parents=True)
    (study / RECEIPTS).write_text(line + "\n")
    (study / "trials.jsonl").write_text(line + "\n")
    shutil.rmtree(data_home)
    assert main(["restore", str(backup)]) == 0


def test_a_charge_that_is_taken_away_is_missed(file, tmp_path):
    """Though no study was told of it: its receipt lies beside the ledger."""
    shutil.copy(file, tmp_path / "older.db")
    charge_once_more(file)
    shutil.copy(tmp_path / "older.db", file)
    with pytest.raises(LedgerError, match="rolled back to an older copy"):
        Ledger.open(file).verify()


def test_one_that_was_rolled_back_is_brought_forward_in_its_place(file, tmp_path, capsys):
    older = tmp_path / "older.backup"
    assert main(["backup", str(older)]) == 0
    shutil.copy(file, tmp_path / "older.db")
    charge_once_more(file)
    newest = Ledger.open(file, read_only=True).receipt
    assert main(["backup", str(tmp_path / "newer.backup")]) == 0
    shutil.copy(tmp_path / "older.db", file)
    reader = Ledger.open(file)  # in use meanwhile
    assert main(["restore", str(tmp_path / "newer.backup")]) == 0
    reader.verify([newest])
    assert "rolled back" not in capsys.readouterr().err
    assert "knows of 9" in complaint(capsys, "restore", older)


def test_a_damaged_one_is_kept_aside(backup, file):
    file.write_bytes(b"not a database at all" * 500)
    assert main(["restore", str(backup)]) == 0
    Ledger.for_cohort(private_cohort()).verify()
    assert len(list(file.parent.glob("ledger.db.damaged-*"))) == 1


def test_restoring_what_is_there_changes_nothing(backup, data_home, capsys):
    before = everything(data_home)
    assert main(["restore", str(backup)]) == 0
    assert "was as in the backup" in capsys.readouterr().out
    assert everything(data_home) == before


def test_another_ledger_of_the_same_name_is_not_replaced(backup, file, data_home, capsys):
    shutil.rmtree(data_home)
    ledger_with(1).close()
    assert "another ledger of that name" in complaint(capsys, "restore", backup)


@pytest.mark.parametrize("lost", ["folder", "file", "damaged"])
def test_no_backup_gives_runs_back_what_they_have_used_since(tmp_path, data_home, lost):
    ledger = ledger_of_secret_runs()
    with ledger.chain.alone():
        ledger.chain.keep_secrets("first", {0: {"config": {"width": 8}, "left": {}}})
    file = ledger.file
    ledger.close()
    assert main(["backup", str(tmp_path / "ledgers.backup")]) == 0
    if lost == "folder":
        shutil.rmtree(data_home)
    elif lost == "file":
        file.unlink()
    else:
        file.write_bytes(b"x" * 4096)
    assert main(["restore", str(tmp_path / "ledgers.backup")]) == 0
    assert Ledger.for_cohort(private_cohort()).chain.secrets("first") == {}


def test_one_ledger_elsewhere_is_backed_up_and_put_elsewhere(tmp_path, data_home):
    ledger = ledger_with(1, tmp_path / "kept" / "trial.db")
    before = ledger.receipt
    ledger.close()
    assert main(["backup", str(tmp_path / "one.backup"), "--ledger", str(ledger.file)]) == 0
    shutil.rmtree(ledger.file.parent)
    assert main(["restore", str(tmp_path / "one.backup"), "--ledger", str(tmp_path / "there" / "trial.db")]) == 0
    Ledger.for_cohort(private_cohort(), tmp_path / "there" / "trial.db").verify([before])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_backup_is_refused(tmp_path, data_home, capsys, content):
    (tmp_path / "wrong").write_bytes(content)
    assert "cannot be read as a backup" in complaint(capsys, "restore", tmp_path / "wrong", status=2)
    assert not data_home.exists()


def test_where_there_is_nothing_to_restore_or_to_back_up_the_command_is_to_be_mended(tmp_path, data_home, capsys):
    (tmp_path / "notes").write_text("no ledger")
    for wrong, said in ((tmp_path, "is a directory"), (tmp_path / "nowhere", "no such file")):
        assert said in complaint(capsys, "restore", wrong, status=2)
    assert "There is no ledger in" in complaint(capsys, "backup", tmp_path / "all.backup", status=2)
    for wrong, said in ((tmp_path, "is a folder"), ("nowhere", "There is no"), (tmp_path / "notes", "is no ledger")):
        assert said in complaint(capsys, "backup", tmp_path / "one.backup", "--ledger", wrong, status=2)
    assert not data_home.exists()


def test_an_edited_backup_is_refused(backup, data_home, tmp_path, capsys):
    shutil.rmtree(data_home)
    with zipfile.ZipFile(backup) as read, zipfile.ZipFile(tmp_path / "edited", "w") as write:
        for name in read.namelist():
            content = read.read(name)
            write.writestr(name, content.replace(b'"study":"first"', b'"study":"other"'))
    assert "Restore the newest copy" in complaint(capsys, "restore", tmp_path / "edited")
    assert not data_home.exists()


def test_where_shows_every_ledger_and_what_is_missing_beside_it(backup, file, data_home, capsys):
    (file.parent / "split.key").unlink()
    damaged = data_home / "cohorts" / "broken" / "ledger.db"
    damaged.parent.mkdir()
    damaged.write_bytes(b"no database" * 100)
    capsys.readouterr()
    assert main(["where"]) == 0
    said = capsys.readouterr().out
    for word in (str(data_home / "cohorts"), str(file), "split.key", "small", "broken", "damaged"):
        assert word in said


def test_a_study_is_looked_up_in_the_ledger_that_it_was_charged_to(tmp_path, data_home, capsys):
    """Though an older copy stands in the data directory, from before the ledger was moved."""
    study, moved = tmp_path / "results" / "second", tmp_path / "kept" / "trial.db"
    study.mkdir(parents=True)
    ledger_with(1).close()
    assert main(["backup", str(tmp_path / "one.backup")]) == 0
    assert main(["restore", str(tmp_path / "one.backup"), "--ledger", str(moved)]) == 0
    ledger = Ledger.for_cohort(private_cohort(), moved)
    ledger.declare("second", Budget(9.0, 1e-5), {"train": EPOCH})
    record_receipt(study / RECEIPTS, ledger.charge(epoch(study="second")))
    keep_record(ledger, study, "second")
    ledger.close()
    (study / "study.json").write_text(json.dumps({"ledger": str(moved)}))
    assert main([str(study)]) == 0
    assert f"found in {moved}" in capsys.readouterr().out
