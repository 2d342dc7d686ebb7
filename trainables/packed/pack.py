"""Many trials of one shape in training at once, each as if it were alone."""

from __future__ import annotations

import bisect

import torch

from trainables.engine import PublicFigures, RandomStreams, TrainingData
from trainables.hyperparameters import Hyperparameters
from trainables.packed.draws import Course
from trainables.packed.members import Block, Member, blocks
from trainables.packed.memory import keep_freed_memory
from trainables.packed.networks import Shape, packed_networks
from trainables.packed.placing import placed
from trainables.packed.rows import Feed
from trainables.packed.slots import Slots, TrialState
from trainables.packed.steps import discriminator_step, generate, generator_step

# Rows of a step that go through the networks together, all trials' counted: few enough for a processor's caches.
BLOCK_ROWS = 4096
# Steps whose participants are laid out together.
FEED_STEPS = 8


class Pack:
    """Trials of one shape that train together on one device.

    Trials join and leave between steps. Each draws from its own streams, and nothing of one enters another's
    arithmetic, so what comes out for a trial does not depend on its company (up to rounding).

    A discriminator step is the mechanism of ``OpacusEngine``: a Poisson batch, each real and generated participant's
    gradient clipped to C, Gaussian noise of sigma x C on the sum, a public normaliser.

    Args:
        shape: what its trials have in common.
        device: where the arithmetic happens.

    Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1.
    """

    def __init__(self, shape: Shape, device: torch.device) -> None:
        keep_freed_memory()
        self._networks = packed_networks(shape, device)
        self._device = device
        self._members: list[Member] = []  # as the rows are ordered: by expected batch
        self._slots: Slots | None = None
        self._blocks: list[Block] = []
        self._tickets = 0
        self._clock = 0  # discriminator steps, by which its trials' generator steps fall together

    def __len__(self) -> int:
        return len(self._members)

    def join(
        self,
        hyperparameters: Hyperparameters,
        public: PublicFigures,
        state: TrialState,
        data: TrainingData,
        steps: int,
        streams: RandomStreams,
    ) -> int:
        """Take in a trial for a stretch of training.

        Args:
            hyperparameters: of the trial; its shape is the pack's.
            public: constants of the schema.
            state: where the trial stands; copied.
            data: real participants. Sensitive; held until the trial leaves.
            steps: discriminator steps of the stretch.
            streams: the trial's own.

        Returns:
            A ticket, by which the trial is known until it leaves.
        """
        if not self._members:
            self._clock = state.steps
        self._tickets += 1
        course = Course(hyperparameters, public, data, streams, state.steps, steps)
        member = Member(self._tickets, hyperparameters, public, streams, course)
        at = bisect.bisect(self._members, course.generated, key=lambda other: other.course.generated)
        row = Slots.of(state, hyperparameters, self._networks, self._device)
        before, after = self._members[:at], self._members[at:]
        if self._slots is not None:
            row = Slots.joined([self._slots.rows(slice(at)), row, self._slots.rows(slice(at, None))])
        self._arrange([*before, member, *after], row)
        return member.ticket

    def steps_until_in_step(self, hyperparameters: Hyperparameters, done: int) -> int:
        """Steps to wait before joining, for generator steps that fall together with those of others alike.

        It changes nothing about a trial, but a generator step of one trial takes nearly as long as one of many.

        Args:
            hyperparameters: of the trial that wants to join.
            done: discriminator steps that it has taken.
        """
        return (done - self._clock) % hyperparameters.discriminator_steps if self._members else 0

    @torch.no_grad()
    def advance(self, steps: int) -> None:
        """Let every trial take so many discriminator steps, and the generator steps that fall between them.

        Args:
            steps: at most ``remaining``.
        """
        for first in range(0, steps, FEED_STEPS):
            for block in self._blocks:
                self._take_steps(block, min(FEED_STEPS, steps - first))
        self._clock += steps

    @property
    def remaining(self) -> int:
        """Discriminator steps left of the shortest stretch; 0 when somebody is waiting to leave."""
        return min((member.course.remaining for member in self._members), default=0)

    def finished(self) -> list[int]:
        """Tickets of trials whose stretch is over."""
        return [member.ticket for member in self._members if member.course.remaining == 0]

    def leave(self, ticket: int) -> TrialState:
        """Let a trial go, at any point of its stretch; its participants are forgotten.

        Returns:
            Where it stands.
        """
        row = next(row for row, member in enumerate(self._members) if member.ticket == ticket)
        slots, member = self._slots, self._members[row]
        assert slots is not None
        state = slots.state(row, member.course.done, member.hyperparameters.latent_size)
        rest = [*self._members[:row], *self._members[row + 1 :]]
        self._arrange(rest, Slots.joined([slots.rows(slice(row)), slots.rows(slice(row + 1, None))]))
        return state

    def _arrange(self, members: list[Member], slots: Slots) -> None:
        """Take over members and their rows, in the same order."""
        self._members, self._slots = members, slots if members else None
        self._blocks = blocks(members, BLOCK_ROWS, self._device)

    def _take_steps(self, block: Block, steps: int) -> None:
        assert self._slots is not None
        slots, courses = self._slots.rows(block.rows), [member.course for member in block.members]
        feed = Feed.of(courses, steps, block.real_targets, self._networks.latent_size)
        first = 0
        while first < steps:
            last = min([steps, *(first + course.steps_until_generator_moves for course in courses)])
            generate(self._networks, feed, slice(first, last), slots)
            for step in range(first, last):
                self._take_step(block, feed, step, slots)
            self._move_generators(block, slots)
            first = last

    def _take_step(self, block: Block, feed: Feed, step: int, slots: Slots) -> None:
        discriminator_step(self._networks, block, feed, step, slots)
        for member in block.members:
            member.course.step_taken()

    def _move_generators(self, block: Block, slots: Slots) -> None:
        """Take the generator steps that are due."""
        due = [number for number, member in enumerate(block.members) if member.course.generator_is_due]
        if len(due) == len(block.members):
            against = slots.discriminators.parameters
            generator_step(self._networks, block, slots.generators, slots.averages, against)
        elif due:
            chosen, members = placed(due, self._device), [block.members[number] for number in due]
            some = Block.of(block.rows, members, self._device)
            generators, averages = slots.generators.copied(chosen), slots.averages.index_select(0, chosen)
            generator_step(self._networks, some, generators, averages, slots.discriminators.parameters_of(chosen))
            slots.generators.put(chosen, generators)
            slots.averages.index_copy_(0, chosen, averages)
