"""A ledger that is adopted goes on counting, whoever takes part now, and what is published does not tell who does."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cohorts import Participants, split_cohort, split_key, split_participants
from privacy.accounting.budget import Budget
from privacy.accounting.events import composed
from privacy.accounting.rdp import epsilon_by_rdp, rdp_at
from privacy.errors import LedgerError
from privacy.ledger.charge import Purpose
from privacy.ledger.identity import Binding
from privacy.ledger.ledger import Ledger
from privacy.ledger.people import fingerprints
from privacy.ledger.summary import summarise
from privacy.mechanisms.dpsgd import DPSGD
from privacy.statements.events import CHECK_SCRIPT, charged_events
from tests.conftest import sealed
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

pytestmark = pytest.mark.usefixtures("data_home")


def adopted(secret: Path, people: Participants | None = None) -> Ledger:
    return ledger_of(sealed(people or described("renamed")), secret, adopt=True)


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


def test_what_costs_nothing_reads_nobody(secret):
    ledger = ledger_of(private_cohort(), secret)
    before = ledger.receipt
    with pytest.raises(LedgerError, match="DPSGD costs nothing by its event, so it may read nobody"):
        ledger.read(split_cohort(private_cohort(), ledger.split_key).train, DPSGD(0.1, 4.0, 0), Purpose("s", "train"))
    assert ledger.receipt == before
