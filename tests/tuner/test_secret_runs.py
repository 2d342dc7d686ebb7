"""A run of a secret number does no more than it was charged for, whatever dies or is removed, and is drawn once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import ClassVar

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from privacy import BudgetExhausted, LedgerError
from privacy.accounting.budget import Budget
from privacy.ledger.commitment import digest_of
from privacy.planning.plan import segment_epochs
from tests.privacy.ledgers import private_cohort
from tests.privacy.secret_search import CONFIG, EPOCHS, declared_search, draw, ledger_of
from trainables.service.answers import PackLost
from tuner import secret_runs, study
from tuner.phases import _require_paid
from tuner.resources import TrialResources
from tuner.secret_runs import SecretSearch, run_secretly


class Unlucky:
    """Pays for the epochs it begins, and loses a segment where fate says so."""

    begun = 0
    allowed = 0
    fate: ClassVar[list[bool]] = []

    def __init__(self, name, config, plan):
        self.epoch, self.planned_epochs = 0, plan.scored_epochs[-1]

    def load(self, folder):
        self.epoch = int((folder / "epoch").read_text())

    def save(self, folder):
        (folder / "epoch").write_text(str(self.epoch))

    def train_to(self, epoch):
        asked = epoch - self.epoch
        if Unlucky.begun + asked > Unlucky.allowed:
            raise BudgetExhausted("no more")
        Unlucky.begun += asked
        if Unlucky.fate and Unlucky.fate.pop():
            raise PackLost("died")
        self.epoch = epoch

    def score(self):
        return {"score": 0.5}


@given(longest=st.integers(1, 40), fate=st.lists(st.booleans(), max_size=30))
def test_a_run_that_may_do_no_more_is_given_up_and_any_other_is_finished(tmp_path_factory, longest, fate):
    folder = tmp_path_factory.mktemp("runs") / "0"
    Unlucky.begun, Unlucky.fate = 0, list(fate)
    Unlucky.allowed = longest + segment_epochs(longest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secret_runs, "Trial", Unlucky)
        for _ in range(len(fate) + 1):  # Ray does a share again whose pack was lost
            try:
                secret_runs._carry_out(SimpleNamespace(scored_epochs=(longest,)), 0, {}, folder)
                break
            except PackLost:
                continue
    finished = (folder / secret_runs.RESULT).exists()
    assert finished or Unlucky.begun + segment_epochs(longest) > longest


@pytest.fixture
def account(tmp_path, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    return declared_search(ledger_of())


@pytest.fixture
def search(account, tmp_path):
    """Runs that were carried out, of which none is kept yet."""
    configurations = account.configurations(draw)
    for number in range(len(configurations)):
        state = tmp_path / "runs" / str(number) / secret_runs.STATE
        state.mkdir(parents=True)
        (state / "generator.pt").write_text(f"generator {number}")
        (state.parent / secret_runs.RESULT).write_text(json.dumps({"score": number / 1000}))
    plan = SimpleNamespace(scored_epochs=(EPOCHS,))
    return SecretSearch(account, configurations, plan, tmp_path / "runs", tmp_path / "winner", lambda _: None)


def test_the_best_run_is_kept_and_everything_else_is_gone(search):
    best = len(search.configurations) - 1
    secret_runs._keep_best(search)
    assert (search.winner / "generator.pt").read_text() == f"generator {best}"
    found = json.loads((search.winner / "winner.json").read_text())
    assert (found["epoch"], found["scores"]["score"]) == (EPOCHS, best / 1000)
    assert not search.folder.exists()
    assert search.account.has_kept(search.winner)


@pytest.mark.parametrize("how", ["removed", "changed"])
def test_a_winner_that_is_gone_or_another_is_not_chosen_again(search, how):
    secret_runs._keep_best(search)
    shutil.rmtree(search.winner) if how == "removed" else (search.winner / "generator.pt").write_text("other")
    with pytest.raises(LedgerError, match=r"removed or changed.*one choice"):
        search.account.has_kept(search.winner)
    with pytest.raises(LedgerError, match="no longer in the ledger"):  # nor can its runs be drawn again
        search.account.configurations(draw)


def test_the_choice_leaves_a_receipt_with_the_study(search):
    kept = []
    secret_runs._keep_best(replace(search, keep=kept.append))
    assert kept == [search.account._ledger.receipt]


def test_no_second_search_is_paid_for_where_the_best_of_one_is_there(search, tmp_path):
    """As after a kill, with a ledger from before the payment."""
    (tmp_path / "winner").mkdir()
    _require_paid(tmp_path / "winner", SimpleNamespace(ledger=search.account._ledger, study="secret"))
    other = ledger_of(private_cohort("other"))
    _require_paid(tmp_path / "none", SimpleNamespace(ledger=other, study="secret"))
    with pytest.raises(LedgerError, match="knows no payment for"):
        _require_paid(tmp_path / "winner", SimpleNamespace(ledger=other, study="secret"))


def test_what_a_study_that_was_killed_as_it_chose_left_is_removed_when_it_goes_on(search, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(secret_runs, "shutil", SimpleNamespace(copy=shutil.copy, rmtree=killed))
        secret_runs._keep_best(search)
    assert search.folder.exists()
    monkeypatch.setattr(study, "_show_law", lambda *_: None)
    directory = SimpleNamespace(winner=search.winner, internal=tmp_path)  # whose runs are in ``runs``
    request = SimpleNamespace(directory=directory, settings=SimpleNamespace(storage=None))
    phase = SimpleNamespace(stage=SimpleNamespace(reads_participants=True, runs=object()))
    door = SimpleNamespace(ledger=search.account._ledger, study="secret")
    assert study._run(request, phase, None, door, None, None, [])
    assert not search.folder.exists()


def test_a_study_whose_declaration_the_ledger_does_not_know_does_not_go_on(account):
    """Nothing would bound what it reads."""
    ledger = account._ledger
    for name, budget, known in (
        ("secret", Budget(200.0, 1e-5), True),
        ("secret", Budget(2.0, 1e-5), False),
        ("other", Budget(200.0, 1e-5), False),
    ):
        directory = SimpleNamespace(
            declared_plan=lambda budget=budget: SimpleNamespace(plan=SimpleNamespace(budget=budget))
        )
        asked = SimpleNamespace(resumed=True, directory=directory, plan=None, cohort=SimpleNamespace(schema=None))
        asked.settings = SimpleNamespace(study=name, policy="selection")
        if known:
            assert study.declare_budget(asked, ledger).plan.budget == budget
        else:
            with pytest.raises(LedgerError, match=f"does not know what the study {name} declared"):
                study.declare_budget(asked, ledger)


def test_a_choice_that_was_interrupted_is_made_again_from_the_same_runs(search, monkeypatch):
    def crash(self, digest):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(type(search.account), "decide", crash)
        secret_runs._keep_best(search)
    assert not search.account.has_kept(search.winner)
    before = digest_of(search.winner)
    secret_runs._keep_best(search)
    assert digest_of(search.winner) == before


def test_a_search_that_ends_at_a_fixed_time_ends_then_however_many_runs_there_are(search, monkeypatch):
    """The clock is set forward by whoever sleeps."""
    monkeypatch.setattr(secret_runs, "running_machines", lambda: [{"CPU": 1.0}])
    monkeypatch.setattr(secret_runs, "served", lambda plan: plan)
    remote = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: None))
    monkeypatch.setattr(
        secret_runs,
        "ray",
        SimpleNamespace(remote=lambda _: remote, put=lambda x: x, get=lambda x: x, wait=lambda x, timeout: (x, [])),
    )
    monkeypatch.setattr(secret_runs, "require_own_machine", lambda: None)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        monkeypatch.setattr(secret_runs.time, "sleep", clock.shift)
        until = start + timedelta(minutes=30)
        timed = SecretSearch(**{**vars(search), "until": until})
        assert run_secretly(timed, TrialResources(1, 0), Console(quiet=True))
        assert datetime.now(UTC) == until
    assert CONFIG  # every run had one
