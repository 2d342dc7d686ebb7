"""Small ledgers that several tests share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np

from cohorts import Cohort, Participants, Schema, Split, split_cohort, split_key
from privacy.accounting.budget import Budget
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger
from privacy.mechanisms.dpsgd import DPSGD
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort

BUDGET = Budget(epsilon=3.0, delta=1e-5)
EPOCH = DPSGD(sampling_rate=0.1, noise_multiplier=4.0, steps=10).event
SCORE = dp_accounting.GaussianDpEvent(20.0)
PEOPLE = 60


def private_participants(name: str = "secret", participants: int = PEOPLE, seed: int = 0) -> Participants:
    """Participants of the small schema, marked private; those of another name are other people."""
    cohort = small_cohort(Schema.model_validate({**SMALL_SCHEMA, "name": name, "public": False}), participants, seed)
    return cohort if name == "secret" else replace(cohort, ids=np.array([f"{name} {each}" for each in cohort.ids]))


def described(name: str, ids: list[str] | None = None, **changes) -> Participants:
    """Participants of those ids, in another trial by its schema, with other values; those of ``secret`` by default."""
    ids = [f"P{number}" for number in range(PEOPLE)] if ids is None else ids
    schema = Schema.model_validate({**SMALL_SCHEMA, "public": False, "name": name, **changes})
    return replace(small_cohort(schema, len(ids), seed=5), ids=np.array(ids))


def strangers(count: int) -> list[str]:
    """Ids of people whom nobody knows."""
    return [f"Q{number}" for number in range(count)]


def private_cohort(name: str = "secret", participants: int = PEOPLE, seed: int = 0) -> Cohort:
    """The same, sealed."""
    return sealed(private_participants(name, participants, seed))


def part(split: Split, name: str = "secret") -> Cohort:
    """One split of them."""
    cohort = private_cohort(name)
    return getattr(split_cohort(cohort, split_key(cohort.schema)), split)


def everybody(split: Split, name: str = "secret") -> Cohort:
    """All of them, as if they had fallen into one split."""
    return sealed(private_participants(name), split)


def public_cohort() -> Cohort:
    return sealed(small_cohort(Schema.model_validate(SMALL_SCHEMA), 60))


def epoch(study: str = "first", trial: str = "t1", split: Split = "train", event=EPOCH, **other) -> Charge:
    """One charge, of ten steps of training unless something else is said."""
    return Charge(event, split, study, "train an epoch", trial, **other)


def ledger_of(cohort: Cohort, file: Path | None = None, **said: Any) -> Ledger:
    """A cohort's ledger, begun where there is none."""
    return Ledger.for_cohort(cohort, file, begin=True, **said)


def ledger_with(entries: int, file: Path | None = None, cohort: Cohort | None = None) -> Ledger:
    """A ledger whose study ``first`` declared and charged ``entries`` epochs."""
    ledger = ledger_of(cohort or private_cohort(), file)
    ledger.declare("first", BUDGET, {"train": EPOCH})
    for _ in range(entries):
        ledger.charge(epoch())
    return ledger
