"""Participants are measured once, all of them but those kept for the report, and never again."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cohorts import Participants, Schema, SplitShares, split_cohort, split_participants
from privacy import DPSGD, LedgerError, LedgerUnavailable
from privacy.accounting.budget import Budget
from privacy.ledger.charge import Charge
from privacy.ledger.ledger import Ledger, opened
from privacy.ledger.places import receipts_file
from privacy.ledger.receipt import cohort_named, read_receipts
from privacy.ledger.study_record import RECEIPTS
from privacy.ledger.summary import summarise
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.misfit import WORST, misfit
from privacy.planning.allocation import DeclaredPlan, allocate
from privacy.planning.choice import PlanInputs
from privacy.policies.bought import MEASURED_FILE, require_as_bought
from privacy.policies.measured import MeasuredOnce
from privacy.policies.on_measured import kept_measurements
from privacy.policies.policy import Door
from privacy.statements.statement import Chosen
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from tests.privacy.ledgers import ledger_of
from trainables.scoring.judging import SyntheticJudge

EPSILON, DELTA = 3.0, 1e-5
POLICY = MeasuredOnce()


@pytest.fixture
def trial(tmp_path: Path, monkeypatch) -> Participants:
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path))
    return small_cohort(Schema.model_validate({**SMALL_SCHEMA, "name": "measured", "public": False}), 400)


def declared_door(trial: Participants, folder: Path, study: str = "study") -> tuple[DeclaredPlan, Door]:
    """A study that has declared what it plans, and its way to the participants."""
    cohort = sealed(trial)
    ledger = ledger_of(cohort)
    spent = ledger.spent()
    inputs = PlanInputs(Budget(EPSILON, DELTA), trial.schema, 8, (1, 3), 3, (0.1,), ("one", "two"), spent=spent)
    plan = POLICY.plan(inputs)
    ledger.declare(study, plan.budget, plan.events(trial.schema, spent), POLICY.name)
    declared = DeclaredPlan(plan=plan, allocation=allocate(plan, trial.schema, ledger.books.filters[study]))
    splits = split_cohort(cohort, ledger.split_key, plan.shares)
    return declared, Door(study, trial.schema, splits, ledger, ledger, folder)  # type: ignore[arg-type]


def charges(door: Door) -> list[Charge]:
    return [charge for _, charge in door.ledger.books.release_charges()]


def test_both_splits_are_charged_the_whole_of_epsilon_and_no_more(trial, tmp_path):
    declared, door = declared_door(trial, tmp_path)
    POLICY.access(*POLICY.stages(declared), declared, door)
    assert [(each.split, each.kind) for each in charges(door)] == [
        ("train", "measurement"),
        ("validation", "measurement"),
    ]
    spent = summarise(door.ledger.books, door.ledger.cohort, door.ledger.public, "study").spent
    for split in ("train", "validation"):
        assert 0.999 * EPSILON < spent[split] <= EPSILON


def test_everybody_but_the_test_participants_is_measured(trial, tmp_path):
    """With hardly any noise, the number that was measured is theirs."""
    declared, door = declared_door(trial, tmp_path)
    counted = [len(opened(split)) for split in (door.splits.train, door.splits.validation)]
    stated = replace(declared.measurements(trial.schema).histograms, noise_sd=1e-3)
    mechanism = replace(declared.measurements(trial.schema), histograms=stated)
    people = Participants.together(split_participants(trial, door.ledger.split_key, declared.plan.shares)[:2])
    histograms = mechanism.release(people.values, people.labels).histograms
    assert sum(each.participants for each in histograms) == pytest.approx(sum(counted), abs=0.1)


def test_a_study_that_goes_on_is_given_what_was_bought(trial, tmp_path):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    first, again = (POLICY.access(stage, declared, door) for _ in range(2))
    assert len(charges(door)) == 2
    assert first.measured.content() == again.measured.content()
    assert np.array_equal(first.train.values, again.train.values)


def test_what_was_bought_and_lost_is_not_bought_again(trial, tmp_path):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    POLICY.access(stage, declared, door)
    (tmp_path / MEASURED_FILE).unlink()
    with pytest.raises(LedgerError, match=r"study has paid for its measurements, and .*measured\.json"):
        POLICY.access(stage, declared, door)
    assert len(charges(door)) == 2


@pytest.mark.parametrize("step", ["read_together", "settle"])
def test_what_is_being_paid_for_is_finished_before_ctrl_c_ends_the_study(trial, tmp_path, monkeypatch, step):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    real = getattr(Ledger, step)

    def interrupted(ledger: Ledger, *arguments: object) -> object:
        done = real(ledger, *arguments)
        signal.raise_signal(signal.SIGTERM)
        return done

    monkeypatch.setattr(Ledger, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        POLICY.access(stage, declared, door)
    monkeypatch.undo()
    require_as_bought(door.ledger, "study", tmp_path)
    assert POLICY.access(stage, declared, door).measured.content() == kept(tmp_path)
    assert len(charges(door)) == 2


def kept(folder: Path) -> dict[str, Any] | None:
    """What was measured, as a study's folder has it."""
    measured = kept_measurements(folder)
    return measured and measured.content()


class Killed(BaseException):
    """As if the process ended there."""


def test_a_study_killed_as_soon_as_what_it_bought_is_settled_goes_on_with_it(trial, tmp_path, monkeypatch):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    real = Ledger.settle

    def killed(ledger: Ledger, *arguments: object) -> None:
        real(ledger, *arguments)  # type: ignore[arg-type]
        raise Killed

    monkeypatch.setattr(Ledger, "settle", killed)
    with pytest.raises(Killed):
        POLICY.access(stage, declared, door)
    monkeypatch.undo()
    assert not (tmp_path / MEASURED_FILE).exists()
    assert POLICY.access(stage, declared, door).measured.content() == kept(tmp_path)
    assert len(charges(door)) == 2


def test_what_no_ledger_settled_is_not_gone_on_with(trial, tmp_path, monkeypatch):
    """Killed before that, or a file that somebody put there."""
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)

    def killed(*arguments: object) -> None:
        raise Killed

    monkeypatch.setattr(Ledger, "settle", killed)
    with pytest.raises(Killed):
        POLICY.access(stage, declared, door)
    monkeypatch.undo()
    assert list(tmp_path.glob(f".{MEASURED_FILE}*"))
    with pytest.raises(LedgerError, match="has paid for its measurements"):
        POLICY.access(stage, declared, door)
    assert not (tmp_path / MEASURED_FILE).exists() and len(charges(door)) == 2


def taken_back(door: Door, to: Path) -> Ledger:
    """The ledger as a copy has it that was made before, with nothing beside it that knows of more."""
    door.ledger.close()
    receipts_file(door.ledger.file).unlink()
    shutil.copy(to, door.ledger.file)
    return Ledger.open(door.ledger.file)


def test_no_measurement_is_gone_on_with_that_its_ledger_does_not_know(trial, tmp_path):
    """A ledger that was rolled back would have the study state an epsilon for what it never heard of."""
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    door.ledger.copy_to(tmp_path / "older.db")
    POLICY.access(stage, declared, door)
    before = taken_back(door, tmp_path / "older.db")
    with pytest.raises(LedgerError, match=r"measured\.json is there, and the ledger .* knows of no payment"):
        POLICY.access(stage, declared, replace(door, ledger=before))
    with pytest.raises(LedgerError, match="does not know what the study study bought"):
        require_as_bought(before, "study", tmp_path)
    summary = summarise(before.books, before.cohort, before.public, "study")
    with pytest.raises(LedgerError, match="knows of nothing that it read"):
        POLICY.statement(summary, declared, Chosen(trial.schema.name, 2, (DPSGD(0.1, 1.0, 5).event,), 400))


def test_another_studys_measurements_are_not_taken_for_those_that_were_paid_for(trial, tmp_path):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    POLICY.access(stage, declared, door)
    require_as_bought(door.ledger, "study", tmp_path)
    others = declared.measurements(trial.schema).release(trial.values, trial.labels)
    (tmp_path / MEASURED_FILE).write_text(json.dumps(others.content()) + "\n")
    for asked in (
        lambda: POLICY.access(stage, declared, door),
        lambda: require_as_bought(door.ledger, "study", tmp_path),
    ):
        assert "does not hold what the study study paid for" in refusal(asked)


def refusal(asked: Callable[[], object]) -> str:
    """Why something was refused; nothing where it was not."""
    try:
        asked()
    except LedgerError as error:
        return str(error)
    return ""


def test_a_study_knows_of_its_charge_before_anybody_is_measured(trial, tmp_path, monkeypatch):
    """By a receipt in its own folder, and by one beside the ledger."""

    def killed(*_):
        raise KeyboardInterrupt

    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    monkeypatch.setattr(Measurements, "release", killed)
    with pytest.raises(KeyboardInterrupt):
        POLICY.access(stage, declared, door)
    for file in (tmp_path / RECEIPTS, receipts_file(door.ledger.file)):
        assert read_receipts(file)[-1] == door.ledger.receipt
    assert cohort_named(tmp_path / RECEIPTS) == door.ledger.cohort


def test_nothing_is_paid_for_that_could_not_be_kept(trial, tmp_path, monkeypatch):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    with monkeypatch.context() as patch, pytest.raises(LedgerUnavailable, match=r"less than 64 MiB left.*--resume"):
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**25))
        POLICY.access(stage, declared, door)
    assert not charges(door)
    POLICY.access(stage, declared, door)
    assert charges(door)


def test_trials_read_nobody(trial, tmp_path):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    access = POLICY.access(stage, declared, door)
    asked = Measurements.costing(trial.schema, 0.9, 100.0)
    measuring, training = access.training("t1", asked, "train"), access.training("t1", DPSGD(0.1, 1.0, 5), "train")
    assert measuring.mechanism.release(trial.values, trial.labels) is access.measured
    for reading in (measuring, training):
        assert set(reading.participants.ids) <= {f"S{number}" for number in range(400)}
    scores, receipt = access.scores("t1", 1, SyntheticJudge(access.train, dict.fromkeys(SyntheticJudge.names(), 0)))
    assert receipt is None and len(charges(door)) == 2
    assert {"auc_random_forest", "misfit_histograms", "misfit_products"} <= scores.keys()


def test_its_statement_says_what_was_read(trial, tmp_path):
    declared, door = declared_door(trial, tmp_path)
    (stage,) = POLICY.stages(declared)
    POLICY.access(stage, declared, door)
    summary = summarise(door.ledger.books, door.ledger.cohort, door.ledger.public, "study")
    stated = POLICY.statement(summary, declared, Chosen(trial.schema.name, 2, (DPSGD(0.1, 1.0, 5).event,), 400))
    text = stated.text()
    assert f"Epsilon {EPSILON:g} (delta {DELTA:g}) covers everything that was read of participants to make" in text
    assert "files were accepted: the measurements that every generator" in text
    assert "| train | noisy measurements | 1 |" in text or "measure" in text
    assert "AUC carries" not in text and "costliest" not in text
    for of_training in ("step", "multiplier", "sampling rate", "Noise of training", "`shortlist/`", "DP-SGD"):
        assert of_training not in text
    assert len(text.split()) < 1000
    assert stated.winning_run_epsilon <= EPSILON
    assert stated.as_json()["score_noise_sd"] is None


def test_those_who_were_measured_misfit_by_the_noise_and_strangers_by_more():
    schema = Schema.model_validate(SMALL_SCHEMA)
    real = small_cohort(schema, 400)
    mechanism = Measurements.costing(schema, SplitShares().train, 0.2)
    bought, *further = (mechanism.release(real.values, real.labels) for _ in range(5))
    drawn = bought.draw(schema, 4000, np.random.default_rng(0))
    strangers = replace(drawn, values=drawn.values[np.random.default_rng(0).permutation(4000)])
    themselves = np.median([misfit(each, real)["misfit"] for each in (bought, *further)])
    ours, theirs = (misfit(bought, each)["misfit"] for each in (drawn, strangers))
    assert 0.75 < themselves < 1.25  # chi-squared over about 340 degrees of freedom
    assert ours < 1.5 and theirs > 2 * ours
    assert misfit(bought, drawn.take(np.flatnonzero(drawn.labels == 0)))["misfit_products"] == WORST
