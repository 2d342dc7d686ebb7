"""What was charged once pays for one draw, and for each run no more than was charged for it."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohorts import split_cohort
from privacy import BudgetExhausted, LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from privacy.ledger.secret_runs import SecretRuns
from privacy.ledger.summary import summarise
from privacy.mechanisms.dpsgd import DPSGD
from privacy.policies.in_secret import drawn_run
from privacy.policies.selection import Selection
from privacy.statements.statement import Chosen
from tests.conftest import sealed
from tests.privacy.ledgers import PEOPLE, described, part, private_cohort
from tests.privacy.secret_search import (
    CONFIG,
    EPOCHS,
    NOISE,
    PLAN,
    RATE,
    SCORES,
    declared_search,
    draw,
    ledger_of,
    training,
)

pytestmark = pytest.mark.usefixtures("data_home")


@pytest.fixture
def account() -> SecretRuns:
    account = declared_search(ledger_of())
    account.configurations(draw)
    return account


def test_the_runs_are_drawn_once_and_are_the_same_ever_after(account):
    drawn = account.configurations(draw)
    assert drawn and drawn[0] == CONFIG
    assert account.configurations(lambda: pytest.fail("drawn again")) == drawn
    again = Ledger.for_cohort(private_cohort())
    assert SecretRuns(again, "secret").configurations() == drawn


@pytest.mark.parametrize("resumed", [0, 5])
def test_what_is_published_of_the_ledger_does_not_tell_how_often_the_search_was_resumed(account, resumed):
    """Each resume binds the ledger once more, and a search of many runs is resumed more often than one of few."""
    paid = account.paid
    for _ in range(resumed):
        Ledger.for_cohort(private_cohort()).close()
    account.decide("a digest")
    ledger = Ledger.for_cohort(private_cohort())
    summary = summarise(ledger.books, ledger.cohort, ledger.public, "secret")
    assert summary.last_reading == paid
    declared = PLAN.model_copy(update={"plan": PLAN.plan.model_copy(update={"epsilon": 200.0})})  # as in the ledger
    statement = Selection().statement(summary, declared, Chosen("secret", 1, (training(EPOCHS).event,), 60))
    assert statement.receipt == str(paid)
    assert str(summary.receipt) not in statement.text() + json.dumps(statement.as_json())


def test_how_many_there_are_follows_the_law_that_was_charged(account):
    numbers = []
    for number in range(60):
        ledger = ledger_of(private_cohort(f"cohort{number}"))
        numbers.append(len(declared_search(ledger).configurations(draw)))
    assert 2 < sum(numbers) / 60 < 7  # of mean 4, and standard deviation 3.5
    assert len(set(numbers)) > 3


def test_nothing_is_drawn_before_it_is_charged():
    with pytest.raises(LedgerError, match="has not charged its runs"):
        declared_search(ledger_of(), charged=False).configurations(draw)


@pytest.mark.parametrize(
    "greedy",
    [
        lambda epochs: DPSGD(RATE, NOISE * 0.99, epochs * 10),
        lambda epochs: DPSGD(RATE * 1.01, NOISE, epochs * 10),
        lambda epochs: DPSGD(RATE, NOISE, epochs * 11),
    ],
    ids=["less noise", "larger batches", "more steps"],
)
def test_a_run_that_would_cost_more_than_was_charged_is_not_drawn(greedy):
    account = declared_search(ledger_of())
    with pytest.raises(LedgerError, match="cost more on the train participants"):
        account.configurations(lambda: drawn_run(CONFIG, greedy, EPOCHS, SCORES))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_a_run_reads_no_more_steps_than_it_was_charged_for(asked):
    account = declared_search(ledger_of(private_cohort(f"cohort{abs(hash(tuple(asked)))}")))
    account.configurations(draw)
    done = 0
    cohort = part("train")
    for steps in asked:
        mechanism = training(1).of_steps(steps)
        try:
            reading = account.read(cohort, 0, mechanism)
            assert reading.mechanism is mechanism
            done += steps
        except BudgetExhausted:
            assert done + steps > 10 * (EPOCHS + 1)
    assert done <= 10 * (EPOCHS + 1)


def test_a_run_reads_nothing_of_another_kind(account):
    with pytest.raises(LedgerError, match="not charged for"):
        account.read(part("train"), 0, DPSGD(RATE, NOISE / 2, 10))
    with pytest.raises(LedgerError, match="not charged for"):
        account.read(part("test"), 0, training(1))
    with pytest.raises(LedgerError, match="no such run"):
        account.read(part("train"), 10_000, training(1))


def test_a_run_is_scored_no_more_often_than_it_was_charged_for(account):
    for _ in range(2):
        account.read(part("validation"), 0, SCORES)
    with pytest.raises(BudgetExhausted):
        account.read(part("validation"), 0, SCORES)


def test_runs_that_are_lost_are_not_drawn_again(account):
    with sqlite3.connect(account._ledger.file) as database:
        database.execute("DELETE FROM secrets")
    with pytest.raises(LedgerError, match="pays for one draw"):
        account.configurations(draw)


def test_runs_read_nobody_after_participants_were_divided_anew(account):
    """Whoever trained would validate now: between them they would have gone through more than any split was charged."""
    account.read(part("train"), 0, training(1))
    entries, file = len(account._ledger.books.entries), account._ledger.file
    respelled = sealed(described("secret", [f"S1/P{number}" for number in range(PEOPLE)]))
    Ledger.for_cohort(respelled, file, adopt=True).close()
    again = SecretRuns(Ledger.for_cohort(respelled, file, study="secret"), "secret")
    for read in (
        lambda: again.read(split_cohort(respelled, again._ledger.split_key).train, 0, training(1)),
        lambda: again.configurations(draw),
    ):
        with pytest.raises(LedgerError, match="fall into different splits"):
            read()
    assert not [entry for entry in again._ledger.books.entries[entries:] if isinstance(entry.content, Charge)]


@pytest.mark.parametrize("wrong", ["content", "seal", "text", "no seal"])
def test_what_runs_may_still_do_cannot_be_edited(account, wrong):
    with sqlite3.connect(account._ledger.file) as database:
        (text,) = database.execute("SELECT content FROM secrets WHERE number = 0").fetchone()
        kept = json.loads(text)
        if wrong == "content":
            kept["content"]["left"] = dict.fromkeys(kept["content"]["left"], 10**6)
        edited = {"content": kept, "seal": kept["content"], "text": [], "no seal": {**kept, "seal": "ß"}}[wrong]
        database.execute("UPDATE secrets SET content = ? WHERE number = 0", (json.dumps(edited),))
    with pytest.raises(LedgerError, match="was edited"):
        account.read(part("train"), 0, training(1))


def test_one_payment_is_for_one_choice(account):
    other = SecretRuns(Ledger.for_cohort(private_cohort()), "secret")
    account.decide("the best of one process")
    with pytest.raises(LedgerError, match="pays for one choice"):
        other.decide("the best of another")
    assert other.decided("the best of one process")


def test_once_one_is_kept_nothing_more_is_read_for_the_others(account):
    account.decide("digest of the winner")
    with pytest.raises(LedgerError, match="no such run"):
        account.read(part("train"), 0, training(1))
    assert account.decided("digest of the winner")
    for other in ("another digest", None):
        with pytest.raises(LedgerError, match="removed or changed"):
            account.decided(other)


def test_no_copy_of_the_ledger_tells_of_the_runs(account, tmp_path):
    account._ledger.copy_to(tmp_path / "copy.db")
    assert b"noise_multiplier" in (account._ledger.file.read_bytes() + log_of(account._ledger))
    copied = (tmp_path / "copy.db").read_bytes()
    with sqlite3.connect(tmp_path / "copy.db") as database:
        assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'secrets'").fetchall()
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # it is read with no file beside it
    assert copied.count(b'"left"') == 0
    shutil.rmtree(tmp_path / "home")


def log_of(ledger: Ledger) -> bytes:
    log = ledger.file.with_name(ledger.file.name + "-wal")
    return log.read_bytes() if log.exists() else b""
