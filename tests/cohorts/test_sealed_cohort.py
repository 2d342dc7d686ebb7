"""A cohort of real participants shows nothing of them, in whatever process it is and however it is asked."""

import ast
import copy
import gc
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from cohorts import SPLITS, Cohort, CohortError, Participants, Schema, split_cohort, split_key, split_participants
from cohorts.cohort import seal_key
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort

ROOT = Path(__file__).parents[2]


@pytest.fixture
def people() -> Participants:
    schema = Schema.model_validate({**SMALL_SCHEMA, "name": "sealed", "public": False})
    people = small_cohort(schema, 200)
    names = np.array([f"participant number {each}" for each in people.ids])  # long enough not to be there by chance
    return Participants(schema, names, people.labels, people.values)


def test_how_long_a_cohort_is_does_not_tell_one_participant_more_or_less(people):
    one_less = people.take(np.arange(len(people) - 1))
    assert len(pickle.dumps(sealed(people))) == len(pickle.dumps(sealed(one_less)))
    assert len(sealed(people).unseal(seal_key(split_key(people.schema)))) == len(people)


WAYS_AROUND = {
    "numpy asarray": lambda cohort: np.asarray(cohort, dtype=np.float32),
    "numpy frombuffer": lambda cohort: np.frombuffer(cohort),
    "numpy array interface": lambda cohort: cohort.__array_interface__,
    "numpy array protocol": lambda cohort: cohort.__array__(),
    "dlpack": lambda cohort: torch.from_dlpack(cohort),
    "torch from_numpy": lambda cohort: torch.from_numpy(cohort),
    "torch as_tensor": lambda cohort: torch.as_tensor(cohort),
    "torch tensor": lambda cohort: torch.tensor(cohort),
    "memoryview": lambda cohort: memoryview(cohort),
    "bytes": lambda cohort: bytes(cohort),
    "pyarrow array": lambda cohort: pa.array(cohort),
    "pyarrow buffer": lambda cohort: pa.py_buffer(cohort),
    "length": lambda cohort: len(cohort),
    "iteration": lambda cohort: list(cohort),
    "index": lambda cohort: cohort[0],
    "values": lambda cohort: cohort.values,
    "labels": lambda cohort: cohort.labels,
    "ids": lambda cohort: cohort.ids,
    "tolist": lambda cohort: cohort.tolist(),
    "vars": lambda cohort: vars(cohort),
    "json": lambda cohort: json.dumps(cohort),
    "another key": lambda cohort: cohort.unseal(seal_key(bytes(32))),
}


@pytest.mark.parametrize("way", WAYS_AROUND)
def test_no_way_around_the_doors_gives_participants(people, way):
    with pytest.raises((TypeError, AttributeError, ValueError, BufferError, RuntimeError, CohortError)):
        WAYS_AROUND[way](sealed(people))


def traces(people: Participants) -> list[bytes]:
    """Byte strings that would give somebody away."""
    ids = [str(each).encode() for each in people.ids]
    wide = people.ids.tobytes()[:64]  # as numpy keeps text
    return [*ids, wide, people.values[7].tobytes(), people.values[:, 0].tobytes()[:64], people.labels.tobytes()[:64]]


def shows(content: bytes, people: Participants) -> bool:
    return any(trace in content for trace in traces(people))


def test_what_is_searched_for_would_be_found_in_open_participants(people):
    assert shows(pickle.dumps(people), people)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_or_a_copy_is_as_blind_as_the_handle(people, protocol):
    cohort = sealed(people)
    for each in (cohort, copy.copy(cohort), copy.deepcopy(cohort)):
        if protocol >= 2:  # older protocols know no slots, and refuse
            assert not shows(pickle.dumps(each, protocol), people)


def test_nothing_that_the_handle_refers_to_is_open(people):
    reached, todo = [], [sealed(people)]
    while todo:
        found = [each for each in gc.get_referents(todo.pop()) if not isinstance(each, type | type(sys))]
        fresh = [each for each in found if not any(each is known for known in reached)]
        reached += fresh
        todo += [each for each in fresh if isinstance(each, bytes | list | tuple | dict | Cohort)]
    assert not any(isinstance(each, np.ndarray | torch.Tensor | Participants) for each in reached)
    assert not any(shows(each, people) for each in reached if isinstance(each, bytes))


def test_words_about_it_are_its_name(people):
    cohort = sealed(people)
    assert {repr(cohort), str(cohort), f"{cohort}"} == {"Cohort('sealed')"}


def test_the_right_key_gives_everybody_back(people):
    opened = sealed(people).unseal(seal_key(split_key(people.schema)))
    assert (opened.ids == people.ids).all()
    assert (opened.labels == people.labels).all()
    assert np.array_equal(opened.values, people.values, equal_nan=True)


def test_a_sealed_cohort_splits_as_its_participants_do(people):
    key = split_key(people.schema)
    parts = zip(SPLITS, split_cohort(sealed(people), key), split_participants(people, key), strict=True)
    for split, closed, opened in parts:
        assert closed.split == split
        assert (closed.unseal(seal_key(key)).ids == opened.ids).all()


def test_a_split_does_not_pass_for_another(people):
    key = split_key(people.schema)
    for handle in (sealed(people), *split_cohort(sealed(people), key)):
        for other in {*SPLITS, None} - {handle.split}:
            disguised = copy.copy(handle)
            disguised.split = other
            with pytest.raises(CohortError, match="not those of the split"):
                disguised.unseal(seal_key(key))


ELSEWHERE = """
import os, pickle, sys
import numpy as np, torch, pyarrow as pa
cohort = pickle.loads(sys.stdin.buffer.read())
opened = []
for way in (np.frombuffer, torch.as_tensor, memoryview, bytes, pa.py_buffer, len, list, vars):
    try:
        opened.append(way(cohort))
    except (TypeError, ValueError, RuntimeError, AttributeError):
        pass
print(opened, cohort.schema.name, sorted(name for name in dir(cohort) if not name.startswith("__")))
"""


def test_in_another_process_it_is_as_blind(people, tmp_path):
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "DPGAN_TUNE_DATA": str(tmp_path / "elsewhere")}
    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=pickle.dumps(sealed(people)), env=environment, capture_output=True
    )
    expected = "[] sealed ['_sealed', 'closed', 'schema', 'seal', 'split', 'unseal']"
    assert ran.stdout.decode().strip() == expected, ran.stderr.decode()
    assert not (tmp_path / "elsewhere").exists()  # no key was made where there is none


OPENERS = {"unseal", "seal_key"}


def callers(names: set[str]) -> set[str]:
    """Files of the product that use one of these names."""
    found = set()
    for folder in ("analysis", "benchmarks", "cohorts", "privacy", "search_spaces", "trainables", "tuner"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
                if name in names:
                    found.add(str(file.relative_to(ROOT)))
    return found


def test_only_the_ledger_opens_cohorts():
    inside = {"cohorts/cohort.py", "cohorts/catalogue.py", "cohorts/splits.py"}
    assert callers(OPENERS) - inside == {"privacy/ledger/ledger.py", "privacy/ledger/actor.py"}


def test_participants_are_loaded_open_only_to_check_a_schema_to_read_a_release_and_in_benchmarks():
    reads_a_release = {"analysis/release.py", "analysis/verifying.py"}  # the synthetic tables
    users = callers({"load_participants", "read_participants"})
    assert {user for user in users if not user.startswith(("cohorts/", "benchmarks/"))} == reads_a_release
