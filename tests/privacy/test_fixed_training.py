"""What may be said of a training that was fixed beforehand, and of one that was cut short and gone on with."""

from __future__ import annotations

import pytest

from privacy.ledger.charge import Purpose
from privacy.ledger.summary import summarise
from privacy.mechanisms.dpsgd import DPSGD
from privacy.statements.fixed_training import FixedTraining
from tests.privacy.ledgers import ledger_of, part, private_cohort

PLANNED = DPSGD(sampling_rate=0.02, noise_multiplier=1.2, steps=1000)


@pytest.mark.parametrize("repeated", [0, 600])
def test_steps_that_were_repeated_were_not_fixed_before_the_first(repeated, monkeypatch, tmp_path):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path))
    ledger = ledger_of(private_cohort())
    for steps in filter(None, (PLANNED.steps, repeated)):
        ledger.read(part("train"), PLANNED.of_steps(steps), Purpose("first", "train", "dp_gan"))
    summary = summarise(ledger.books, ledger.cohort, ledger.public, "first", 1e-5)
    said = FixedTraining.of(summary, PLANNED, 10, "as asked", False, 0.8, 400, "secret")
    assert said.steps == PLANNED.steps + repeated
    assert ("which was fixed before its first step" in said.first_line) is not bool(repeated)
    assert ("steps that were repeated after it was cut short" in said.first_line) is bool(repeated)
    assert ("counts as chosen without regard to the generators" in said.text()) is bool(repeated)
