"""The noise of DP-SGD drawn on a GPU: many trials' noise added and rounded to their grids in one launch.

Bits are ChaCha20's, of a key for each trial. Its nonce counts how often noise was drawn for the trial, its counter the
blocks of one draw, so no block comes twice. A block is four times 128 bits, each of which make two independent normal
numbers in double precision by Box and Muller's method, ``r cos(a)`` and ``r sin(a)``:

- 72 bits are p, evenly spread over (0, 1/2). One more says whether the radius is that of a uniform number p or 1 - p,
  ``r^2 = -2 log(p)`` or ``-2 log(1 - p)``, so that r is as exact where it is small as where it is large.
- 53 bits are the angle in a quarter turn, and two are signs.

Why that is enough, in the terms of ``gradient_noise``: p takes 2^72 places, 2^-73 apart, and a true one would move r by
at most 2^-73 / (p r), which is 2^-69 on average. So in 10^4 steps of 2 x 10^4 numbers the probability that any of them
lies at another point of a grid of 2^-10 sd than a true one is below 10^-9, which no delta notices; nor does it notice
that r ends at 10.1, beyond which one of 10^22 lies. Everything else, the angle's 53 bits and the rounding of
logarithm, root, sine and products, moves a number by less than 2^-49 r. So the probability of each point of the grid
is the true one up to a factor of about 1 +- 2^-39 r, and all such factors together, each as bad as it can be, come to
less than 0.001 of epsilon.

Source: Nir & Langley, RFC 8439, section 2.3, for the cipher; Box & Muller, "A Note on the Generation of Random Normal
Deviates", 1958; Goldberg, "What Every Computer Scientist Should Know About Floating-Point Arithmetic", 1991, theorem 4,
for log(1 - p).
"""
# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-decorators=False

from __future__ import annotations

import triton  # comes with PyTorch for CUDA; whoever imports this module has looked whether it is there
import triton.language as tl
from torch import Tensor

# Numbers that one block of the cipher makes.
NUMBERS = tl.constexpr(8)
# Blocks of the cipher that are computed side by side.
LANES = 128


def hide_all(totals: Tensor, keys: Tensor, nonces: Tensor, noise_sds: Tensor, grid_steps: Tensor) -> None:
    """Add noise to each trial's sum of clipped gradients, and round it to its grid, as ``hide_sum`` does.

    Args:
        totals: float32 (K, P); changed in place. Sensitive before, protected afterwards.
        keys: of the cipher (K, 8), int32. Secret.
        nonces: never the same twice with one key (K,), int64.
        noise_sds: standard deviation of the noise on each number (K,), float64; 0 leaves a sum as it is.
        grid_steps: distances of neighbouring points of the grids (K,), float64.
    """
    trials, size = totals.shape
    grid = (triton.cdiv(size, NUMBERS.value * LANES), trials)
    _hide[grid](totals, totals.stride(0), size, keys, nonces, noise_sds, grid_steps, LANES=LANES)


@triton.jit
def _hide(totals, stride, size, keys, nonces, noise_sds, grid_steps, LANES: tl.constexpr):
    """Some blocks' numbers of one trial; block b makes those at b, b + B, b + 2B, ... of the sum, B blocks in all."""
    trial = tl.program_id(1).to(tl.int64)
    block = tl.program_id(0) * LANES + tl.arange(0, LANES)
    blocks = tl.cdiv(size, NUMBERS)
    grid_step = tl.load(grid_steps + trial)
    noise_sd = tl.load(noise_sds + trial)
    per_step = 1 / grid_step  # a power of two like it, so that multiplying by either is exact
    last = tl.where(noise_sd == 0, 0, size)  # one that is no number must not leave the sum as it is
    words = chacha20(keys + trial * 8, tl.load(nonces + trial), block)
    totals += trial * stride
    for pair in tl.static_range(4):
        normals = normal_pair(words[4 * pair], words[4 * pair + 1], words[4 * pair + 2], words[4 * pair + 3])
        for which in tl.static_range(2):
            place = (2 * pair + which) * blocks + block
            inside = (block < blocks) & (place < last)
            total = tl.load(totals + place, mask=inside, other=0.0).to(tl.float64)
            point = tl.floor(normals[which] * (noise_sd * per_step) + total * per_step + 0.5)
            tl.store(totals + place, (point * grid_step).to(tl.float32) + 0.0, mask=inside)  # no zero has a sign


@triton.jit
def normal_pair(first, second, third, fourth):
    """Two independent standard normal numbers, float64, of four words."""
    low = (second.to(tl.float64) * 256 + (third & 255).to(tl.float64)) + 0.5  # 41 bits: exact
    p = (first.to(tl.float64) * 1099511627776.0 + low) * 1.0587911840678754e-22  # 2^40 and 2^-73
    upper = (fourth & 1) != 0
    uniform = tl.where(upper, 1 - p, p)
    lost = tl.where(upper & (uniform < 1), 1 - uniform, p)  # p, as far as 1 - p tells; exact
    radius = tl.sqrt(-2 * tl.log(uniform) * (p / lost))
    place = (third >> 8).to(tl.float64) * 536870912 + (fourth >> 3).to(tl.float64)  # 24 + 29 bits: exact
    angle = place * 1.743934249004316e-16  # 2^-53 pi / 2
    one, other = radius * tl.cos(angle), radius * tl.sin(angle)
    return tl.where((fourth & 2) != 0, -one, one), tl.where((fourth & 4) != 0, -other, other)


@triton.jit
def chacha20(key, nonce, block):
    """The cipher's blocks: 16 words of 32 random bits each, uint32.

    Args:
        key: where its eight words lie.
        nonce: the lower 64 of its 96 bits; the others are 0.
        block: numbers of the blocks.
    """
    zero = block.to(tl.uint32) * 0
    k0, k1, k2, k3 = _word(key, 0, zero), _word(key, 1, zero), _word(key, 2, zero), _word(key, 3, zero)
    k4, k5, k6, k7 = _word(key, 4, zero), _word(key, 5, zero), _word(key, 6, zero), _word(key, 7, zero)
    c0, c1, c2, c3 = zero + 0x61707865, zero + 0x3320646E, zero + 0x79622D32, zero + 0x6B206574
    n0, n1, n2 = block.to(tl.uint32), zero + nonce.to(tl.uint32), zero + (nonce >> 32).to(tl.uint32)
    x0, x1, x2, x3, x4, x5, x6, x7 = c0, c1, c2, c3, k0, k1, k2, k3
    x8, x9, x10, x11, x12, x13, x14, x15 = k4, k5, k6, k7, n0, n1, n2, zero
    for _ in range(10):
        x0, x4, x8, x12 = _quarter_round(x0, x4, x8, x12)
        x1, x5, x9, x13 = _quarter_round(x1, x5, x9, x13)
        x2, x6, x10, x14 = _quarter_round(x2, x6, x10, x14)
        x3, x7, x11, x15 = _quarter_round(x3, x7, x11, x15)
        x0, x5, x10, x15 = _quarter_round(x0, x5, x10, x15)
        x1, x6, x11, x12 = _quarter_round(x1, x6, x11, x12)
        x2, x7, x8, x13 = _quarter_round(x2, x7, x8, x13)
        x3, x4, x9, x14 = _quarter_round(x3, x4, x9, x14)
    return (
        x0 + c0, x1 + c1, x2 + c2, x3 + c3, x4 + k0, x5 + k1, x6 + k2, x7 + k3,
        x8 + k4, x9 + k5, x10 + k6, x11 + k7, x12 + n0, x13 + n1, x14 + n2, x15,
    )  # fmt: skip


@triton.jit
def _quarter_round(a, b, c, d):
    a += b
    d = _rotated(d ^ a, 16)
    c += d
    b = _rotated(b ^ c, 12)
    a += b
    d = _rotated(d ^ a, 8)
    c += d
    b = _rotated(b ^ c, 7)
    return a, b, c, d


@triton.jit
def _rotated(word, bits: tl.constexpr):
    return (word << bits) | (word >> (32 - bits))


@triton.jit
def _word(key, number: tl.constexpr, zero):
    return zero + tl.load(key + number).to(tl.uint32, bitcast=True)
