"""What the ledger said is remembered beside it, too: whoever takes away its last entries is found out.

Each charge leaves a receipt there. No trial and no checkpoint holds one of a look at real participants, or of what was
settled: these would be the easiest to lose.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
from pathlib import Path
from typing import get_args

import pytest

from privacy.__main__ import main
from privacy.errors import LedgerError
from privacy.ledger import ledger as ledger_module
from privacy.ledger.charge import Purpose
from privacy.ledger.commitment import Settled
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import receipts_file
from privacy.ledger.receipt import Receipt, read_receipts, record_receipt
from privacy.ledger.study_record import COPY, RECEIPTS, check_record, keep_record
from privacy.ledger.summary import looks
from privacy.mechanisms.dpsgd import DPSGD
from tests.privacy.ledgers import epoch, ledger_with, part, private_cohort

BEFORE = 4  # entries: a binding, a declaration, two charges
CHARGES = (3, 4)  # which leave a receipt each
LOOK = 3  # one for each split
AFTER = BEFORE + 1 + LOOK  # the ledger is bound to its participants by each command that opens it for them

STEP = DPSGD(sampling_rate=0.1, noise_multiplier=4.0, steps=1)


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "home"


@pytest.fixture
def study(tmp_path) -> Path:
    """A finished study's directory, with a receipt of each of its charges."""
    directory = tmp_path / "results" / "first"
    directory.mkdir(parents=True)
    ledger = ledger_with(0)
    for _ in range(2):
        record_receipt(directory / RECEIPTS, ledger.charge(epoch()))
    keep_record(ledger, directory, "first")
    ledger.copy_to(tmp_path / "older.db")
    ledger.close()
    return directory


@pytest.fixture
def looked(study) -> Path:
    """The cohort's ledger, after the steward of that study looked at real participants."""
    ledger = own_ledger()
    record_receipt(study / RECEIPTS, look(ledger))
    ledger.close()
    return ledger.file


def test_the_copy_in_a_study_holds_nothing_of_anybody(study):
    """Not even how many there are: a table with a row for each participant would tell who joined or left."""
    with contextlib.closing(sqlite3.connect(study / COPY)) as copy:
        tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"header", "entries"}
    with contextlib.closing(sqlite3.connect(own_ledger().file)) as whole:
        fingerprints = [each for (each,) in whole.execute("SELECT fingerprint FROM participants")]
    content = (study / COPY).read_bytes()
    assert fingerprints and not any(each.encode() in content for each in fingerprints)


def own_ledger() -> Ledger:
    return Ledger.for_cohort(private_cohort())


def look(ledger: Ledger, words: str = "report for the data steward") -> Receipt:
    receipt = ledger.read_internally(private_cohort(), "first", words).receipt
    assert receipt is not None
    return receipt


def cut(file: Path, after: int) -> None:
    """Take away the last entries, as someone who knows SQLite would; the chain of those that stay is whole."""
    with sqlite3.connect(file) as database:
        database.execute("DROP TRIGGER entries_stay")
        database.execute("DELETE FROM entries WHERE number > ?", (after,))
    database.close()
    Ledger.open(file, read_only=True).close()


def complaint(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    """What ``python -m privacy`` says, which must be one paragraph with status 1."""
    assert main([str(each) for each in arguments]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and len(said.err.splitlines()) == 1
    assert "Checked:" not in said.out
    return said.err


def test_a_look_leaves_a_receipt_of_its_last_entry_beside_the_ledger(looked):
    beside = looked.with_name("ledger.db.receipts")
    assert receipts_file(looked) == beside
    ledger = Ledger.open(looked, read_only=True)
    assert read_receipts(beside)[-1] == ledger.receipt
    assert (ledger.receipt.count, looks(ledger.books.entries)) == (AFTER, 1)
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_the_receipt_is_there_before_anybody_is_opened(study, monkeypatch):
    """So a crash in between counts a look that never was, and forgets none that was."""
    ledger, seen = own_ledger(), []

    def opened(cohort):
        seen.append(([each.count for each in read_receipts(receipts_file(ledger.file))], len(ledger.books.entries)))
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger_module, "opened", opened)
    with pytest.raises(KeyboardInterrupt):
        look(ledger)
    assert seen == [([*CHARGES, AFTER], AFTER)]


def test_a_look_gives_a_receipt_as_any_other_reading_does(study):
    ledger = own_ledger()
    for read in (lambda: ledger.read(part("train"), STEP, Purpose("first", "train")).receipt, lambda: look(ledger)):
        receipt = read()
        assert receipt == ledger.receipt
        ledger.verify([receipt])


@pytest.mark.parametrize("kept", [BEFORE, BEFORE + 1, AFTER - 1])
def test_a_look_that_is_taken_out_of_the_ledger_is_missed(looked, study, kept, capsys):
    """All of it or some of its entries, and whether the ledger is asked or the study."""
    cut(looked, after=kept)
    with pytest.raises(LedgerError, match=rf"has {kept} entries, but there is a receipt for {AFTER}.*removed.*Restore"):
        Ledger.open(looked, read_only=True).verify()
    assert "last entries were removed" in complaint(capsys, looked)
    assert "last entries were removed" in complaint(capsys, study)


def test_an_older_copy_of_the_ledger_does_not_undo_a_look(looked, study, tmp_path, capsys):
    shutil.copy(tmp_path / "older.db", looked)
    with pytest.raises(LedgerError, match="rolled back to an older copy"):
        own_ledger().verify()
    for path in (looked, study):
        assert "rolled back to an older copy" in complaint(capsys, path)


@pytest.mark.parametrize("then", ["further charges", "another look"])
def test_it_is_missed_however_much_is_written_afterwards(looked, study, then, capsys):
    """A ledger that was rolled back and written on is as long as it was, or longer."""
    cut(looked, after=BEFORE)
    ledger = own_ledger()
    if then == "another look":
        look(ledger)
    else:
        for _ in range(5):
            ledger.charge(epoch(event=STEP.event))
    assert len(ledger.books.entries) >= AFTER
    with pytest.raises(LedgerError, match=rf"Entry {AFTER} .* is not the one a receipt names"):
        ledger.verify()
    ledger.close()
    for path in (looked, study):
        assert "is not the one a receipt names" in complaint(capsys, path)


def test_any_of_several_looks_is_missed(looked, study, capsys):
    ledger = own_ledger()
    for words in ("a second look", "a third look"):
        look(ledger, words)
    ledger.close()
    assert [each.count for each in read_receipts(receipts_file(looked))] == [
        *CHARGES,
        AFTER,
        AFTER + 1 + LOOK,
        AFTER + 1 + 2 * LOOK,
    ]
    Ledger.open(looked, read_only=True).verify()
    assert main([str(study)]) == 0
    capsys.readouterr()
    cut(looked, after=AFTER + 1 + LOOK)  # the second is still there
    assert f"a receipt for {AFTER + 1 + 2 * LOOK}" in complaint(capsys, looked)


def test_a_charge_that_is_taken_out_is_missed_as_a_look_is(study, capsys):
    """An entry further back cannot be taken out alone: its successors are hashed over it."""
    file = own_ledger().file
    cut(file, after=3)
    assert "has 3 entries, but there is a receipt for 4" in complaint(capsys, file)


def test_a_receipt_removed_with_its_entries_is_still_the_studys(looked, study, capsys):
    """Whoever tidies up the ledger's folder has not been in the study's."""
    cut(looked, after=BEFORE)
    receipts_file(looked).unlink()
    own_ledger().verify()  # by itself the ledger cannot tell
    assert "last entries were removed" in complaint(capsys, study)


def test_a_study_whose_record_does_not_have_the_look_misses_it_too(looked, study, capsys):
    """It was another study's, or its steward's receipt was lost: the ledger's own receipts are asked as well."""
    kept = read_receipts(study / RECEIPTS)
    (study / RECEIPTS).unlink()
    for receipt in kept[:-1]:
        record_receipt(study / RECEIPTS, receipt)
    assert check_record(study).own_ledger == looked
    cut(looked, after=BEFORE)
    assert "last entries were removed" in complaint(capsys, study)


def test_receipts_that_were_edited_are_noticed(looked, study, capsys):
    receipts_file(looked).write_text("nothing was ever read\n")
    for path in (looked, study):
        assert "ledger.db.receipts is not a receipt: someone edited the file" in complaint(capsys, path)


def test_a_receipt_of_something_that_never_was_is_noticed(looked, capsys):
    record_receipt(receipts_file(looked), Receipt(AFTER, "ab" * 32))
    assert f"Entry {AFTER} of the ledger" in complaint(capsys, looked)


@pytest.mark.parametrize("what", get_args(Settled))
def test_what_was_settled_cannot_be_forgotten_by_removing_its_entry(study, what, capsys):
    """That a release was sealed, above all: another could be drawn, and its statement would not say so."""
    ledger = own_ledger()
    receipt = ledger.settle("first", what, "a digest")
    assert ledger.settled("first", what, "a digest")
    assert read_receipts(receipts_file(ledger.file))[-1] == receipt
    ledger.close()
    assert main([str(ledger.file)]) == 0
    capsys.readouterr()
    cut(ledger.file, after=BEFORE)
    assert not own_ledger().settled("first", what, "a digest")
    for path in (ledger.file, study):
        assert "last entries were removed" in complaint(capsys, path)


def test_a_copy_of_the_ledger_is_checked_without_the_receipts_of_the_original(looked, tmp_path):
    """It is as of an earlier time, and says so."""
    older = Ledger.open(tmp_path / "older.db", read_only=True)
    older.verify()
    assert len(older.books.entries) == BEFORE
