"""The paper generator's convolutions after upsampling, without doing the same arithmetic twice.

Upsampling repeats pixels, and a convolution of repeated pixels adds up the same few of them with sums of its taps as
weights. So the convolution is done before the upsampling: at each source pixel once for every way in which taps fall
on its neighbours. Pixels that would come out alike are computed once, and the next layer counts them as often as
they occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from trainables.gan.packed.grids import IndexTable
from trainables.gan.packed.layout import Weights

Pattern = tuple[int, ...]  # for each tap of a window along one axis: which neighbour of the source pixel it falls on


@dataclass(frozen=True)
class Axis:
    """One axis of a grid that is upsampled by repetition, seen through windows of odd width.

    Args:
        sources: pixel that each upsampled one repeats, upsampled.size long.
        patterns: of each upsampled pixel.
    """

    sources: list[int]
    patterns: list[Pattern]

    @classmethod
    def of(cls, source: int, upsampled: int, window: int) -> Axis:
        """From sizes; what lies outside the grid falls on neighbours outside, which are 0."""
        numbers = torch.arange(source, dtype=torch.float32).view(1, 1, source)
        inside = functional.interpolate(numbers, size=upsampled).flatten().long().tolist()

        def repeats(pixel: int) -> int:
            return inside[pixel] if 0 <= pixel < upsampled else pixel * source // upsampled

        reach = range(-(window // 2), window // 2 + 1)
        patterns = [tuple(repeats(pixel + step) - repeats(pixel) for step in reach) for pixel in range(upsampled)]
        return cls(inside, patterns)


@dataclass(frozen=True)
class Group:
    """Patterns that touch the same neighbours, done in one matrix product.

    Args:
        rows, columns: patterns along both axes; a phase is a pair of them.
        table: the neighbours of each source pixel.
        spread: which taps fall on which neighbour in which phase (taps, neighbours x phases), 0 or 1.
    """

    rows: list[Pattern]
    columns: list[Pattern]
    table: IndexTable
    spread: Tensor

    @property
    def phases(self) -> int:
        """Pairs of patterns."""
        return len(self.rows) * len(self.columns)


class UpsampledGrid:
    """The distinct pixels of an upsampled grid as a convolution sees them.

    Args:
        source: (height, width) before.
        upsampled: (height, width) after.
        window: width of the square window, odd.
        device: where tables lie.
    """

    def __init__(self, source: tuple[int, int], upsampled: tuple[int, int], window: int, device: torch.device) -> None:
        self.source, self.upsampled = source, upsampled
        self._axes = [Axis.of(*sizes, window) for sizes in zip(source, upsampled, strict=True)]
        by_reach = [_by_reach(axis.patterns) for axis in self._axes]
        self.groups = [self._group(rows, columns, device) for rows, columns in product(*by_reach)]
        self.distinct = source[0] * source[1] * sum(group.phases for group in self.groups)

    def _group(self, rows: list[Pattern], columns: list[Pattern], device: torch.device) -> Group:
        down, right = (sorted({step for pattern in patterns for step in pattern}) for patterns in (rows, columns))
        height, width = self.source
        neighbours = [
            [
                (i + di) * width + j + dj if 0 <= i + di < height and 0 <= j + dj < width else -1
                for di, dj in product(down, right)
            ]
            for i, j in product(range(height), range(width))
        ]
        falls = torch.tensor(
            [
                [
                    [float((row[ky], column[kx]) == neighbour) for row, column in product(rows, columns)]
                    for neighbour in product(down, right)
                ]
                for ky, kx in product(range(len(rows[0])), range(len(columns[0])))
            ]
        )  # (taps, neighbours, phases)
        table = IndexTable(torch.tensor(neighbours), height * width, device)
        return Group(rows, columns, table, falls.flatten(1).to(device))

    def index(self, row: int, column: int) -> int:
        """Which distinct pixel stands at a place of the upsampled grid."""
        (i, down), (j, right) = (
            (axis.sources[at], axis.patterns[at]) for axis, at in zip(self._axes, (row, column), strict=True)
        )
        source, first = i * self.source[1] + j, 0
        for group in self.groups:
            if down in group.rows and right in group.columns:
                phase = group.rows.index(down) * len(group.columns) + group.columns.index(right)
                return first + source * group.phases + phase
            first += self.source[0] * self.source[1] * group.phases
        raise AssertionError("every pattern is in a group")


def _by_reach(patterns: list[Pattern]) -> list[list[Pattern]]:
    """Distinct patterns, those that touch the same neighbours together."""
    groups: dict[tuple[int, ...], list[Pattern]] = {}
    for pattern in dict.fromkeys(patterns):
        groups.setdefault(tuple(sorted(set(pattern))), []).append(pattern)
    return list(groups.values())


class UpsampledConvolution:
    """Upsampling and a convolution that keeps the size: distinct pixels (K, R, U, O) from (K, R, source, I)."""

    def __init__(self, name: str, grid: UpsampledGrid, window: int) -> None:
        self._weight, self._bias = f"{name}.weight", f"{name}.bias"
        self._grid, self._window = grid, window

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Keeps what each group of patterns sees."""
        bias = weights[self._bias][:, None, None]
        seen = [group.table.gather(inputs).flatten(1, 2) for group in self._grid.groups]
        outputs = inputs.new_empty(*inputs.shape[:2], self._grid.distinct, bias.shape[3])
        for group, windows, part in zip(self._grid.groups, seen, self._parts(outputs), strict=True):
            product = torch.bmm(windows, self._kernel(weights, group))  # (K, R source, phases x O)
            torch.add(product.view_as(part), bias, out=part)
        return outputs, seen

    def backward(self, weights: Weights, activations: list[Tensor], backprops: Tensor) -> Tensor:
        """Adds up what the groups send back to each source pixel."""
        rows, total = backprops.shape[1], torch.zeros(1, device=backprops.device)
        for group, part in zip(self._grid.groups, self._split(backprops), strict=True):
            windows = torch.bmm(part, self._kernel(weights, group).mT).unflatten(1, (rows, -1))
            total = total + group.table.scatter(windows)
        return total

    def add_gradient(self, total: Weights, activations: list[Tensor], backprops: Tensor) -> None:
        """Each tap's gradient is the sum over the neighbours and phases where it counts."""
        for group, windows, part in zip(self._grid.groups, activations, self._split(backprops), strict=True):
            kernel = torch.bmm(windows.mT, part)  # (K, neighbours x I, phases x O)
            places = group.spread.shape[1] // group.phases
            kernel = kernel.unflatten(2, (group.phases, -1)).unflatten(1, (places, -1))  # (K, N, I, phases, O)
            by_place = kernel.permute(0, 4, 2, 1, 3).flatten(3)  # (K, O, I, N x phases)
            total[self._weight] += (by_place @ group.spread.T).unflatten(3, (self._window, self._window))
        total[self._bias] += backprops.sum((1, 2))

    def _split(self, backprops: Tensor) -> list[Tensor]:
        """Each group's (K, R source, phases x O)."""
        pixels = self._grid.source[0] * self._grid.source[1]
        return [part.reshape(len(part), part.shape[1] * pixels, -1) for part in self._parts(backprops)]

    def _parts(self, values: Tensor) -> tuple[Tensor, ...]:
        """Each group's distinct pixels (K, R, source x phases, O), sharing their memory."""
        pixels = self._grid.source[0] * self._grid.source[1]
        parts: tuple[Tensor, ...] = values.split([pixels * group.phases for group in self._grid.groups], dim=2)
        return parts

    def _kernel(self, weights: Weights, group: Group) -> Tensor:
        """Sums of taps (K, neighbours x I, phases x O)."""
        summed = weights[self._weight].flatten(3) @ group.spread  # (K, O, I, N x phases)
        places = group.spread.shape[1] // group.phases
        by_place: Tensor = summed.unflatten(3, (places, -1)).permute(0, 3, 2, 4, 1)  # (K, neighbours, I, phases, O)
        return by_place.flatten(3).flatten(1, 2)


class StridedReadout:
    """A convolution with one output channel over an upsampled grid, from its distinct pixels: (K, R, T).

    Args:
        name: of the convolution in the module.
        grid: the upsampled grid.
        window, stride, padding: of the convolution.
        device: where the table lies.
    """

    def __init__(
        self, name: str, grid: UpsampledGrid, window: int, stride: int, padding: int, device: torch.device
    ) -> None:
        self._weight, self._bias = f"{name}.weight", f"{name}.bias"
        self._window = window
        height, width = grid.upsampled
        distinct = torch.tensor([[grid.index(i, j) for j in range(width)] for i in range(height)])
        numbers = (distinct + 1).double().view(1, 1, height, width)
        seen = functional.unfold(numbers, window, padding=padding, stride=stride)[0].T.long() - 1  # (T, taps), -1 none
        counts = torch.zeros(grid.distinct, window**2, len(seen))
        for position, pixels in enumerate(seen.tolist()):
            for tap, pixel in enumerate(pixels):
                if pixel >= 0:
                    counts[pixel, tap, position] += 1
        self._counts = counts.flatten(0, 1).to(device)  # (U taps, T): how often a tap on a pixel adds to an output

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """(K, R, T) from (K, R, U, I): every tap on every pixel, then the sums."""
        rows = inputs.shape[1]
        taps = torch.bmm(inputs.flatten(1, 2), self._taps(weights)).unflatten(1, (rows, -1))  # (K, R, U, taps)
        return taps.flatten(2) @ self._counts + weights[self._bias].unsqueeze(1), inputs

    def backward(self, weights: Weights, activations: Tensor, backprops: Tensor) -> Tensor:
        """(K, R, U, I) from (K, R, T)."""
        flat = torch.bmm(self._by_tap(backprops), self._taps(weights).mT)  # (K, R U, I)
        by_inputs: Tensor = flat.unflatten(1, (backprops.shape[1], -1))
        return by_inputs

    def add_gradient(self, total: Weights, activations: Tensor, backprops: Tensor) -> None:
        """Sums over rows and pixels."""
        kernel = torch.bmm(activations.flatten(1, 2).mT, self._by_tap(backprops))  # (K, I, taps)
        total[self._weight] += kernel.unflatten(2, (self._window, self._window)).unsqueeze(1)
        total[self._bias] += backprops.sum((1, 2)).unsqueeze(1)

    def _taps(self, weights: Weights) -> Tensor:
        """(K, I, taps)."""
        return weights[self._weight].squeeze(1).flatten(2)

    def _by_tap(self, backprops: Tensor) -> Tensor:
        """(K, R U, taps)."""
        spread: Tensor = (backprops @ self._counts.T).unflatten(2, (-1, self._window**2))  # (K, R, U, taps)
        return spread.flatten(1, 2)
