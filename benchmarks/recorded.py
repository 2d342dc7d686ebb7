"""A pack whose steps a GPU is asked for as a whole from the second time on, as CUDA graphs.

A step of small networks is some hundred small kernels, and the host takes longer to ask for each than a GPU takes to be
done with it. ``make bench-gpu`` measures such a pack beside the product's, and ``tests/trainables/test_on_gpu.py``
compares their steps; no study trains with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.gan.packed.networks import Shape
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.packed_trial import Block, PackedTrial
from trainables.gan.packed.rows import Rows
from trainables.gan.packed.slots import Slots

Work = Callable[[Rows], None]


def room(batch: int) -> int:
    """Rows that a Poisson batch hardly ever exceeds, by its expected length."""
    return batch + math.ceil(6 * math.sqrt(batch))


@dataclass(frozen=True)
class Recording:
    """Work on rows that lie at one place.

    Args:
        rows: the place. Sensitive.
        graph: the work.
    """

    rows: Rows
    graph: torch.cuda.CUDAGraph

    def play(self, rows: Rows) -> bool:
        """Do the work on some rows, if the place has room for them."""
        count, places = rows.row_mask.shape[1], self.rows.row_mask.shape[1]
        if count > places:
            return False
        for mine, theirs in zip(_tensors(self.rows), _tensors(rows), strict=True):
            mine[:, :count].copy_(theirs)
        self.rows.row_mask[:, count:] = False
        self.graph.replay()
        return True


class RecordedPack(Pack):
    """A pack on a GPU that draws its own noise.

    Args:
        shape, device: as of any pack.
    """

    def __init__(self, shape: Shape, device: torch.device) -> None:
        super().__init__(shape, device)
        self._seen: set[Hashable] = set()
        self.recordings: dict[Hashable, Recording] = {}
        with torch.cuda.device(device):
            self._stream, self._memory = torch.cuda.Stream(), torch.cuda.MemPool()  # of all recordings

    def _arrange(self, trials: list[PackedTrial], slots: Slots) -> None:
        self._seen.clear()
        self.recordings.clear()  # of work on tensors that go
        super()._arrange(trials, slots)

    def _take_step(self, block: Block, rows: Rows, slots: Slots) -> None:
        longest = max(trial.batch_stream.generated for trial in block.trials)
        step = super()._take_step
        self._run(("step", block.rows.start), lambda rows: step(block, rows, slots), rows, longest + room(longest))

    def _move_all(self, block: Block, rows: Rows, slots: Slots) -> None:
        move = super()._move_all
        self._run(("move", block.rows.start), lambda rows: move(block, rows, slots), rows, rows.row_mask.shape[1])

    def _run(self, name: Hashable, work: Work, rows: Rows, places: int) -> None:
        """Do some work: the first time by itself, so that all is there that it needs; then as it was recorded."""
        if name in self._seen and name not in self.recordings:
            self.recordings[name] = self._recorded(work, rows, places)
        self._seen.add(name)
        recording = self.recordings.get(name)
        if recording is None or not recording.play(rows):
            work(rows)

    def _recorded(self, work: Work, rows: Rows, places: int) -> Recording:
        """What work asks for, without doing it.

        Args:
            work: does not wait for the GPU, and works on the same tensors each time, the rows aside.
            rows: such as it will be given.
            places: how many of them there shall be room for, of each trial.
        """
        room = [each.new_zeros(each.shape[0], places, *each.shape[2:]) for each in _tensors(rows)]
        place, graph = Rows(*room[:4], masks=room[4] if len(room) > 4 else None), torch.cuda.CUDAGraph()
        with torch.cuda.device(self._stream.device):
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                # What other threads ask of the GPU meanwhile is their affair.
                graph.capture_begin(self._memory.id, capture_error_mode="thread_local")  # type: ignore[arg-type]
                try:
                    work(place)
                finally:
                    graph.capture_end()
            torch.cuda.current_stream().wait_stream(self._stream)
        return Recording(place, graph)


def _tensors(rows: Rows) -> list[Tensor]:
    return [each for each in vars(rows).values() if each is not None]
