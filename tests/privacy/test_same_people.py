"""People have a budget, not names: which ledger counts follows from who the participants are.

A trial can be described twice, with two labels or under two names; its participants went through what was read of them
under either.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from cohorts import Cohort, Schema, split_key
from privacy.errors import LedgerError
from privacy.ledger.ledger import Ledger
from privacy.ledger.people import LARGEST_OVERLAP, fingerprints
from privacy.ledger.places import ledger_file
from privacy.ledger.summary import summarise
from privacy.policies.composed import Composed
from privacy.policies.unaccounted import Unaccounted
from tests.cohorts.little_trial import schema_mapping, write_trial
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from tests.privacy.ledgers import (
    BUDGET,
    EPOCH,
    PEOPLE,
    described,
    epoch,
    ledger_of,
    private_cohort,
    private_participants,
    strangers,
)
from tests.privacy.test_declared_statement import CHOSEN, DECLARED
from tuner.options import parser
from tuner.request import request_study
from tuner.study import open_ledger

KNOWN = "known to the ledger of the cohort secret"
SAID = "The data steward declared that identifiers which the ledgers of secret may also know belong to other people"


pytestmark = pytest.mark.usefixtures("data_home")


def begun(name: str) -> bool:
    return any(ledger_file(described(name).schema).parent.glob("ledger*"))


def other_label() -> dict:
    """The same trial's schema with another label."""
    classes = [{"name": "well", "value": 0, "share": 0.7}, {"name": "ill", "value": 1, "share": 0.3}]
    return {"label": {**SMALL_SCHEMA["label"], "name": "outcome", "randomised": False, "classes": classes}}


@pytest.mark.parametrize("changes", [{}, {"nominal_size": 300}, other_label()], ids=["name", "size", "label"])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_same_participants_under_another_name_are_refused_and_nothing_is_begun(secret, changes, backwards):
    people = described("renamed", **changes)
    people = people.take(np.arange(PEOPLE)[::-1]) if backwards else people
    with pytest.raises(LedgerError, match=f"100% of the participants of the cohort renamed are {KNOWN}"):
        ledger_of(sealed(people))
    assert not begun("renamed")


def test_nor_does_a_ledger_in_another_place_hide_them(secret, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "ledger.db"
    with pytest.raises(LedgerError, match=KNOWN):
        ledger_of(sealed(described("renamed")), elsewhere)
    assert not elsewhere.parent.exists()


@pytest.mark.parametrize(
    ("shared", "ours", "refused"),
    [(0, 60, False), (6, 60, False), (7, 60, True), (2, 20, False), (3, 20, True), (6, 900, False), (7, 900, True)],
)
def test_more_than_a_tenth_of_the_smaller_cohort_is_no_coincidence(secret, shared, ours, refused):
    """A registry's few dozen participants in a large trial, or a large trial's in a small one."""
    people = sealed(described("another", [f"P{number}" for number in range(shared)] + strangers(ours - shared)))
    share = shared / min(ours, PEOPLE)
    assert refused == (share > LARGEST_OVERLAP)
    if refused:
        with pytest.raises(LedgerError, match=f"{share:.0%} of the participants of the cohort another are {KNOWN}"):
            ledger_of(people)
        assert not begun("another")
    else:
        assert ledger_of(people).binding.other_people == ()


def test_whoever_was_once_in_a_cohort_is_known_though_they_left(secret):
    """Most of a cohort's participants withdraw, or its files are cut, and their ledger is adopted."""
    rest = private_participants().take(np.arange(40, PEOPLE))
    ledger_of(sealed(rest), adopt=True).close()
    left = sealed(described("renamed", [f"P{number}" for number in range(40)]))
    with pytest.raises(LedgerError, match=f"100% .* are {KNOWN}"):
        ledger_of(left)


def test_a_cohort_that_grows_into_anothers_people_is_refused_then(secret):
    grown = described("another", strangers(30) + [f"P{number}" for number in range(30)])
    small = grown.take(np.arange(30))
    ledger_of(sealed(small)).close()
    with pytest.raises(LedgerError, match=f"50% .* are {KNOWN}"):
        ledger_of(sealed(grown), adopt=True)
    ledger_of(sealed(small)).verify()


@pytest.mark.parametrize(("ours", "refused"), [(PEOPLE, True), (PEOPLE - 1, False)])
def test_a_ledger_of_version_0_1_knows_all_of_its_people_together_and_none_alone(secret, ours, refused):
    """It kept one fingerprint for everybody; it learns of each the next time its cohort is opened."""
    with sqlite3.connect(secret) as database:
        database.execute("DROP TABLE participants")
    database.close()
    people = sealed(described("renamed", [f"P{number}" for number in range(ours)]))
    if refused:
        with pytest.raises(LedgerError, match=f"100% .* are {KNOWN}"):
            ledger_of(people)
        return
    ledger_of(people).close()
    with pytest.raises(LedgerError, match=r"100% .* known to the ledger of the cohort renamed"):
        ledger_of(private_cohort())


def test_a_public_cohort_has_nothing_to_lose_and_is_nobodys_double(secret):
    public = Schema.model_validate({**SMALL_SCHEMA, "name": "open"})
    ledger_of(sealed(small_cohort(public, PEOPLE))).close()
    ledger_of(private_cohort()).verify()


def test_a_ledger_that_cannot_be_asked_is_not_passed_over(secret):
    """It may know the same people."""
    secret.with_name("ledger.db.key").unlink()
    with pytest.raises(LedgerError, match="key of the cohort secret's ledger is missing"):
        ledger_of(sealed(described("renamed")))
    assert not begun("renamed")


def test_the_ledger_knows_participants_without_holding_their_identifiers(data_home):
    ids = [f"patient-{number:04d}" for number in range(30)]
    ledger = ledger_of(sealed(described("named", ids)))
    assert len(ledger.chain.participants) == 30
    ledger.close()
    for file in data_home.rglob("*"):
        assert not file.is_file() or b"patient-" not in file.read_bytes()


def test_nobody_can_look_a_participant_up_without_the_key(secret):
    others = ledger_of(private_cohort("another"))
    ours = Ledger.open(secret)
    assert set(fingerprints(ours, ["P1", "P2"])) <= ours.chain.participants
    assert not set(fingerprints(others, ["P1", "P2"])) & ours.chain.participants


def test_what_the_refusal_advises_works(secret):
    with pytest.raises(LedgerError) as refusal:
        ledger_of(sealed(described("renamed")))
    (file,) = re.findall(r"--ledger (\S+) --adopt-ledger", str(refusal.value))
    assert Path(file) == secret
    ledger_of(sealed(described("renamed")), Path(file), adopt=True).verify()
    ledger_of(sealed(described("renamed")), Path(file)).verify()  # once is enough
    assert not begun("renamed")


@pytest.fixture
def told_apart(secret) -> Ledger:
    """The ledger of ``namesakes``, who have the identifiers of ``secret``'s participants, as a person said."""
    return ledger_of(namesakes(), other_people=["secret"])


def namesakes() -> Cohort:
    return sealed(described("namesakes"))


def test_that_they_are_other_people_is_written_into_the_ledger(told_apart):
    assert told_apart.binding.other_people == ("secret",)
    assert told_apart.books.entries[0].content == told_apart.binding
    told_apart.close()
    again = Ledger.open(told_apart.file)
    again.verify()
    assert again.binding.other_people == ("secret",)


def test_it_is_said_once_and_holds_for_the_ledgers_that_there_were(told_apart):
    told_apart.close()
    ledger_of(namesakes()).close()
    third = sealed(described("third", [f"P{number}" for number in range(20)]))
    with pytest.raises(LedgerError, match=r"of the cohort third are known to the ledger of the cohort namesakes"):
        ledger_of(third)
    with pytest.raises(LedgerError, match=r"--other-people secret"):
        ledger_of(third, other_people=["namesakes"])
    said = ledger_of(third, other_people=["namesakes", "secret"])
    assert said.binding.other_people == ("namesakes", "secret")


def test_other_people_have_a_split_key_and_a_budget_of_their_own(told_apart):
    assert told_apart.cohort == "namesakes"
    assert told_apart.split_key != split_key(private_participants().schema)
    assert told_apart.spent() == dict.fromkeys(("train", "validation", "test"))


def test_every_statement_repeats_it(told_apart):
    told_apart.declare("first", BUDGET, {"train": EPOCH})
    told_apart.charge(epoch())
    summary = summarise(told_apart.books, told_apart.cohort, told_apart.public, "first", BUDGET.delta)
    assert summary.other_people == ("secret",)
    declared = Composed().statement(summary, DECLARED, CHOSEN)
    searched = Unaccounted().statement(summary, DECLARED, CHOSEN)
    for statement in (declared, searched):
        assert SAID in statement.text()
        assert list(statement.as_json()["other_people"]) == ["secret"]


def test_a_statement_of_people_whom_nobody_else_knows_does_not_say_so(secret):
    ledger = Ledger.open(secret)
    summary = summarise(ledger.books, ledger.cohort, ledger.public, "first", BUDGET.delta)
    for policy in (Composed(), Unaccounted()):
        assert SAID not in policy.statement(summary, DECLARED, CHOSEN).text()


@pytest.mark.parametrize("shared", [0, 5, 6, 7])
def test_what_is_written_of_other_people_is_what_was_said_however_many_ids_are_the_same(secret, shared):
    """Or else one person more would show in the statement; a tenth of the smaller number is six."""
    ids = [*(f"P{number}" for number in range(shared)), *strangers(PEOPLE - shared)]
    ledger = ledger_of(sealed(described("elsewhere", ids)), other_people=["secret"])
    assert [each.other_people for each in ledger.books.bindings] == [("secret",)]


def test_a_name_that_no_cohort_can_have_is_refused_before_anything_is_begun(secret):
    with pytest.raises(LedgerError, match="--other-people 'no/cohort' cannot be a cohort's name"):
        ledger_of(namesakes(), other_people=["no/cohort"])
    with pytest.raises(LedgerError, match="known to the ledger of the cohort secret"):
        ledger_of(namesakes())


@pytest.mark.parametrize("again", [[], ["namesakes"]])
def test_it_holds_for_the_cohort_that_was_there_before_too(told_apart, again):
    """Its studies that ended go on being opened by their steward, who has nowhere to say it; its ledger repeats it."""
    told_apart.close()
    older = ledger_of(private_cohort(), other_people=again)
    assert older.binding.other_people == ("namesakes",)
    older.read_internally(private_cohort(), "first", "report")
    older.verify()
    summary = summarise(older.books, older.cohort, older.public)
    assert [each.charges for each in summary.sums if each.account == "release"] == [4]
    assert summary.other_people == ("namesakes",)


def test_one_of_two_that_know_the_same_people_does_not_speak_for_the_other(told_apart):
    """That ``namesakes`` are others than ``secret``'s people says nothing of a third cohort."""
    told_apart.close()
    third = described("third", [*strangers(40), *(f"P{number}" for number in range(20))])
    ledger_of(sealed(third.take(np.arange(40)))).close()
    with pytest.raises(LedgerError, match=r"33% .* known to the ledger of the cohort namesakes"):
        ledger_of(sealed(third), adopt=True)


def opened_by_command(schema: str, *options: object) -> Ledger:
    """The ledger that a study asked for by the command would charge."""
    arguments = ["--cohort", schema, "--policy", "unaccounted", "--out", str(Path(schema).parent / "out")]
    return open_ledger(request_study(parser().parse_args([*arguments, *map(str, options)])))


def test_the_command_refuses_them_too_and_takes_either_answer(tmp_path):
    once = write_trial(tmp_path / "once")
    again = write_trial(tmp_path / "again", schema={**schema_mapping(), "name": "again"})
    first = opened_by_command(once, "--new-ledger")
    first.close()
    with pytest.raises(LedgerError, match=r"100% .* known to the ledger of the cohort little"):
        opened_by_command(again, "--new-ledger")
    same = opened_by_command(again, "--ledger", first.file, "--adopt-ledger")
    assert (same.cohort, same.file) == ("little", first.file)
    same.close()
    others = opened_by_command(again, "--new-ledger", "--other-people", "little")
    assert (others.cohort, others.binding.other_people) == ("again", ("little",))
