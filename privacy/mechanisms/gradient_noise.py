"""The noise of DP-SGD, added so that no low bit of the sum tells what it hides.

A Gaussian in floating point does not take all values: its lowest bits can tell ``sum + noise`` of one data set from
that of its neighbour, with a few numbers and no doubt (Mironov, "On Significance of the Least Significant Bits for
Differential Privacy", CCS 2012). So the noisy sum is computed in double precision and rounded to a grid.

Why that is enough: rounding ``s + z`` to multiples of g is post-processing of the Gaussian mechanism, whatever s is,
so with a real number z nothing would be lost. Here z is a double made of 53 random bits, and ``s + z`` is rounded to
a double. Both move a point y by at most some 2^-52 |y|, and can matter only where that moves it across the middle
between two points of the grid. Where these lie 2^-10 sd apart, the probability of each is the true one up to a factor
of about 1 +- 2^-42 |y| / sd. For the 2 x 10^4 numbers of a compact discriminator, whose sums have a 2-norm of at most
some hundred clip norms, and 10^4 steps, all such factors together, each as bad as it can be, come to less than 0.001
of epsilon. The last step, to float32, is post-processing.

The grid follows from public numbers alone, and rounding adds noise of g^2 / 12, less than a ten-millionth of its
variance.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

GRID_BITS = 10


def grid_step(noise_sd: float) -> float:
    """g, the distance of neighbouring points of the grid: a power of two, at most ``noise_sd`` / 2^10."""
    return 2.0 ** (math.floor(math.log2(noise_sd)) - GRID_BITS)


def hide_sum(total: Tensor, noise_sd: float, normals: np.ndarray) -> None:
    """Add noise to a sum of clipped gradients, and round it to the grid.

    Args:
        total: float32 (P,), on any device; changed in place. Sensitive before, protected afterwards.
        noise_sd: standard deviation of the noise on each number; 0 leaves the sum as it is.
        normals: float64 (P,), fresh standard normal numbers; used up.
    """
    if noise_sd == 0:
        return
    step = grid_step(noise_sd)  # a power of two, so that dividing and multiplying by it are exact
    noise = torch.from_numpy(normals).to(total.device, non_blocking=True)
    points = noise.mul_(noise_sd / step).add_(total, alpha=1 / step).round_()
    total.copy_(points).mul_(step).add_(0.0)  # -0.0 + 0.0 = 0.0: the sign of a zero would tell more than the grid
