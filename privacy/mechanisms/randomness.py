"""Random streams that nobody can draw again."""

from __future__ import annotations

import os
import secrets

import numpy as np
import torch

# Where PyTorch's CPU generator (the Mersenne Twister) keeps its 624 words, 32 used bits in 8 bytes each.
STATE_OFFSET_BYTES = 24
STATE_WORDS = 624


def secret_stream(device: torch.device | str = "cpu") -> torch.Generator:
    """A stream seeded by the operating system; the seed is kept nowhere.

    PyTorch's CPU generator uses 32 bits of the seed it is given, few enough to try them all. So its whole state is
    filled from the operating system here. The Mersenne Twister is still not a cryptographic generator: who learned
    624 of its raw outputs could compute the others. Noise is not a raw output, and is never released by itself.

    Args:
        device: where numbers are drawn; CUDA's generator uses all of its 64-bit seed.
    """
    stream = torch.Generator(device).manual_seed(secrets.randbits(63))
    if stream.device.type == "cpu":
        state = stream.get_state()
        words = state[STATE_OFFSET_BYTES : STATE_OFFSET_BYTES + 8 * STATE_WORDS].view(torch.int64)
        fresh = np.frombuffer(os.urandom(4 * STATE_WORDS), dtype=np.uint32).astype(np.int64)
        words.copy_(torch.from_numpy(fresh))
        stream.set_state(state)
    return stream
