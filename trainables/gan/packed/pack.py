"""Many trials of one shape in training at once, each as if it were alone."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import torch

from privacy.mechanisms.gpu_noise import GPUNoise, draws_noise
from trainables.gan.engine import PaidTraining, PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.packed.networks import DROPOUT, Shape, packed_networks
from trainables.gan.packed.packed_trial import Block, PackedTrial, blocks
from trainables.gan.packed.placing import placed
from trainables.gan.packed.rows import DropoutMasks, PaddedBatches, Rows, generator_rows
from trainables.gan.packed.slots import Slots, TrialState
from trainables.gan.packed.steps import discriminator_step, generate, generator_step
from trainables.memory import keep_freed_memory

# Rows of a step that go through the networks together, of all trials together: few enough for a processor's caches, or
# many enough for a GPU to be done with them no sooner than it is asked for the next.
BLOCK_ROWS, BLOCK_ROWS_ON_GPU = 2**12, 2**14
# Steps whose participants are laid out together.
PADDED_STEPS, PADDED_STEPS_ON_GPU = 8, 32


class Pack:
    """Trials of one shape that train together on one device.

    Trials join and leave between steps. Each draws from its own streams, and nothing of one enters another's
    arithmetic, so what comes out for a trial does not depend on the others (up to rounding).

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
        on_gpu = device.type != "cpu"
        self._block_rows = BLOCK_ROWS_ON_GPU if on_gpu else BLOCK_ROWS
        self.turn = PADDED_STEPS_ON_GPU if on_gpu else PADDED_STEPS
        """Steps that are laid out together: as many as should be taken before newcomers are let in."""
        self._trials: list[PackedTrial] = []  # as the rows are ordered: by expected batch
        self._slots: Slots | None = None
        self._blocks: list[Block] = []
        self._tickets = 0
        self._clock = 0  # discriminator steps, by which its trials' generator steps fall together

    def __len__(self) -> int:
        return len(self._trials)

    def join(
        self,
        settings: GANSettings,
        public: PublicFigures,
        state: TrialState,
        paid: PaidTraining,
    ) -> int:
        """Take in a trial for a segment of training.

        Args:
            settings: of the trial; its shape is the pack's.
            public: constants of the schema.
            state: where the trial stands; copied.
            paid: what it trains with. Sensitive; held until the trial leaves.

        Returns:
            A ticket, by which the trial is known until it leaves.
        """
        if not self._trials:
            self._clock = state.steps
        self._tickets += 1
        trial = PackedTrial(self._tickets, settings, public, paid, state.steps, self._networks.latent_size)
        size = trial.batch_stream.generated
        at = bisect.bisect(self._trials, size, key=lambda other: other.batch_stream.generated)
        draws = draws_noise(self._device)
        noise = GPUNoise.of(trial.streams.noise, trial.noise_sd, self._device) if draws else None
        row = Slots.of(state, settings, self._networks, self._device, noise)
        slots = self._slots
        rows = [row] if slots is None else [slots.rows(slice(at)), row, slots.rows(slice(at, None))]
        self._arrange([*self._trials[:at], trial, *self._trials[at:]], Slots.joined(rows))
        row.forget()
        return trial.ticket

    def steps_until_in_step(self, settings: GANSettings, done: int) -> int:
        """Steps to wait before joining, for generator steps that fall together with those of others alike.

        It changes nothing about a trial, but a generator step of one trial takes nearly as long as one of many.

        Args:
            settings: of the trial that wants to join.
            done: discriminator steps that it has taken.
        """
        return (done - self._clock) % settings.discriminator_steps if self._trials else 0

    @torch.no_grad()
    def advance(self, steps: int) -> None:
        """Let every trial take so many discriminator steps, and the generator steps that fall between them.

        Args:
            steps: at most ``remaining``.
        """
        for first in range(0, steps, self.turn):
            for block in self._blocks:
                self._take_steps(block, min(self.turn, steps - first))
        self._clock += steps

    @property
    def remaining(self) -> int:
        """Discriminator steps left of the shortest segment; 0 when somebody is waiting to leave."""
        return min((trial.batch_stream.remaining for trial in self._trials), default=0)

    def finished(self) -> list[int]:
        """Tickets of trials whose segment is over."""
        return [trial.ticket for trial in self._trials if trial.batch_stream.remaining == 0]

    def leave(self, ticket: int) -> TrialState:
        """Let a trial go, at any point of its segment; its participants are forgotten.

        Returns:
            Where it stands.
        """
        row = next(row for row, trial in enumerate(self._trials) if trial.ticket == ticket)
        slots, trial = self._slots, self._trials[row]
        assert slots is not None
        state = slots.state(row, trial.batch_stream.done, trial.settings.latent_size)
        rest = [*self._trials[:row], *self._trials[row + 1 :]]
        self._arrange(rest, Slots.joined([slots.rows(slice(row)), slots.rows(slice(row + 1, None))]))
        return state

    def _arrange(self, trials: list[PackedTrial], slots: Slots) -> None:
        """Take over trials and their rows, in the same order."""
        before, self._trials, self._slots = self._slots, trials, slots if trials else None
        self._blocks = blocks(trials, self._block_rows, self._device)
        if before is not None:
            before.forget()

    def _take_steps(self, block: Block, steps: int) -> None:
        assert self._slots is not None
        slots, batch_streams = self._slots.rows(block.rows), [trial.batch_stream for trial in block.trials]
        padded = PaddedBatches.of(batch_streams, steps, block.real_targets, self._networks)
        first = 0
        while first < steps:
            last = min([steps, *(first + batch_stream.steps_until_generator_moves for batch_stream in batch_streams)])
            generate(self._networks, padded, slice(first, last), slots)
            for step in range(first, last):
                self._take_step(block, padded.rows(step, self._masks(block.trials)), slots)
                for batch_stream in batch_streams:
                    batch_stream.step_taken()
            self._move_generators(block, slots)
            first = last

    def _take_step(self, block: Block, rows: Rows, slots: Slots) -> None:
        discriminator_step(self._networks, block, rows, slots)

    def _move_generators(self, block: Block, slots: Slots) -> None:
        """Take the generator steps that are due."""
        due = [number for number, trial in enumerate(block.trials) if trial.batch_stream.generator_is_due]
        trials = [block.trials[number] for number in due]
        if not trials:
            return
        inputs = [trial.batch_stream.generator_inputs() for trial in trials]
        rows = generator_rows(inputs, self._networks, self._masks(trials))
        if len(due) == len(block.trials):
            self._move_all(block, rows, slots)
        else:
            chosen = placed(due, self._device)
            some = Block.of(block.rows, trials, self._device)
            generators, averages = slots.generators.copied(chosen), slots.averages.index_select(0, chosen)
            against, losses = slots.discriminators.parameters_of(chosen), slots.losses[:, 2:].index_select(0, chosen)
            generator_step(self._networks, some, rows, generators, averages, against, losses)
            slots.generators.put(chosen, generators)
            slots.averages.index_copy_(0, chosen, averages)
            slots.losses[:, 2:].index_copy_(0, chosen, losses)

    def _move_all(self, block: Block, rows: Rows, slots: Slots) -> None:
        generators, averages, against = slots.generators, slots.averages, slots.discriminators.parameters
        generator_step(self._networks, block, rows, generators, averages, against, slots.losses[:, 2:])

    def _masks(self, trials: Sequence[PackedTrial]) -> DropoutMasks:
        streams = [trial.streams.dropout for trial in trials]
        return DropoutMasks(self._networks.discriminator.dropout_units, DROPOUT, streams)
