"""Packs kept going by a thread of their own: trials come in at any time, train together and go."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from trainables.gan.engine import PaidTraining, PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.packed.networks import Shape
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.slots import TrialState


@dataclass(frozen=True)
class WaitingTrial:
    """A trial that wants to train.

    Args:
        settings: of the trial.
        state: where it stands.
        paid: what it trains with. Sensitive.
        trained: will hold where it stands afterwards.
    """

    settings: GANSettings
    state: TrialState
    paid: PaidTraining
    trained: Future[TrialState] = field(default_factory=Future)


class PackQueue:
    """The trials of one shape: those that train, and those that wait until they are in step with them.

    Args:
        shape: what its trials have in common.
        public: constants of the schema.
        device: where the arithmetic happens.
    """

    def __init__(self, shape: Shape, public: PublicFigures, device: torch.device) -> None:
        self._public, self._pack = public, Pack(shape, device)
        self._training: dict[int, Future[TrialState]] = {}  # by ticket
        self._waiting: list[WaitingTrial] = []

    def __bool__(self) -> bool:
        """Whether anybody is there."""
        return bool(self._training or self._waiting)

    def admit(self, waiting: WaitingTrial) -> None:
        """Let a trial wait for its turn."""
        self._waiting.append(waiting)

    def turn(self) -> None:
        """Let in who is in step, train some steps, and let go who has finished."""
        self._waiting = [waiting for waiting in self._waiting if not self._joins(waiting)]
        pack = self._pack
        pack.advance(min([pack.turn, pack.remaining, *map(self._wait_of, self._waiting)]))
        for ticket in pack.finished():
            trained = pack.leave(ticket)  # before its future is taken out: if this fails, disband tells it
            self._training.pop(ticket).set_result(trained)

    def disband(self, error: Exception) -> None:
        """Tell everybody why it is over."""
        for trained in {*self._training.values(), *(waiting.trained for waiting in self._waiting)}:
            trained.set_exception(error)

    def _joins(self, waiting: WaitingTrial) -> bool:
        if self._wait_of(waiting):
            return False
        ticket = self._pack.join(waiting.settings, self._public, waiting.state, waiting.paid)
        self._training[ticket] = waiting.trained
        return True

    def _wait_of(self, waiting: WaitingTrial) -> int:
        return self._pack.steps_until_in_step(waiting.settings, waiting.state.steps)


class PackLoop:
    """All packs of one device, one for each shape of networks; they take turns.

    Args:
        public: constants of the schema.
        device: where the arithmetic happens.
    """

    def __init__(self, public: PublicFigures, device: torch.device) -> None:
        self._public, self._device = public, device
        self._queues: dict[Shape, PackQueue] = {}
        self._newcomers: list[WaitingTrial] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True, name="packs").start()

    def train(self, settings: GANSettings, state: TrialState, paid: PaidTraining) -> TrialState:
        """Train one trial beside those that are training now; returns when its segment is over. May be called from
        many threads.

        Args:
            settings: of the trial.
            state: where it stands.
            paid: what it trains with. Sensitive; forgotten afterwards.

        Returns:
            Where it stands then.
        """
        waiting = WaitingTrial(settings, state, paid)
        with self._changed:
            self._newcomers.append(waiting)
            self._changed.notify()
        return waiting.trained.result()

    def _run(self) -> None:
        while True:  # what holds participants is local to these two, so that nothing of them stays while nobody trains
            self._admit_newcomers()
            self._take_turns()

    def _admit_newcomers(self) -> None:
        for waiting in self._wait():
            try:
                self._admit(waiting)
            except Exception as error:
                waiting.trained.set_exception(error)

    def _take_turns(self) -> None:
        for shape, queue in list(self._queues.items()):
            try:
                queue.turn()
            except Exception as error:
                queue.disband(error)
                del self._queues[shape]
                continue
            if not queue:
                del self._queues[shape]

    def _wait(self) -> list[WaitingTrial]:
        """Who came; waits for somebody when nobody is training."""
        with self._changed:
            while not (self._newcomers or self._queues):
                self._changed.wait()
            newcomers, self._newcomers = self._newcomers, []
        return newcomers

    def _admit(self, waiting: WaitingTrial) -> None:
        shape = Shape.of(waiting.settings, self._public)
        if shape not in self._queues:
            self._queues[shape] = PackQueue(shape, self._public, self._device)
        self._queues[shape].admit(waiting)
