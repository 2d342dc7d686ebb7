"""``python -m privacy``: what a study keeps of the ledger, printed and checked."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
from dp_accounting import dp_event

from privacy.__main__ import main
from privacy.errors import LedgerError
from privacy.ledger.entries import Books
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import key_file
from privacy.ledger.receipt import Receipt, read_receipts, record_receipt
from privacy.ledger.study_record import COPY, FIGURES, RECEIPTS, check_record, keep_record
from privacy.ledger.summary import summarise
from tests.privacy.ledgers import BUDGET, SCORE, epoch, ledger_with, private_cohort


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "home"


@pytest.fixture
def study(tmp_path):
    """A finished study's directory: four charges, each with its receipt, then the record."""
    directory = tmp_path / "results" / "first"
    directory.mkdir(parents=True)
    ledger = ledger_with(0)
    for charge in (epoch(), epoch(), epoch(split="validation", event=SCORE), epoch(trial="t2")):
        record_receipt(directory / RECEIPTS, ledger.charge(charge))
    keep_record(ledger, directory, "first")
    ledger.close()
    return directory


def own_ledger():
    return Ledger.for_cohort(private_cohort())


def test_a_whole_study_is_printed_and_passes(study, capsys):
    assert main([str(study)]) == 0
    said = capsys.readouterr().out
    assert "Epsilon 3 at delta 1e-05 (declared)" in said
    assert "4 receipts found" in said
    assert "figures as written" in said
    assert "home" in said  # the cohort's own ledger, where the copy was found


@pytest.mark.parametrize("named", ["", ".", "/"])
def test_a_study_that_names_a_folder_for_a_ledger_is_checked_by_the_cohorts_own(study, named):
    (study / "study.json").write_text(json.dumps({"ledger": named}))
    assert check_record(study).own_ledger == own_ledger().file


def test_later_studies_do_not_spoil_an_earlier_ones_record(study):
    ledger = own_ledger()
    ledger.declare("second", BUDGET)
    ledger.charge(epoch(study="second"))
    checked = check_record(study)
    assert (checked.receipts, len(checked.summary.entries)) == (4, 6)
    assert checked.own_ledger == ledger.file


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        (("guarantee", "epsilon"), 2.0),
        (("spent_of_declared", "train"), 0.1),
        (("sums", 0, "charges"), 2),
        (("sums", 0, "epsilon_by_rdp"), 0.5),
        (("sums", 0, "event", "count"), 1),
        (("declaration", "orders", "train"), 2.0),
        (("entries", 3, "purpose"), "nothing"),
        (("study",), None),
    ],
)
def test_every_written_figure_is_computed_again(study, capsys, where, wrong):
    figures = json.loads((study / FIGURES).read_text())
    place = figures
    for step in where[:-1]:
        place = place[step]
    assert place[where[-1]] != wrong
    place[where[-1]] = wrong
    (study / FIGURES).write_text(json.dumps(figures))
    assert main([str(study)]) == 1
    assert "not what its ledger gives" in capsys.readouterr().err


def test_figures_as_of_an_earlier_charge_fail(study, capsys):
    """Computed rightly, of the first two of four charges: what is published would leave out the others."""
    copy = Ledger.open(study / COPY, read_only=True, copied_from=own_ledger().file)
    early = read_receipts(study / RECEIPTS)[1].count
    summarise(Books(False, copy.books.entries[:early]), copy.cohort, False, "first").write(study / FIGURES)
    assert main([str(study)]) == 1
    assert "not those of all that the study read" in capsys.readouterr().err


def test_figures_of_another_study_fail(study, capsys):
    (study / "study.json").write_text(json.dumps({"study": "second"}))
    assert main([str(study)]) == 1
    assert "not those of all that the study read" in capsys.readouterr().err


def test_figures_of_before_what_a_trial_reports_fail(study):
    with pytest.raises(LedgerError, match="not those of all that the study read"):
        check_record(study, reported=[own_ledger().charge(epoch())])


def test_a_copy_that_lacks_a_receipt_fails(study, capsys):
    record_receipt(study / RECEIPTS, Receipt(9, "ab" * 32))
    assert main([str(study)]) == 1
    assert "there is a receipt for 9" in capsys.readouterr().err


def test_a_missing_copy_fails(study, capsys):
    (study / COPY).unlink()
    assert main([str(study)]) == 1
    assert "There is no ledger at" in capsys.readouterr().err


def test_a_cohorts_ledger_rolled_back_behind_a_study_fails(study, tmp_path, capsys):
    ledger = own_ledger()
    ledger.copy_to(tmp_path / "older.db")
    record_receipt(study / RECEIPTS, ledger.charge(epoch()))
    keep_record(ledger, study, "first")
    ledger.close()
    shutil.copy(tmp_path / "older.db", ledger.file)
    assert main([str(study)]) == 1
    assert "rolled back" in capsys.readouterr().err


def test_figures_that_are_not_json_fail(study, capsys):
    (study / FIGURES).write_text("{")
    assert main([str(study)]) == 1
    assert "does not hold a ledger's figures" in capsys.readouterr().err


def test_a_copy_without_the_key_cannot_be_vouched_for(study, capsys):
    key_file(own_ledger().file).unlink()
    assert main([str(study)]) == 1
    assert "key of the cohort secret's ledger is missing" in capsys.readouterr().err


def test_where_the_cohorts_ledger_is_gone_it_is_the_ledger_that_is_said_to_be_missing(study, capsys):
    file = own_ledger().file
    shutil.rmtree(file.parent)
    assert main([str(study)]) == 1
    said = capsys.readouterr().err
    assert f"The ledger of the cohort secret, {file}, is missing" in said and str(study) not in said


def test_a_record_is_kept_only_of_a_ledger_that_is_whole(study):
    record_receipt(study / RECEIPTS, Receipt(99, "cd" * 32))
    with pytest.raises(LedgerError, match="rolled back"):
        keep_record(own_ledger(), study, "first")


def test_a_cohorts_ledger_is_printed_with_every_entry(study, capsys):
    ledger = own_ledger()
    ledger.charge(epoch(study="unasked", split="test", event=dp_event.NonPrivateDpEvent(), account="internal"))
    assert main([str(ledger.file), "--entries", "--pld", "--receipt", str(ledger.receipt)]) == 0
    said = capsys.readouterr().out
    for word in ("every study", "no budget was declared", "fixed sequence", "train an epoch", "unasked", "infinite"):
        assert word in said


def test_figures_are_written_where_asked(study, tmp_path):
    assert main([str(own_ledger().file), "--study", "first", "--json", str(tmp_path / "figures.json")]) == 0
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["guarantee"] == {"epsilon": 3.0, "delta": 1e-5, "declared": True}
    assert [entry["kind"] for entry in written["entries"]] == ["binding", "declaration"] + ["charge"] * 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["{study}/nothing"],
        ["{study}/.."],
        ["{study}", "--ledger", "{study}/nothing"],
        ["{study}", "--ledger", "{study}/.."],
        ["{study}", "--ledger", "{study}/receipts.jsonl"],
        ["{study}/receipts.jsonl"],
        ["{study}/ledger.db", "--json", "{study}"],
        ["{study}", "--pld"],
        ["{study}/ledger.db", "--delta", "2"],
        ["{study}/ledger.db", "--receipt", "seven"],
    ],
)
def test_a_users_mistake_is_no_mismatch(study, arguments, capsys):
    assert main([each.format(study=study) for each in arguments]) == 2
    assert "error:" in capsys.readouterr().err


def test_a_file_that_was_a_ledger_by_what_lies_beside_it_does_not_hold(study, capsys):
    file = own_ledger().file
    file.write_bytes(b"overwritten")
    assert main([str(file)]) == 1
    assert "no ledger, or one whose beginning is damaged" in capsys.readouterr().err


def test_another_database_is_no_ledger(tmp_path, capsys):
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("CREATE TABLE trials (number INTEGER)")
    assert main([str(tmp_path / "study.db")]) == 2
    assert "study.db is no ledger" in capsys.readouterr().err


def test_the_command_runs_as_a_module(study):
    done = subprocess.run(
        [sys.executable, "-m", "privacy", str(study)], capture_output=True, text=True, env={**os.environ}, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "chain whole" in done.stdout
