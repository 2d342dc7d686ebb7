"""The trials of one device, in the one process that trains them all."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from privacy import DPSGD
from trainables.gan.engine import PaidTraining, PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.packed.loop import PackLoop
from trainables.gan.packed.slots import TrialState
from trainables.progress import Progress
from trainables.segment import Segment
from trainables.service.answers import LOST, PackLost
from trainables.service.scorers import Scorers
from trainables.trial import Trial, TrialPlan

CPU = torch.device("cpu")


class PackHost:
    """Trains trials together, has them scored by other processes, and keeps them while they are under way.

    Args:
        plan: what all trials share.
        device: where the arithmetic happens.
        scorers: how many processes score its trials.
    """

    def __init__(self, plan: TrialPlan, device: str, scorers: int) -> None:
        torch.set_num_threads(1)  # every other core has a pack of its own
        self.device = torch.device(device)
        self._loop = PackLoop(PublicFigures.of(plan.schema, plan.train_share), self.device)
        self._plan = replace(plan, packs=self)
        self._count, self._starting = scorers, threading.Lock()
        self._trials: dict[str, Progress] = {}  # by seat

    def begin(self, seat: str, trial: str, config: Mapping[str, Any]) -> None:
        """Take in a trial; the first one has the scorers started, which guests do not need."""
        with self._starting:
            if self._plan.scorers is None:
                self._plan = replace(self._plan, scorers=Scorers(self._plan.scoring, self._count))
        self._trials[seat] = Progress(Trial(trial, config, self._plan))

    def trial(self, seat: str) -> Progress:
        """A trial that was taken in.

        Raises:
            PackLost: by a process before this one.
        """
        if seat not in self._trials:
            raise PackLost(LOST)
        return self._trials[seat]

    def end(self, seat: str) -> None:
        """Forget a trial."""
        self._trials.pop(seat, None)

    def train(self, segment: Segment[DPSGD], settings: GANSettings, state: TrialState) -> tuple[TrialState, str]:
        """Pay for a segment, then train it beside the others.

        Returns:
            Where the trial stands, and the receipt of the charge.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
        """
        access = self._plan.access
        paid = PaidTraining.of(segment.pay(access), segment.seeds, self.device, access.shows_losses)
        try:
            return self._loop.train(settings, state, paid), paid.receipt
        except torch.AcceleratorError:  # a process whose GPU has failed once can do nothing on it any more
            traceback.print_exc()
            os._exit(1)  # so Ray starts another, and all trials go on there from their checkpoints

    def train_guest(self, segment: Segment[DPSGD], settings: GANSettings, state: TrialState) -> tuple[TrialState, str]:
        """``train`` for a trial of another process, whose state is on the CPU before and after."""
        trained, receipt = self.train(segment, settings, state)
        return trained.on(CPU), receipt
