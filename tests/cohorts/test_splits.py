import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import CohortError, Schema, SplitShares, load_participants, resolve_schema, split_key, split_participants
from cohorts.split_keys import keep_split_key
from cohorts.splits import keyed_positions
from tests.cohorts.little_trial import SCHEMA

PRIVATE = Schema.model_validate(SCHEMA)
ids = st.lists(st.text(max_size=8), max_size=30, unique=True)


@pytest.fixture
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


@settings(max_examples=100)
@given(some=ids, others=ids, key=st.binary(min_size=32, max_size=32))
def test_adding_or_removing_others_moves_nobody(some, others, key):
    alone = dict(zip(some, keyed_positions(np.array(some, dtype=object), key), strict=True))
    company = [each for each in others if each not in alone] + some[::-1]
    together = dict(zip(company, keyed_positions(np.array(company, dtype=object), key), strict=True))
    assert all(together[each] == alone[each] for each in some)


def test_splits_are_disjoint_whole_and_near_their_shares():
    cohort, _ = load_participants("actg175")
    splits = split_participants(cohort, split_key(cohort.schema))
    assert sorted(i for split in splits for i in split.ids) == sorted(cohort.ids)
    assert [len(split) / len(cohort) for split in splits] == pytest.approx([0.75, 0.15, 0.10], abs=0.02)


def test_a_split_without_one_participant_differs_by_that_participant_alone():
    cohort, _ = load_participants("actg175")
    key = split_key(cohort.schema)
    whole = split_participants(cohort, key)
    less = split_participants(cohort.take(np.arange(len(cohort)) != 17), key)
    gone = [set(one.ids) - set(other.ids) for one, other in zip(whole, less, strict=True)]
    assert set().union(*gone) == {cohort.ids[17]}
    assert not [i for one, other in zip(whole, less, strict=True) for i in set(other.ids) - set(one.ids)]


def test_another_key_splits_otherwise():
    names = np.array([f"P{i}" for i in range(100)])
    assert (keyed_positions(names, b"a" * 32) != keyed_positions(names, b"b" * 32)).all()


def test_positions_are_spread_evenly():
    positions = keyed_positions(np.array([f"P{i}" for i in range(10_000)]), b"k" * 32)
    assert np.histogram(positions, bins=10, range=(0, 1))[0].min() > 850


def test_shares_must_sum_to_one():
    with pytest.raises(ValueError, match="sum to 1"):
        SplitShares(train=0.5)


def test_a_public_cohort_has_the_same_key_everywhere():
    schema = resolve_schema("sprint-simulated")
    assert split_key(schema) == split_key(schema)
    assert split_key(schema) != split_key(resolve_schema("actg175"))


def test_a_private_key_is_drawn_once_and_kept_when_asked_for_its_owner_alone(data_home):
    key = split_key(PRIVATE)
    path = data_home / "cohorts" / "little" / "split.key"
    assert split_key(PRIVATE) == key and not data_home.exists()
    keep_split_key("little", public=False)
    assert path.read_bytes() == key == split_key(PRIVATE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["split.key"]


def test_private_keys_differ_from_place_to_place(tmp_path, monkeypatch):
    keys = set()
    for home in ("a", "b"):
        monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / home))
        keys.add(split_key(PRIVATE))
    assert len(keys) == 2


RACER = """
from cohorts import CohortError, Schema, split_key
from cohorts.split_keys import keep_split_key
from tests.cohorts.little_trial import SCHEMA
drawn = split_key(Schema.model_validate(SCHEMA))
print("ready", flush=True)
input()
try:
    keep_split_key("little", public=False)
except CohortError as error:
    assert "Run this one again" in str(error)
else:
    print(drawn.hex())
"""


def test_of_processes_that_race_for_the_key_one_keeps_its_own_and_the_others_are_told(data_home):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen([sys.executable, "-c", RACER], **pipes) for _ in range(3)]
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 3
    said = [racer.communicate("now\n")[0].strip() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    assert [each for each in said if each] == [split_key(PRIVATE).hex()]


def test_a_damaged_key_is_an_error_that_says_why_it_matters(data_home):
    path = data_home / "cohorts" / "little" / "split.key"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"short")
    with pytest.raises(CohortError, match=r"split\.key is damaged.*backup"):
        split_key(PRIVATE)


def test_a_key_that_cannot_be_kept_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "file"))
    with pytest.raises(CohortError, match="DPGAN_TUNE_DATA"):
        keep_split_key("little", public=False)
