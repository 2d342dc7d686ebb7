"""The surrogate is bought of the training split, once, and of nobody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cohorts import Encoding, Participants, Schema, SplitShares, split_cohort, split_key, split_participants
from privacy import LedgerError
from privacy.accounting.budget import Budget
from privacy.ledger.charge import Purpose
from privacy.mechanisms.moments import NoisyMoments
from privacy.policies.policy import Door
from privacy.policies.surrogate_cohort import buy_moments
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from tests.privacy.ledgers import ledger_of

ALMOST_WITHOUT_NOISE = 1e-3


@pytest.fixture
def trial(tmp_path: Path, monkeypatch) -> Participants:
    """Those of the training split have pressures of 130 mmHg, all others of 150."""
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path))
    everybody = small_cohort(Schema.model_validate({**SMALL_SCHEMA, "name": "bought", "public": False}), 400)
    train = split_participants(everybody, split_key(everybody.schema)).train
    is_train = np.isin(everybody.ids, train.ids)
    values = everybody.values.copy()
    values[:, 0] = np.where(is_train, 130, 150)[:, None]
    return replace(everybody, values=values)


def door_of(trial: Participants, folder: Path) -> Door:
    cohort = sealed(trial)
    ledger = ledger_of(cohort)
    ledger.declare("study", Budget(1e9, 1e-5))
    return Door("study", trial.schema, split_cohort(cohort, ledger.split_key), ledger, ledger, folder)  # type: ignore


def test_the_surrogate_is_bought_of_the_training_split_alone(trial, tmp_path):
    door = door_of(trial, tmp_path)
    mechanism = replace(NoisyMoments.costing(trial.schema, SplitShares().train, 1.0), noise_sd=ALMOST_WITHOUT_NOISE)
    for moments in buy_moments(door, mechanism):
        low = Encoding(trial.schema).encode(np.full((1, 2, 3), [[130.0], [5.0]], dtype=np.float32))[0]
        pressures = moments.mean[np.isclose(low, low[0])]
        assert pressures == pytest.approx(low[0], abs=0.02)


def test_what_it_costs_is_charged_to_the_training_split(trial, tmp_path):
    door = door_of(trial, tmp_path)
    buy_moments(door, NoisyMoments.costing(trial.schema, SplitShares().train, 0.1))
    (charged,) = [each.content for each in door.ledger.books.entries if hasattr(each.content, "event")]
    assert (charged.split, charged.kind) == ("train", "measurement")


def test_nobody_reads_all_participants_through_the_first_door(trial, tmp_path):
    door = door_of(trial, tmp_path)
    with pytest.raises(LedgerError, match="read one split of them"):
        door.ledger.read(sealed(trial), NoisyMoments.costing(trial.schema, 0.75, 0.1), Purpose("study", "buy moments"))
    assert not [each for each in door.ledger.books.entries if hasattr(each.content, "event")]
