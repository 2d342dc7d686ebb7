"""Which pixels of a small grid a convolution looks at, as tables of indices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


class Windows:
    """The windows of a convolution: T positions, each looking at ``taps`` pixels.

    Args:
        grid: (height, width) of what is looked at.
        kernel: (height, width) of a window.
        stride: step from one window to the next.
        padding: zeros around the grid.
        device: where the tables lie.
    """

    def __init__(
        self, grid: tuple[int, int], kernel: tuple[int, int], stride: int, padding: int, device: torch.device
    ) -> None:
        self.kernel = kernel
        numbers = torch.arange(1, grid[0] * grid[1] + 1, dtype=torch.float64).view(1, 1, *grid)
        looked_at = functional.unfold(numbers, kernel, padding=padding, stride=stride)[0].T.long()  # (T, taps)
        self._table = IndexTable(looked_at - 1, pixels=grid[0] * grid[1], device=device)
        self.positions, self.taps = looked_at.shape

    def gather(self, pixels: Tensor) -> Tensor:
        """What each window sees (K, R, T, taps x C) of pixels (K, R, grid, C)."""
        return self._table.gather(pixels)

    def scatter(self, windows: Tensor) -> Tensor:
        """The transpose of ``gather``: each pixel's sum (K, R, grid, C) over the windows that see it."""
        return self._table.scatter(windows)


class IndexTable:
    """Copies of pixels in a fixed order, and its transpose, both as one gather.

    Args:
        table: which pixel each place shows (T, taps), -1 for none (a zero).
        pixels: how many pixels there are.
        device: where the tables lie.
    """

    def __init__(self, table: Tensor, pixels: int, device: torch.device) -> None:
        self._shape = table.shape
        flat = table.flatten()
        self._forward = torch.where(flat < 0, pixels, flat).to(device)
        places = [torch.nonzero(flat == pixel).flatten() for pixel in range(pixels)]
        self._seen = max(1, max(len(each) for each in places))
        backward = torch.full((pixels, self._seen), table.numel())
        for pixel, each in enumerate(places):
            backward[pixel, : len(each)] = each
        self._backward = backward.flatten().to(device)

    def gather(self, pixels: Tensor) -> Tensor:
        """(K, R, T, taps x C) from (K, R, pixels, C)."""
        padded = functional.pad(pixels, (0, 0, 0, 1))  # the last pixel is the zero of places that show none
        shown: Tensor = padded.index_select(2, self._forward).unflatten(2, self._shape)  # (K, R, T, taps, C)
        return shown.flatten(3)

    def scatter(self, windows: Tensor) -> Tensor:
        """(K, R, pixels, C) from (K, R, T, taps x C)."""
        places = windows.unflatten(3, (self._shape[1], -1)).flatten(2, 3)  # (K, R, T taps, C)
        padded = functional.pad(places, (0, 0, 0, 1))
        seen: Tensor = padded.index_select(2, self._backward).unflatten(2, (-1, self._seen))
        return seen.sum(3)
