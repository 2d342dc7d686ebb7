"""Packs kept going by a thread of their own: trials come in at any time, train together and go."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
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


class PackLoop:
    """All packs of one device, one for each shape of networks; they take turns.

    Args:
        public: constants of the schema.
        device: where the arithmetic happens.
    """

    def __init__(self, public: PublicFigures, device: torch.device) -> None:
        self._public, self._device = public, device
        self._packs: dict[Shape, Pack] = {}
        self._training: dict[Shape, dict[int, Future[TrialState]]] = {}  # by ticket
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
        while True:
            self._let_in(self._wait())
            for shape in list(self._packs):
                self._safely(shape, lambda shape=shape: self._turn(shape))  # type: ignore[misc]

    def _wait(self) -> list[Arrival]:
        """Who came; waits for somebody when nobody is training."""
        with self._changed:
            while not self._arrivals and not self._packs:
                self._changed.wait()
            arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def _let_in(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            shape = Shape.of(arrival.hyperparameters, self._public.features, self._public.grid)
            if shape not in self._packs:
                self._packs[shape], self._training[shape] = Pack(shape, self._device), {}
            self._safely(shape, lambda arrival=arrival, shape=shape: self._join(shape, arrival), arrival)  # type: ignore[misc]

    def _join(self, shape: Shape, arrival: Arrival) -> None:
        paid = arrival.paid
        ticket = self._packs[shape].join(
            arrival.hyperparameters, self._public, arrival.state, paid.data, paid.steps, paid.streams
        )
        self._training[shape][ticket] = arrival.trained

    def _turn(self, shape: Shape) -> None:
        pack, training = self._packs[shape], self._training[shape]
        pack.advance(min(TURN, pack.remaining))
        for ticket in pack.finished():
            training.pop(ticket).set_result(pack.leave(ticket))
        if not training:
            del self._packs[shape], self._training[shape]

    def _safely(self, shape: Shape, work: Callable[[], None], arrival: Arrival | None = None) -> None:
        """Do something with a pack; if it fails, all trials in it learn why and the pack is given up."""
        try:
            work()
        except Exception as error:
            self._packs.pop(shape, None)
            waiting = list(self._training.pop(shape, {}).values())
            for trained in [*waiting, *([arrival.trained] if arrival else [])]:
                trained.set_exception(error)
