"""Everything that can happen to a ledger's file between two studies, by accident or on purpose."""

import hashlib
import hmac
import json
import shutil
import sqlite3

import numpy as np
import pytest
from dp_accounting import dp_event

from cohorts import Schema
from privacy.accounting.events import canonical_json
from privacy.errors import LedgerError
from privacy.ledger.ledger import Ledger
from privacy.ledger.places import ledger_file, receipts_file
from privacy.ledger.receipt import Receipt
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from tests.privacy.ledgers import BUDGET, epoch, ledger_with, private_cohort, private_participants, public_cohort

pytestmark = pytest.mark.usefixtures("data_home")


@pytest.fixture
def file():
    """A closed ledger of six entries: a binding, a declaration, four charges."""
    ledger = ledger_with(4)
    ledger.close()
    return ledger.file


def tamper(file, *statements):
    """Write into a ledger's file as someone who knows SQLite would."""
    with sqlite3.connect(file) as database:
        database.execute("DROP TRIGGER IF EXISTS entries_stay")
        database.execute("DROP TRIGGER IF EXISTS entries_last")
        for statement in statements:
            database.execute(*statement) if isinstance(statement, tuple) else database.execute(statement)
    database.close()


def content_of(file, number):
    with sqlite3.connect(file) as database:
        return database.execute("SELECT content FROM entries WHERE number = ?", (number,)).fetchone()[0]


def rehash(file, key):
    """Make the chain consistent again, as only someone with the key can, and forget what lies beside it."""
    receipts_file(file).unlink(missing_ok=True)
    with sqlite3.connect(file) as database:
        (header,) = database.execute("SELECT content FROM header").fetchone()
        head = hmac.new(key, f"\n0\n{header}".encode(), hashlib.sha256).hexdigest()
        for number, content in database.execute("SELECT number, content FROM entries ORDER BY number").fetchall():
            head = hmac.new(key, f"{head}\n{number}\n{content}".encode(), hashlib.sha256).hexdigest()
            database.execute("UPDATE entries SET hash = ? WHERE number = ?", (head, number))
    database.close()


def test_a_removed_ledger_is_missed(file):
    file.unlink()
    with pytest.raises(LedgerError, match=r"missing though its key is there.*Restore"):
        Ledger.for_cohort(private_cohort())
    with pytest.raises(LedgerError, match="There is no ledger at"):
        Ledger.open(file)


def test_an_emptied_ledger_is_not_begun_anew(file):
    file.write_bytes(b"")
    with pytest.raises(LedgerError, match="empty or not a ledger"):
        Ledger.for_cohort(private_cohort())


def test_a_ledger_without_its_key_is_not_believed(file):
    file.with_name("ledger.db.key").unlink()
    with pytest.raises(LedgerError, match=r"key of the cohort secret's ledger is missing.*Restore"):
        Ledger.for_cohort(private_cohort())


@pytest.mark.parametrize(
    ("was", "becomes"),
    [('"study":"first"', '"study":"other"'), ('"count":10', '"count":1'), ('"split":"train"', '"split":"test"')],
)
def test_an_edited_entry_breaks_the_chain(file, was, becomes):
    content = content_of(file, 4)
    assert was in content
    tamper(file, ("UPDATE entries SET content = ? WHERE number = 4", (content.replace(was, becomes),)))
    with pytest.raises(LedgerError, match="broken at entry 4"):
        Ledger.for_cohort(private_cohort())


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries WHERE number = 4",
        "DELETE FROM entries WHERE number = 1",
        "UPDATE entries SET number = 99 WHERE number = 4",
        "UPDATE entries SET hash = substr(hash, 2) || '0' WHERE number = 5",
        "UPDATE entries SET hash = 'ß' || substr(hash, 2) WHERE number = 5",
        "INSERT INTO entries SELECT 7, content, hash FROM entries WHERE number = 6",
        "UPDATE header SET content = replace(content, 'secret', 'sacred')",
    ],
)
def test_rows_removed_moved_added_or_rehashed_break_the_chain(file, statement):
    tamper(file, statement)
    with pytest.raises(LedgerError, match=r"Restore"):
        Ledger.for_cohort(private_cohort())


def test_a_damaged_file_says_so(file):
    file.write_bytes(b"not a database at all" * 500)
    with pytest.raises(LedgerError, match=r"damaged.*Restore"):
        Ledger.for_cohort(private_cohort())


def test_an_entry_that_is_no_text_is_damage_and_is_not_shown(file):
    tamper(file, "UPDATE entries SET content = CAST(X'80' || CAST(content AS BLOB) AS TEXT) WHERE number = 3")
    with pytest.raises(LedgerError, match=r"damaged.*Restore") as said:
        Ledger.for_cohort(private_cohort())
    assert "epsilon" not in str(said.value) and "study" not in str(said.value)


def test_another_cohorts_ledger_in_its_place_is_caught(file):
    other = ledger_with(2, cohort=private_cohort("other", seed=1))
    other.close()
    shutil.copy(other.file, file)
    with pytest.raises(LedgerError, match=r"not written with its key.*another cohort's"):
        Ledger.for_cohort(private_cohort())


def test_another_cohorts_ledger_with_its_key_is_caught(file):
    other = ledger_with(2, cohort=private_cohort("other", seed=1))
    other.close()
    shutil.copy(other.file, file)
    shutil.copy(other.file.with_name("ledger.db.key"), file.with_name("ledger.db.key"))
    with pytest.raises(LedgerError, match="begun for the cohort other"):
        Ledger.for_cohort(private_cohort())


def test_a_public_cohorts_ledger_whose_key_anyone_can_make_is_no_private_ones(file):
    public = Ledger.for_cohort(public_cohort())
    public.close()
    shutil.copy(public.file, file)
    with pytest.raises(LedgerError, match=r"public cohort's.*secret is private"):
        Ledger.for_cohort(private_cohort())


def test_the_same_name_with_other_participants_or_another_schema_is_another_cohort(file):
    Ledger.for_cohort(private_cohort()).close()
    with pytest.raises(LedgerError, match=r"begun for the cohort secret with other participants"):
        Ledger.for_cohort(sealed(private_participants().take(np.arange(1, 60))))
    changed = Schema.model_validate({**SMALL_SCHEMA, "name": "secret", "public": False, "nominal_size": 500})
    with pytest.raises(LedgerError, match="with another schema"):
        Ledger.for_cohort(sealed(small_cohort(changed, 60)))


def test_a_ledger_rolled_back_to_an_older_copy_is_caught_by_its_receipts(tmp_path):
    ledger = ledger_with(2)
    early = ledger.receipt
    ledger.copy_to(tmp_path / "older.db")
    late = ledger.charge(epoch())
    ledger.close()
    shutil.copy(tmp_path / "older.db", ledger.file)
    receipts_file(ledger.file).unlink()  # what only others know of is left
    older = Ledger.open(ledger.file)
    older.verify([early])
    with pytest.raises(LedgerError, match=r"has 4 entries, but there is a receipt for 5.*rolled back"):
        older.verify([early, late])
    with pytest.raises(LedgerError, match="rolled back"):
        older.charge(epoch(), receipt=late)
    older.charge(epoch(trial="t2"))
    with pytest.raises(LedgerError, match=r"Entry 5 .* is not the one"):
        older.verify([early, late])


def test_the_last_entries_cut_off_with_a_whole_chain_are_caught_by_a_receipt(file):
    ledger = Ledger.open(file)
    told = ledger.receipt
    ledger.close()
    receipts_file(file).unlink()
    for cut in (6, 5, 4):
        tamper(file, f"DELETE FROM entries WHERE number >= {cut}")
        short = Ledger.open(file)
        short.verify()
        with pytest.raises(LedgerError, match="last entries were removed"):
            short.verify([told])
        short.close()


def test_an_edit_by_someone_with_the_key_is_caught_by_a_receipt(file):
    told = Ledger.open(file).receipt
    tamper(file, ("UPDATE entries SET content = ? WHERE number = 4", (content_of(file, 3).replace("t1", "t9"),)))
    rehash(file, file.with_name("ledger.db.key").read_bytes())
    ledger = Ledger.for_cohort(private_cohort())
    ledger.verify()
    with pytest.raises(LedgerError, match="not the one a receipt names"):
        ledger.verify([told])


def test_an_overspent_study_is_found_out_even_in_a_whole_chain(file):
    fields = json.loads(content_of(file, 6))
    fields["event"] = {"type": "GaussianDpEvent", "noise_multiplier": 0.5}
    tamper(file, ("UPDATE entries SET content = ? WHERE number = 6", (canonical_json(fields),)))
    rehash(file, file.with_name("ledger.db.key").read_bytes())
    with pytest.raises(LedgerError, match=r"the study first is overspent: with entry 6 its train participants"):
        Ledger.for_cohort(private_cohort()).verify()


def test_a_declaration_that_allows_more_than_its_epsilon_is_found_out(file):
    fields = json.loads(content_of(file, 2))
    fields["allowances"]["train"] *= 1.01
    tamper(file, ("UPDATE entries SET content = ? WHERE number = 2", (canonical_json(fields),)))
    rehash(file, file.with_name("ledger.db.key").read_bytes())
    with pytest.raises(LedgerError, match=r"entry 2 allows the train split more than its epsilon"):
        Ledger.for_cohort(private_cohort()).verify()


def test_a_private_cohort_that_left_earlier_charges_out_is_found_out(file):
    fields = json.loads(content_of(file, 2))
    fields["since"] = 1
    tamper(file, ("UPDATE entries SET content = ? WHERE number = 2", (canonical_json(fields),)))
    rehash(file, file.with_name("ledger.db.key").read_bytes())
    with pytest.raises(LedgerError, match="leaves out earlier charges of a private cohort"):
        Ledger.for_cohort(private_cohort()).verify()


def test_a_file_removed_or_replaced_in_use_takes_no_further_charge(tmp_path):
    ledger = ledger_with(2)
    ledger.copy_to(tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(ledger.file)
    with pytest.raises(LedgerError, match="removed or replaced while it was in use"):
        ledger.charge(epoch())
    ledger.file.unlink()
    with pytest.raises(LedgerError, match="removed or replaced while it was in use"):
        ledger.charge(epoch())


def test_entries_removed_in_use_are_missed_at_the_next_charge():
    ledger = ledger_with(3)
    tamper(ledger.file, "DELETE FROM entries WHERE number >= 4")
    with pytest.raises(LedgerError, match="changed under this process"):
        ledger.charge(epoch())


def test_an_entry_of_an_unknown_kind_is_met_every_time_and_never_skipped(file):
    tamper(file, ("UPDATE entries SET content = ? WHERE number = 6", (content_of(file, 6).replace("charge", "gift"),)))
    rehash(file, file.with_name("ledger.db.key").read_bytes())
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"Entry 6 .*kind 'gift' is unknown"):
            Ledger.for_cohort(private_cohort())


def test_a_ledger_that_two_names_would_share_is_refused_at_the_wrong_path(tmp_path, file):
    assert file == ledger_file(private_cohort().schema)
    with pytest.raises(LedgerError, match=r"100% of the participants.*known to the ledger of the cohort secret"):
        ledger_with(1, tmp_path / "shared" / "ledger.db")
    with pytest.raises(LedgerError, match="begun for the cohort secret"):
        Ledger.for_cohort(private_cohort("another"), file)


@pytest.mark.parametrize("text", ["", "12", "x:" + "a" * 64, "0:" + "a" * 64, "3:" + "g" * 64, "3:abc"])
def test_what_no_ledger_ever_said_is_no_receipt(text):
    with pytest.raises(LedgerError, match="not a receipt"):
        Receipt.parse(text)


def test_an_exhausted_study_cannot_get_more_by_declaring_again(file):
    ledger = Ledger.for_cohort(private_cohort())
    ledger.charge(epoch(event=dp_event.GaussianDpEvent(1.9)))
    left = ledger.left("first")
    ledger.declare("first", BUDGET, {"train": dp_event.GaussianDpEvent(1.9)})
    assert ledger.left("first") == left
