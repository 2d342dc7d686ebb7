import json
import math
import os
import re
import sqlite3

import dp_accounting
import numpy as np
import pytest
from dp_accounting import dp_event, rdp
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accounting.budget import Budget
from privacy.accounting.events import composed, event_fields, event_from_fields
from privacy.accounting.rdp import epsilon_by_rdp, rdp_at, rdp_curve
from privacy.errors import LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import Receipt, cohort_named, read_receipts, record_receipt
from privacy.ledger.summary import epsilon_by_pld, steps, summarise
from tests.conftest import sealed
from tests.privacy.ledgers import (
    BUDGET,
    EPOCH,
    SCORE,
    epoch,
    ledger_of,
    ledger_with,
    private_cohort,
    private_participants,
    public_cohort,
)

noise = st.floats(1e-3, 1e6)
gaussians = noise.map(dp_event.GaussianDpEvent)
leaves = st.one_of(
    st.just(dp_event.NoOpDpEvent()),
    st.just(dp_event.NonPrivateDpEvent()),
    gaussians,
    noise.map(dp_event.LaplaceDpEvent),
    st.builds(dp_event.ZCDpEvent, st.floats(0, 1e3), st.floats(0, 1e3)),
    st.builds(dp_event.PoissonSampledDpEvent, st.floats(0, 1), gaussians),
)
events = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(dp_event.SelfComposedDpEvent, inner, st.integers(1, 10**9)),
        st.builds(dp_event.ComposedDpEvent, st.lists(inner, min_size=1, max_size=3)),
        st.builds(dp_event.RepeatAndSelectDpEvent, inner, st.floats(1, 1e4), st.floats(0, math.inf)),
    ),
    max_leaves=4,
)


pytestmark = pytest.mark.usefixtures("data_home")


@settings(max_examples=300)
@given(event=events)
def test_every_event_comes_back_from_json_as_it_was(event):
    assert event_from_fields(json.loads(json.dumps(event_fields(event), allow_nan=False))) == event


@pytest.mark.parametrize(
    "event",
    [
        dp_event.GaussianDpEvent(-1.0),
        dp_event.GaussianDpEvent(0.0),
        dp_event.GaussianDpEvent(math.nan),
        dp_event.GaussianDpEvent(math.inf),
        dp_event.LaplaceDpEvent(0.0),
        dp_event.SelfComposedDpEvent(SCORE, -5),
        dp_event.SelfComposedDpEvent(SCORE, 2.5),
        dp_event.ComposedDpEvent([SCORE, dp_event.SelfComposedDpEvent(SCORE, 0)]),
        dp_event.PoissonSampledDpEvent(1.5, SCORE),
        dp_event.ZCDpEvent(-0.1),
        dp_event.RepeatAndSelectDpEvent(SCORE, 0.5, 1.0),
        dp_event.RepeatAndSelectDpEvent(SCORE, 2.0, math.nan),
        dp_event.UnsupportedDpEvent(),
        dp_event.SampledWithoutReplacementDpEvent(100, 10, SCORE),
    ],
)
def test_an_event_that_would_lower_the_sum_or_has_no_figure_is_not_charged(event):
    with pytest.raises(LedgerError):
        epoch(event=event)


def test_whole_numbers_for_noise_are_composed_like_any_other():
    two = dp_event.ComposedDpEvent([dp_event.GaussianDpEvent(1), dp_event.GaussianDpEvent(np.int64(1))])
    whole = dp_event.PoissonSampledDpEvent(0.1, two)
    point = dp_event.PoissonSampledDpEvent(0.1, dp_event.ComposedDpEvent([dp_event.GaussianDpEvent(1.0)] * 2))
    assert rdp_at(whole, 8.0) == rdp_at(point, 8.0)


@settings(max_examples=15)
@given(many=st.lists(st.sampled_from([EPOCH, SCORE, dp_event.ZCDpEvent(0.01), dp_event.NoOpDpEvent()]), max_size=12))
def test_composed_events_cost_what_they_cost_one_by_one(many):
    accountant = rdp.RdpAccountant()
    for event in many:
        accountant.compose(event)
    assert epsilon_by_rdp(composed(many), 1e-5) == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-12)


def test_a_charge_comes_back_with_everything_that_was_said(tmp_path):
    ledger = ledger_with(0)
    charge = Charge(SCORE, "validation", "first", "score of epoch 9", "trial 7", "release")
    receipt = ledger.charge(charge)
    ledger.close()
    entry = Ledger.open(ledger.file).books.entries[-1]
    assert entry.content == charge
    assert (entry.number, entry.hash) == (receipt.count, receipt.head)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", entry.time)
    assert entry.versions["dp-accounting"]


def test_a_charge_is_synced_before_it_is_acknowledged():
    assert ledger_with(0).durable


def test_several_charges_are_written_together_or_not_at_all():
    ledger = ledger_with(0)
    before = ledger.receipt
    too_much = epoch(split="validation", event=dp_event.GaussianDpEvent(0.1))
    with pytest.raises(ValueError, match="does not allow"):
        ledger.charge([epoch(), too_much])
    assert ledger.receipt == before
    assert ledger.charge([epoch(), epoch(split="validation", event=SCORE)]).count == before.count + 2


def test_entries_cannot_be_changed_or_removed_through_sqlite():
    ledger = ledger_with(2)
    with sqlite3.connect(ledger.file) as database:
        for statement in ("DELETE FROM entries WHERE number = 3", "UPDATE entries SET content = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
                database.execute(statement)


def test_two_open_ledgers_see_each_others_charges():
    one = ledger_with(1)
    other = Ledger.open(one.file)
    receipt = other.charge(epoch(trial="t2"))
    assert one.receipt == receipt
    assert one.charge(epoch()).count == receipt.count + 1


def test_a_ledger_opened_again_is_the_same_one_and_sums_the_same():
    ledger = ledger_with(3)
    first = summarise(ledger.books, ledger.cohort, ledger.public, "first")
    ledger.close()
    again = ledger_of(private_cohort())
    assert summarise(again.books, again.cohort, again.public, "first") == first


def test_the_order_of_participants_does_not_make_another_cohort():
    ledger_with(1).close()
    people = private_participants()
    ledger_of(sealed(people.take(np.arange(len(people))[::-1]))).verify()


def test_participants_who_joined_may_be_adopted_and_earlier_charges_still_count():
    ledger_with(3).close()
    grown = private_cohort(participants=61)
    with pytest.raises(LedgerError, match=r"other participants.*adopt"):
        ledger_of(grown)
    ledger = ledger_of(grown, adopt=True)
    ledger.verify()
    assert summarise(ledger.books, ledger.cohort, ledger.public).sums[0].charges == 3
    ledger.close()
    ledger_of(grown).verify()


def test_the_guarantee_is_the_largest_split_and_not_their_sum():
    ledger = ledger_with(4)
    ledger.charge(epoch(split="validation", event=SCORE))
    summary = summarise(ledger.books, ledger.cohort, ledger.public)
    by_split = {each.split: each.epsilon for each in summary.sums}
    assert by_split["train"] == epsilon_by_rdp(dp_event.SelfComposedDpEvent(EPOCH, 4), 1e-5)
    assert summary.epsilon == max(by_split.values()) == by_split["train"]


def test_studies_under_different_split_keys_are_summed(data_home):
    ledger_with(4).close()
    (data_home / "cohorts" / "secret" / "split.key").unlink()  # lost: a new one is drawn
    ledger = ledger_of(private_cohort())
    ledger.declare("second", Budget(4.0, 1e-5))
    ledger.charge(epoch(study="second", split="validation", event=dp_event.SelfComposedDpEvent(SCORE, 4)))
    ledger.verify()
    both = dp_event.ComposedDpEvent(
        [dp_event.SelfComposedDpEvent(EPOCH, 4), dp_event.SelfComposedDpEvent(SCORE, 4)]
    )  # someone was trained on under the first key and scored on under the second
    assert summarise(ledger.books, ledger.cohort, ledger.public).epsilon == pytest.approx(epsilon_by_rdp(both, 1e-5))
    counting = ledger.books.filters["second"]
    assert counting.spent("validation") == pytest.approx(rdp_at(both, counting.declaration.orders["validation"]))
    with pytest.raises(LedgerError, match="another split key"):
        ledger.charge(epoch())


def test_the_internal_account_is_kept_apart_and_a_later_study_hears_of_it():
    ledger = ledger_with(2)
    ledger.charge(epoch(split="test", event=dp_event.NonPrivateDpEvent(), account="internal"))
    ledger.declare("second", Budget(4.0, 1e-5))
    ledger.charge(epoch(study="second"))
    first, second = (summarise(ledger.books, ledger.cohort, ledger.public, study) for study in ("first", "second"))
    assert (first.internal_before, second.internal_before) == (0, 1)
    assert math.isfinite(second.epsilon)
    assert [math.isinf(each.epsilon) for each in second.sums if each.account == "internal"] == [True]


def test_a_studys_sum_holds_all_that_preceded_its_last_reading_and_nothing_after():
    ledger = ledger_with(2)
    ledger.declare("second", Budget(4.0, 1e-5))
    ledger.charge(epoch(study="second"))
    ledger.charge(epoch())
    ledger.charge(epoch(study="second"))
    trained = {
        study: summarise(ledger.books, ledger.cohort, ledger.public, study).sums[0].charges
        for study in ("first", "second")
    }
    assert trained == {"first": 4, "second": 5}


def test_what_others_read_after_a_studys_last_reading_is_not_its_own_though_it_settles_something_later():
    ledger = ledger_with(2)
    before = summarise(ledger.books, ledger.cohort, ledger.public, "first")
    ledger.declare("second", Budget(12.0, 1e-5))
    for _ in range(20):
        ledger.charge(epoch(study="second"))
    ledger.settle("first", "winner kept", "ab")
    after = summarise(ledger.books, ledger.cohort, ledger.public, "first")
    assert (after.spent, after.epsilon, after.sums) == (before.spent, before.epsilon, before.sums)
    assert after.receipt == ledger.receipt
    second = summarise(ledger.books, ledger.cohort, ledger.public, "second")
    assert second.spent["train"] > after.spent["train"]


def test_the_papers_steps_on_a_grid_fine_enough_for_them():
    paper = dp_event.SelfComposedDpEvent(
        dp_event.PoissonSampledDpEvent(1 / 6000, dp_event.GaussianDpEvent(1.0)), 3_000_000
    )
    assert steps(paper) == 3_000_000
    assert epsilon_by_rdp(paper, 1e-5) == pytest.approx(1.597, abs=5e-4)
    assert epsilon_by_pld(paper, 1e-5) == pytest.approx(1.466, abs=5e-4)


def test_privacy_loss_distributions_say_nothing_about_events_they_do_not_know():
    assert epsilon_by_pld(dp_event.ZCDpEvent(0.1), 1e-5) is None


def test_only_a_public_cohort_starts_afresh_and_its_history_stays():
    ledger = ledger_of(public_cohort())
    ledger.declare("first", BUDGET)
    early = ledger.charge(epoch(event=dp_event.GaussianDpEvent(1.6)))
    with pytest.raises(LedgerError, match=r"no room.*start afresh"):
        ledger.declare("second", Budget(0.5, 1e-5))
    declared = ledger.declare("second", Budget(0.5, 1e-5), afresh=True)
    assert declared.since == early.count
    last = ledger.charge(epoch(study="second", event=dp_event.GaussianDpEvent(50.0)))
    ledger.verify([early, last])
    assert summarise(ledger.books, ledger.cohort, ledger.public, "second").sums[0].charges == 1
    assert summarise(ledger.books, ledger.cohort, ledger.public).sums[0].charges == 2
    with pytest.raises(LedgerError, match="private"):
        ledger_with(0).declare("second", BUDGET, afresh=True)


def test_receipts_are_kept_in_a_file_that_survives_a_torn_last_line(tmp_path):
    file = tmp_path / "receipts.jsonl"
    kept = [Receipt(count, "ab" * 32) for count in (1, 2)]
    for each in kept:
        record_receipt(file, each)
        assert Receipt.parse(str(each)) == each
    with file.open("a") as stream:
        stream.write('{"count": 3, "he')
    assert read_receipts(file) == tuple(kept)
    file.write_text("nonsense\n")
    with pytest.raises(LedgerError, match="Line 1"):
        read_receipts(file)


def test_a_receipt_takes_the_place_of_one_that_was_cut_short(tmp_path):
    file = tmp_path / "receipts.jsonl"
    kept = [Receipt(count, "ab" * 32) for count in (1, 2)]
    record_receipt(file, kept[0], "small")
    with file.open("a") as stream:
        stream.write('{"count": 3, "he')
    record_receipt(file, kept[1])
    assert read_receipts(file) == tuple(kept)
    assert cohort_named(file) == "small"


def test_a_receipt_that_does_not_fit_on_the_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    """A write may take a part of what it is given, and say no more than how much."""
    file = tmp_path / "receipts.jsonl"
    record_receipt(file, Receipt(1, "ab" * 32))
    before, write = file.read_bytes(), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:20]))
        with pytest.raises(OSError, match="No space left"):
            record_receipt(file, Receipt(2, "ab" * 32))
    assert file.read_bytes() == before


def test_dp_accounting_says_the_same_at_one_order_as_on_its_grid():
    curve = rdp_curve(dp_accounting.ComposedDpEvent([EPOCH, SCORE]))
    for order in (1.5, 8.0, 63.0):
        assert rdp_at(dp_accounting.ComposedDpEvent([EPOCH, SCORE]), order) in curve
