import numpy as np
import pytest
import torch
from scipy.stats import kstest

from privacy.mechanisms.randomness import STATE_OFFSET_BYTES, STATE_WORDS, CryptographicStream, fresh_generator

pytestmark = pytest.mark.fresh_noise


def words(stream: torch.Generator) -> np.ndarray:
    state = stream.get_state()[STATE_OFFSET_BYTES : STATE_OFFSET_BYTES + 8 * STATE_WORDS]
    return state.view(torch.int64).numpy()


def test_pytorch_keeps_its_state_where_this_module_fills_it():
    # Two seeds that PyTorch cannot tell apart give the same words, and a third gives others in nearly every place.
    same, again, other = (torch.Generator().manual_seed(seed) for seed in (5, 5 + 2**32, 6))
    assert (words(same) == words(again)).all()
    assert (words(same) != words(other)).mean() > 0.99


def test_the_whole_state_is_fresh_not_just_32_bits_of_it():
    first, second = words(fresh_generator()), words(fresh_generator())
    assert (first != second).mean() > 0.99
    reseeded = words(torch.Generator().manual_seed(fresh_generator().initial_seed()))
    assert (words(fresh_generator()) != reseeded).mean() > 0.99


def test_its_normal_numbers_are_normal_and_no_two_streams_alike():
    first, second = (torch.randn(20_000, generator=fresh_generator()).numpy() for _ in range(2))
    assert kstest(first, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_a_cryptographic_stream_is_the_cipher_in_counter_mode():
    """Against the known answers of NIST SP 800-38A, F.5.5, whose counter blocks are taken one by one."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = bytes(range(16))
    blocks = b"".join(
        Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(number.to_bytes(16, "big")) for number in range(8)
    )
    stream = CryptographicStream(key)
    drawn = np.concatenate([stream.words(count) for count in (1, 2, 6, 7)])
    assert drawn.tobytes() == blocks


def test_no_two_streams_are_alike_and_none_leaves_its_process():
    import pickle

    import pytest

    assert (CryptographicStream().words(1000) != CryptographicStream().words(1000)).all()
    assert (CryptographicStream.seeded(1).words(9) == CryptographicStream.seeded(1).words(9)).all()
    with pytest.raises(TypeError, match="stays in the process"):
        pickle.dumps(CryptographicStream())


def test_uniform_numbers_are_uniform_and_never_0_or_1():
    numbers = CryptographicStream().uniforms(50_000)
    assert numbers.min() > 0 and numbers.max() < 1
    assert kstest(numbers, "uniform").pvalue > 1e-4


def test_a_key_for_another_cipher_is_secret_unless_the_stream_has_a_seed():
    assert CryptographicStream().key(32) != CryptographicStream().key(32)
    seeded, same = CryptographicStream.seeded(1), CryptographicStream.seeded(1)
    first = seeded.key(32)
    assert len(first) == 32 and same.key(32) == first
    assert seeded.key(32) != first  # of another segment
