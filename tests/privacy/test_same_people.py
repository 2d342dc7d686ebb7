"""People have a budget, not names: which ledger counts follows from who the participants are.

A trial can be described twice, with two labels or under two names; its participants went through what was read of them
under either.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from cohorts import Cohort, Participants, Schema, split_cohort, split_key, split_participants
from privacy.accounting.budget import Budget
from privacy.accounting.events import composed
from privacy.accounting.rdp import epsilon_by_rdp, rdp_at
from privacy.errors import LedgerError
from privacy.ledger.charge import Purpose
from privacy.ledger.identity import Binding
from privacy.ledger.ledger import Ledger
from privacy.ledger.people import LARGEST_OVERLAP, fingerprints
from privacy.ledger.places import ledger_file
from privacy.ledger.summary import summarise
from privacy.mechanisms.dpsgd import DPSGD
from privacy.policies.composed import Composed
from privacy.policies.unaccounted import Unaccounted
from privacy.statements.events import CHECK_SCRIPT, charged_events
from tests.cohorts.little_trial import schema_mapping, write_trial
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from tests.privacy.ledgers import BUDGET, EPOCH, epoch, ledger_of, ledger_with, private_cohort, private_participants
from tests.privacy.test_declared_statement import CHOSEN, DECLARED
from tuner.options import parser
from tuner.request import request_study
from tuner.study import open_ledger

PEOPLE = 60
KNOWN = "known to the ledger of the cohort secret"
SAID = "The data steward declared that identifiers which the ledgers of secret may also know belong to other people"


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def secret() -> Path:
    """The ledger of the cohort ``secret``, whose participants are P0 to P59: four epochs were charged."""
    ledger = ledger_with(4)
    ledger.close()
    return ledger.file


def described(name: str, ids: list[str] | None = None, **changes) -> Participants:
    """Participants of those ids, in another trial by its schema, with other values; those of ``secret`` by default."""
    ids = [f"P{number}" for number in range(PEOPLE)] if ids is None else ids
    schema = Schema.model_validate({**SMALL_SCHEMA, "public": False, "name": name, **changes})
    return replace(small_cohort(schema, len(ids), seed=5), ids=np.array(ids))


def strangers(count: int) -> list[str]:
    return [f"Q{number}" for number in range(count)]


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


def adopted(secret: Path, people: Participants | None = None) -> Ledger:
    return ledger_of(sealed(people or described("renamed")), secret, adopt=True)


def test_what_the_refusal_advises_works(secret):
    with pytest.raises(LedgerError) as refusal:
        ledger_of(sealed(described("renamed")))
    (file,) = re.findall(r"--ledger (\S+) --adopt-ledger", str(refusal.value))
    assert Path(file) == secret
    adopted(Path(file)).verify()
    ledger_of(sealed(described("renamed")), Path(file)).verify()  # once is enough
    assert not begun("renamed")


def test_an_adopted_ledger_goes_on_counting_what_was_read_under_the_other_name(secret):
    ledger = adopted(secret)
    assert ledger.cohort == "secret"
    before = ledger.spent()["train"]
    assert epsilon_by_rdp(before, 1e-5) > 0
    ledger.declare("second", BUDGET, {"train": EPOCH})
    ledger.charge(epoch("second"))
    summary = summarise(ledger.books, ledger.cohort, ledger.public, "second")
    assert [each.charges for each in summary.sums] == [4, 1]
    assert summary.epsilon == pytest.approx(epsilon_by_rdp(composed([EPOCH] * 5), summary.delta))
    assert ledger.books.filters["second"].spent("train") == pytest.approx(
        5 * rdp_at(EPOCH, ledger.books.filters["second"].declaration.orders["train"])
    )


def test_an_adopted_ledger_divides_the_same_people_as_it_always_did(secret):
    people = described("renamed")
    key = adopted(secret, people).split_key
    assert key == split_key(private_participants().schema) != split_key(people.schema)
    by_name = split_participants(private_participants(), key)
    for then, now in zip(by_name, split_participants(people, key), strict=True):
        assert then.ids.tolist() == now.ids.tolist()


def test_a_split_under_another_name_is_read_through_the_adopted_ledger(secret):
    people, ledger = described("renamed"), adopted(secret)
    train = split_cohort(sealed(people), ledger.split_key).train
    read = ledger.read(train, DPSGD(0.1, 4.0, 1), Purpose("second", "train", "t1"))
    assert set(read.participants.ids) == set(split_participants(people, ledger.split_key).train.ids)
    assert read.receipt == ledger.receipt
    assert ledger.books.entries[-1].content.split == "train"


def respelled(count: int = PEOPLE) -> list[str]:
    """The ids of ``secret``'s participants as they are when the site's column is put before them."""
    return [f"S1/P{number}" for number in range(count)]


def bindings(ledger: Ledger) -> list[Binding]:
    return ledger.books.bindings


def test_people_whose_ids_are_spelled_anew_never_pass_a_declared_epsilon(secret):
    """They may have trained in the first study and be among the validation participants of the second."""
    first = Ledger.open(secret)
    spent = first.books.filters["first"]
    first.close()
    ledger = adopted(secret, described("secret", respelled()))
    declared = ledger.declare("second", BUDGET, {"train": EPOCH, "validation": EPOCH})
    trained = 4 * rdp_at(EPOCH, declared.orders["validation"])
    assert spent.spent("train") > 0
    left = declared.allowances["validation"] - trained
    assert ledger.left("second")["validation"] == pytest.approx(left)
    assert ledger.binding.split_key != spent.declaration.split_key


def second_study(secret: Path, people: Participants) -> tuple[dict, dict, int]:
    """What is published of a study that adopts the ledger, what it may spend, and how many entries the ledger has."""
    ledger = adopted(secret, people)
    declared = ledger.declare("second", DECLARED_FOR_SECOND, {"train": EPOCH, "validation": EPOCH})
    left = ledger.left("second")
    ledger.charge(epoch("second"))
    summary = summarise(ledger.books, ledger.cohort, ledger.public, "second")
    ledger.close()
    orders = {split: float(order) for split, order in declared.orders.items()}
    return charged_events(summary, 6.0, "everything", orders), dict(left), summary.receipt.count


DECLARED_FOR_SECOND = Budget(6.0, 1e-5)


@pytest.mark.parametrize(("kept", "joined"), [(60, 1), (60, 20), (59, 0), (59, 1), (30, 0), (54, 6), (0, 60)])
def test_what_is_published_after_adoption_does_not_tell_who_takes_part(secret, tmp_path, kept, joined):
    """Neither that everybody does again, nor that one person left or joined."""
    copies = [tmp_path / each / "ledger.db" for each in ("again", "changed")]
    for copy in copies:
        shutil.copytree(secret.parent, copy.parent)
    again = second_study(copies[0].with_name(secret.name), described("secret"))
    people = described("secret", [f"P{number}" for number in range(kept)] + strangers(joined))
    assert second_study(copies[1].with_name(secret.name), people) == again


def test_the_script_finds_what_is_stated_after_adoption(secret, tmp_path):
    """What was charged under another split key counts once, by its costliest split: not all splits together."""
    with_scores = Ledger.open(secret)
    with_scores.charge(replace(epoch("first"), split="validation"))
    with_scores.close()
    events, _, _ = second_study(secret, described("secret"))
    (tmp_path / "privacy_events.json").write_text(json.dumps(events))
    (tmp_path / "check_epsilon.py").write_text(CHECK_SCRIPT)
    said = subprocess.run([sys.executable, tmp_path / "check_epsilon.py"], capture_output=True, text=True, check=True)
    ledger = Ledger.open(secret, read_only=True)
    counting = ledger.books.filters["second"]
    found = dict(re.findall(r"(\w+) participants: epsilon ([\d.]+)", said.stdout))
    assert set(found) == {"train", "validation", "test"}
    for split, epsilon in found.items():
        assert float(epsilon) == pytest.approx(counting.epsilon(split), rel=1e-3)


def test_who_is_bound_without_adoption_is_divided_as_before(secret):
    """A study goes on as it was declared, whatever was adopted since."""
    first = Ledger.open(secret, read_only=True).binding
    adopted(secret, described("secret")).close()  # needlessly
    adopted(secret, described("secret", respelled())).close()
    assert ledger_of(sealed(described("secret", respelled())), secret).binding.generation == 2
    again = Ledger.for_cohort(sealed(private_participants()), secret, study="first")
    assert again.binding.split_key == first.split_key
    again.charge(epoch("first"))


@pytest.mark.parametrize("kept", [PEOPLE, PEOPLE - 1, 6])
def test_the_number_of_entries_which_statements_publish_tells_nothing_of_who_takes_part(secret, kept):
    """However many of the ledger's participants are still in the cohort: all, all but one, or few."""
    before = Ledger.open(secret, read_only=True).receipt.count
    assert adopted(secret, described("secret", [f"P{number}" for number in range(kept)])).receipt.count == before + 1


def test_a_study_does_not_go_on_with_ids_that_are_spelled_anew(secret):
    ledger = adopted(secret, described("secret", respelled()))
    with pytest.raises(LedgerError, match="for other identifiers, so its participants would now fall into different"):
        ledger.charge(epoch("first"))


def test_a_ledger_that_counted_no_divisions_keeps_its_split_key_and_counts_from_now_on(secret):
    """Its entries say nothing of them, and it may have a table of those whose ids were spelled anew."""
    before = Ledger.open(secret)
    fields = {name: value for name, value in asdict(before.binding).items() if name != "generation"}
    with before.chain.alone():
        before.append("binding", [fields])
    stranger = fingerprints(before, ["S1/P0"])
    before.close()
    with sqlite3.connect(secret) as database:
        database.execute("CREATE TABLE respelled (generation INTEGER, fingerprint TEXT)")
        database.execute("INSERT INTO respelled VALUES (1, ?)", stranger)
    database.close()
    again = ledger_of(private_cohort())
    assert (again.binding.split_key, again.binding.generation) == (before.binding.split_key, 0)
    assert set(stranger) <= again.chain.participants
    again.close()
    assert adopted(secret, described("secret", respelled())).binding.generation == 1


def test_the_split_key_of_the_first_spelling_is_fingerprinted_as_it_always_was(secret):
    ledger = Ledger.open(secret)
    was = ["split key", ledger.split_key.hex(), *ledger.binding.shares]
    assert ledger.binding.split_key == ledger.chain.fingerprint(was)


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


def test_what_costs_nothing_reads_nobody(secret):
    ledger = ledger_of(private_cohort(), secret)
    before = ledger.receipt
    with pytest.raises(LedgerError, match="DPSGD costs nothing by its event, so it may read nobody"):
        ledger.read(split_cohort(private_cohort(), ledger.split_key).train, DPSGD(0.1, 4.0, 0), Purpose("s", "train"))
    assert ledger.receipt == before
