"""Packs kept going by a thread of their own: trials come in at any time, train together and go."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

import torch

from trainables.engine import PublicFigures
from trainables.hyperparameters import Hyperparameters
from trainables.packed.networks import Shape
from trainables.packed.pack import Pack
from trainables.packed.slots import TrialState
from trainables.stretch import PaidStretch

# Steps that a pack takes before newcomers are let in and another pack has its turn.
TURN = 8


@dataclass(frozen=True)
class Arrival:
    """A trial that wants to train.

    Args:
        hyperparameters: of the trial.
        state: where it stands.
        paid: what it trains with. Sensitive.
        trained: will hold where it stands afterwards.
    """

    hyperparameters: Hyperparameters
    state: TrialState
    paid: PaidStretch
    trained: Future[TrialState] = field(default_factory=Future)


class Company:
    """The trials of one shape: those that train, and those that wait until they are in step with them.

    Args:
        shape: what its trials have in common.
        public: constants of the schema.
        device: where the arithmetic happens.
    """

    def __init__(self, shape: Shape, public: PublicFigures, device: torch.device) -> None:
        self._public, self._pack = public, Pack(shape, device)
        self._training: dict[int, Future[TrialState]] = {}  # by ticket
        self._waiting: list[Arrival] = []

    def __bool__(self) -> bool:
        """Whether anybody is there."""
        return bool(self._training or self._waiting)

    def admit(self, arrival: Arrival) -> None:
        """Let a trial wait for its turn."""
        self._waiting.append(arrival)

    def turn(self) -> None:
        """Let in who is in step, train some steps, and let go who has finished."""
        self._waiting = [arrival for arrival in self._waiting if not self._joins(arrival)]
        pack = self._pack
        pack.advance(min([TURN, pack.remaining, *map(self._wait_of, self._waiting)]))
        for ticket in pack.finished():
            trained = pack.leave(ticket)  # before its future is taken out: if this fails, disband tells it
            self._training.pop(ticket).set_result(trained)

    def disband(self, error: Exception) -> None:
        """Tell everybody why it is over."""
        for trained in {*self._training.values(), *(arrival.trained for arrival in self._waiting)}:
            trained.set_exception(error)

    def _joins(self, arrival: Arrival) -> bool:
        if self._wait_of(arrival):
            return False
        paid = arrival.paid
        ticket = self._pack.join(
            arrival.hyperparameters, self._public, arrival.state, paid.data, paid.steps, paid.streams
        )
        self._training[ticket] = arrival.trained
        return True

    def _wait_of(self, arrival: Arrival) -> int:
        return self._pack.steps_until_in_step(arrival.hyperparameters, arrival.state.steps)


def give_way() -> None:
    """Let this thread compute only while nobody else wants its core.

    What else runs there is what trials wait for before they train on, such as their forests; and the more trials train
    together, the less each takes. Where the system does not allow it, all take turns.
    """
    if sys.platform == "linux":  # elsewhere it would not be this thread's alone
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class PackLoop:
    """All packs of one device, one for each shape of networks; they take turns.

    Args:
        public: constants of the schema.
        device: where the arithmetic happens.
    """

    def __init__(self, public: PublicFigures, device: torch.device) -> None:
        self._public, self._device = public, device
        self._companies: dict[Shape, Company] = {}
        self._arrivals: list[Arrival] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True, name="packs").start()

    def train(self, hyperparameters: Hyperparameters, state: TrialState, paid: PaidStretch) -> TrialState:
        """Train one trial beside those that are training now; returns when its stretch is over. May be called from
        many threads.

        Args:
            hyperparameters: of the trial.
            state: where it stands.
            paid: what it trains with. Sensitive; forgotten afterwards.

        Returns:
            Where it stands then.
        """
        arrival = Arrival(hyperparameters, state, paid)
        with self._changed:
            self._arrivals.append(arrival)
            self._changed.notify()
        return arrival.trained.result()

    def _run(self) -> None:
        if self._device.type == "cpu":
            give_way()
        while True:  # what holds participants is local to these two, so that nothing of them stays while nobody trains
            self._admit_newcomers()
            self._take_turns()

    def _admit_newcomers(self) -> None:
        for arrival in self._wait():
            try:
                self._admit(arrival)
            except Exception as error:
                arrival.trained.set_exception(error)

    def _take_turns(self) -> None:
        for shape, company in list(self._companies.items()):
            try:
                company.turn()
            except Exception as error:
                company.disband(error)
                del self._companies[shape]
                continue
            if not company:
                del self._companies[shape]

    def _wait(self) -> list[Arrival]:
        """Who came; waits for somebody when nobody is training."""
        with self._changed:
            while not (self._arrivals or self._companies):
                self._changed.wait()
            arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def _admit(self, arrival: Arrival) -> None:
        shape = Shape.of(arrival.hyperparameters, self._public.features, self._public.grid)
        if shape not in self._companies:
            self._companies[shape] = Company(shape, self._public, self._device)
        self._companies[shape].admit(arrival)
