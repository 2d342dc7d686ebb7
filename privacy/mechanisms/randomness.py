"""Random numbers that nobody can draw again.

Numbers that hide participants, which are the noise of training and the coins of its batches, come from
``CryptographicStream``. What hides nobody (weights, latent inputs, dropout, participants of a release) comes from
PyTorch's own generators, filled by the operating system.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import NoReturn

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_BYTES = 16

# Where PyTorch's CPU generator (the Mersenne Twister) keeps its 624 words, 32 used bits in 8 bytes each.
STATE_OFFSET_BYTES = 24
STATE_WORDS = 624


class CryptographicStream:
    """AES-128 in counter mode: words that nobody without the key can tell from tosses of a fair coin.

    It cannot be pickled or copied, so that no number is drawn twice and no key leaves its process.

    Args:
        key: 16 bytes. None, the only value allowed where real participants are hidden, has it drawn from the
            operating system; it is kept nowhere else.

    Source: NIST SP 800-38A, section 6.5 (counter mode); Barker & Kelsey, NIST SP 800-90A, section 10.2.1, for counter
    mode as a generator.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._secret = key is None
        cipher = Cipher(algorithms.AES(key or os.urandom(KEY_BYTES)), modes.CTR(bytes(16)))
        self._encryptor = cipher.encryptor()
        self._zeros = b""

    @classmethod
    def seeded(cls, seed: int) -> CryptographicStream:
        """The same numbers every time: for what is public or made up."""
        return cls(hashlib.sha256(f"dpgan-tune stream {seed}".encode()).digest()[:KEY_BYTES])

    def words(self, count: int) -> np.ndarray:
        """The next 64-bit words: uint64 (count,)."""
        size = 8 * count
        if len(self._zeros) < size:
            self._zeros = bytes(size)
        words = np.empty(count + 2, dtype=np.uint64)  # the cipher asks for room for one block more
        self._encryptor.update_into(memoryview(self._zeros)[:size], words.view(np.uint8).data)
        return words[:count]

    def uniforms(self, count: int) -> np.ndarray:
        """The next numbers above 0 and below 1, multiples of 2^-54: float64 (count,)."""
        return ((self.words(count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def key(self, size: int) -> bytes:
        """A key for a cipher elsewhere: from the operating system as this stream's own is, or the next words of a seed.

        Args:
            size: in bytes, a multiple of 8.
        """
        return os.urandom(size) if self._secret else self.words(size // 8).tobytes()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream of secret random numbers stays in the process that made it")


def fresh_generator(device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of PyTorch's, filled by the operating system; for what hides no participant.

    PyTorch's CPU generator uses 32 bits of the seed it is given, few enough to try them all, so its whole state is
    filled here.

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
