"""Streams of noise that a GPU draws for the trials it trains; ``gpu_noise_kernel`` says how, and why it is safe."""

from __future__ import annotations

import math
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import NoReturn

import torch
from torch import Tensor

from privacy.mechanisms.gradient_noise import grid_step
from privacy.mechanisms.randomness import CryptographicStream

KEY_BYTES = 32


@cache
def draws_noise(device: torch.device) -> bool:
    """Whether a device can draw noise: a GPU for which Triton is there and can build the kernel; else the host does."""
    if device.type != "cuda" or find_spec("triton") is None:
        return False
    try:
        GPUNoise.of(CryptographicStream(), 1.0, device).hide_sums(torch.zeros(1, 1, device=device))
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:  # it takes a C compiler
        warnings.warn(f"Noise is drawn by the host, which is slower: Triton does not work here: {error}", stacklevel=2)
        return False
    return True


@dataclass(frozen=True)
class GPUNoise:
    """K trials' streams of noise; it cannot be pickled or copied.

    Args:
        keys: of the cipher (K, 8), int32. Secret.
        drawn: how often noise was drawn for each (K,), int64: the last draw's nonce.
        noise_sds: standard deviation of the noise on each number (K,), float64; 0 leaves a sum as it is.
        grid_steps: distances of neighbouring points of the grids (K,), float64.
    """

    keys: Tensor
    drawn: Tensor
    noise_sds: Tensor
    grid_steps: Tensor

    @classmethod
    def of(cls, stream: CryptographicStream, noise_sd: float, device: torch.device) -> GPUNoise:
        """One trial's.

        Args:
            stream: gives the key.
            noise_sd: standard deviation.
            device: where the noise is drawn; the key is kept nowhere else.
        """
        key = torch.frombuffer(bytearray(stream.key(KEY_BYTES)), dtype=torch.int32)
        numbers = torch.tensor([noise_sd, grid_step(noise_sd) if noise_sd else 1.0], dtype=torch.float64)
        noise_sds, grid_steps = numbers.to(device).split(1)
        return cls(key.to(device).unsqueeze(0), torch.zeros(1, dtype=torch.int64, device=device), noise_sds, grid_steps)

    @classmethod
    def joined(cls, parts: Sequence[GPUNoise]) -> GPUNoise:
        """The streams of several, one after another, which are to be forgotten then."""
        return cls(*(torch.cat(each) for each in zip(*(part._tensors() for part in parts), strict=True)))

    def rows(self, which: slice) -> GPUNoise:
        """Neighbouring trials' streams, sharing their memory."""
        return GPUNoise(*(each[which] for each in self._tensors()))

    def hide_sums(self, totals: Tensor) -> None:
        """Add fresh noise to each trial's sum of clipped gradients, and round it to its grid, as ``hide_sum`` does.

        Args:
            totals: float32 (K, P), on the GPU; changed in place. Sensitive before, protected afterwards.
        """
        self.drawn.add_(1)  # first, so that nothing that goes wrong later can bring a nonce back
        from privacy.mechanisms.gpu_noise_kernel import hide_all

        with torch.cuda.device_of(totals):
            hide_all(totals, *self._tensors())

    def forget(self) -> None:
        """Overwrite the keys; what is hidden by mistake afterwards is not a number."""
        self.keys.zero_()
        self.noise_sds.fill_(math.nan)

    def __reduce__(self) -> NoReturn:
        raise TypeError("streams of secret noise stay on the device that draws it")

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.keys, self.drawn, self.noise_sds, self.grid_steps
