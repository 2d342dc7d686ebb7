"""A run of a secret number never trains more epochs than it was charged for, however often it is interrupted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.planning.plan import segment_epochs
from trainables.service.packs import PackLost
from tuner import secret_runs


class Unlucky:
    """Counts the epochs it begins, and loses a segment where fate says so."""

    begun = 0
    fate: ClassVar[list[bool]] = []

    def __init__(self, name, config, plan):
        self.epoch = 0

    def load(self, folder):
        self.epoch = int((folder / "epoch").read_text())

    def save(self, folder):
        (folder / "epoch").write_text(str(self.epoch))

    def train_to(self, epoch):
        Unlucky.begun += epoch - self.epoch
        if Unlucky.fate and Unlucky.fate.pop():
            raise PackLost("died")
        self.epoch = epoch

    def score(self):
        return {"score": 0.5}


@given(longest=st.integers(1, 40), fate=st.lists(st.booleans(), max_size=30))
def test_a_run_never_trains_more_than_it_is_charged_for(tmp_path_factory, longest, fate):
    folder = tmp_path_factory.mktemp("runs") / "0"
    Unlucky.begun, Unlucky.fate = 0, list(fate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secret_runs, "Candidate", Unlucky)
        for _ in range(len(fate) + 1):  # Ray does a share again whose pack was lost
            try:
                secret_runs._carry_out(SimpleNamespace(scored_epochs=(longest,)), {}, folder)
                break
            except PackLost:
                continue
    assert Unlucky.begun <= longest + segment_epochs(longest)  # as RunAllocation has it
    finished = (folder / secret_runs.RESULT).exists()
    assert finished or Unlucky.begun + segment_epochs(longest) > longest
