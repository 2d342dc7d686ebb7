"""Small cohorts that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, settings

from cohorts import Cohort, Participants, Schema, Split, split_key

if TYPE_CHECKING:
    from tests.shared_ray import SharedRay

FRESH_NOISE = bool(os.environ.get("FRESH_NOISE"))

# An example that takes long on a busy machine proves nothing about the code.
untimed = settings(deadline=None, derandomize=not FRESH_NOISE)
settings.register_profile("untimed", untimed)
settings.register_profile("unshrunk", untimed, phases=(Phase.explicit, Phase.generate))  # of mistakes we planted
settings.load_profile("untimed")

TUNER = Path(__file__).parent / "tuner"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start Ray first: they take longest, and where several run at a time the short ones fill up the end."""
    items.sort(key=lambda item: TUNER not in item.path.parents and not hasattr(getattr(item, "module", None), "ray"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Noise of a test, its fixtures' too, follows from its name unless fresh noise is asked for."""
    if FRESH_NOISE or item.get_closest_marker("fresh_noise"):
        return (yield)
    from tests.repeatable_noise import repeatable_noise  # to count the tests needs no torch

    with repeatable_noise(item.nodeid):
        return (yield)


SMALL_SCHEMA: dict[str, Any] = {
    "name": "small",
    "public": True,
    "participant": "id",
    "nominal_size": 400,
    "tables": {"visits": "visits.csv"},
    "label": {
        "name": "arm",
        "table": "visits",
        "column": "arm",
        "randomised": True,
        "classes": [{"name": "control", "value": 0, "share": 0.5}, {"name": "treated", "value": 1, "share": 0.5}],
    },
    "visits": {"column": "visit", "codes": ["week 0", "week 4", "week 8"]},
    "measures": [
        {"name": "pressure", "unit": "mmHg", "kind": "integer", "lower": 80, "upper": 200, "column": "pressure"},
        {"name": "dose", "unit": "mg", "kind": "continuous", "decimals": 1, "lower": 0, "upper": 10, "column": "dose"},
    ],
}

THREE_ARMS = {
    **SMALL_SCHEMA["label"],
    "classes": [
        {"name": "control", "value": 0, "share": 0.5},
        {"name": "half the dose", "value": 1, "share": 0.3},
        {"name": "treated", "value": 2, "share": 0.2},
    ],
}


@pytest.fixture(scope="session", autouse=True)
def users_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ledgers and split keys of tests stay out of the user's own data directory."""
    directory = tmp_path_factory.mktemp("users-data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPGAN_TUNE_DATA", str(directory))
        yield directory


@pytest.fixture(scope="session")
def shared_ray(users_data: Path) -> Iterator[SharedRay]:
    """A Ray for all tests of this process; what runs on it keeps split keys in the data directory of all tests."""
    from tests.shared_ray import started  # most tests need no Ray

    with started(users_data) as shared:
        yield shared


@pytest.fixture(name="blank_pictures")
def no_picture_is_drawn() -> Iterator[None]:
    """In a test that looks at something else."""
    from tests.blank_pictures import blank_pictures  # most tests need no matplotlib

    with blank_pictures():
        yield


@pytest.fixture
def schema() -> Schema:
    """Two measures at three visits, two arms."""
    return Schema.model_validate(SMALL_SCHEMA)


def small_cohort(schema: Schema, participants: int, seed: int = 0) -> Participants:
    """Participants whose pressure falls and dose rises the more, the later their arm is named."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(schema.label.classes), participants)
    time = np.arange(3)
    pressure = 150 - 12 * labels[:, None] * time + rng.normal(0, 8, (participants, 3))
    dose = 3 + 1.5 * labels[:, None] * time + rng.normal(0, 1, (participants, 3))
    values = np.stack([np.rint(pressure).clip(80, 200), dose.round(1).clip(0, 10)], axis=1)
    ids = np.array([f"P{number}" for number in range(participants)])
    return Participants(schema, ids, labels.astype(np.int64), values.astype(np.float32))


def sealed(participants: Participants, split: Split | None = None) -> Cohort:
    """What the loader would hand out, or one split of it."""
    return Cohort.closed(participants, split_key(participants.schema), split)


@pytest.fixture
def cohort(schema: Schema) -> Participants:
    """400 participants of the small schema."""
    return small_cohort(schema, 400)
