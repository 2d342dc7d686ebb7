"""Noise that a GPU draws is ChaCha20's, normal to the last bits that matter, fresh, and rounded as the host rounds.

Where there is no GPU, Triton's interpreter runs the same kernel: ``TRITON_INTERPRET=1``, with Triton installed.
"""

from __future__ import annotations

import os
import pickle
import struct
from copy import deepcopy

import numpy as np
import pytest
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from scipy.stats import binom, kstest, norm

from privacy.mechanisms.gpu_noise import KEY_BYTES, GPUNoise
from privacy.mechanisms.gradient_noise import grid_step, hide_sum
from privacy.mechanisms.randomness import CryptographicStream

triton = pytest.importorskip("triton")
if not torch.cuda.is_available() and not os.environ.get("TRITON_INTERPRET"):
    pytest.skip("PyTorch finds no GPU here", allow_module_level=True)

import triton.language as tl  # noqa: E402

from privacy.mechanisms import gpu_noise_kernel  # noqa: E402
from privacy.mechanisms.gpu_noise_kernel import NUMBERS, chacha20, normal_pair  # noqa: E402

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
DRAWN = 2_000_000
LANES = 2**10 if DEVICE.type == "cuda" else 2**15
UNLIKELY = 1e-6
SIZE = 21_635  # no multiple of a block


@triton.jit
def store_words(out, key, nonces, first, LANES: tl.constexpr):
    block = first + tl.arange(0, LANES)
    words = chacha20(key, tl.load(nonces), block)
    for number in tl.static_range(16):
        tl.store(out + tl.arange(0, LANES) * 16 + number, words[number].to(tl.int32, bitcast=True))


@triton.jit
def store_pairs(out, words, count, LANES: tl.constexpr):
    lane = tl.program_id(0) * LANES + tl.arange(0, LANES)
    inside = lane < count
    first = tl.load(words + 4 * lane, mask=inside, other=0).to(tl.uint32, bitcast=True)
    second = tl.load(words + 4 * lane + 1, mask=inside, other=0).to(tl.uint32, bitcast=True)
    third = tl.load(words + 4 * lane + 2, mask=inside, other=0).to(tl.uint32, bitcast=True)
    fourth = tl.load(words + 4 * lane + 3, mask=inside, other=0).to(tl.uint32, bitcast=True)
    one, other = normal_pair(first, second, third, fourth)
    tl.store(out + 2 * lane, one, mask=inside)
    tl.store(out + 2 * lane + 1, other, mask=inside)


def words_of(key: bytes, nonce: int, first: int, blocks: int) -> np.ndarray:
    """What the kernel makes of a key: (blocks, 16)."""
    keys = torch.frombuffer(bytearray(key), dtype=torch.int32).to(DEVICE)
    out = torch.zeros(blocks, 16, dtype=torch.int32, device=DEVICE)
    store_words[(1,)](out, keys, torch.tensor([nonce], device=DEVICE), first, LANES=blocks)
    return out.cpu().numpy().view(np.uint32)


def stream(key: bytes, nonce: int, first: int, blocks: int) -> np.ndarray:
    """The same by OpenSSL."""
    start = struct.pack("<IQI", first, nonce, 0)
    text = Cipher(algorithms.ChaCha20(key, start), mode=None).encryptor().update(bytes(64 * blocks))
    return np.frombuffer(text, dtype="<u4").reshape(blocks, 16)


def pairs_of(words: np.ndarray) -> np.ndarray:
    """What the kernel makes of words (N, 4): normal numbers (N, 2)."""
    given = torch.from_numpy(words.astype(np.uint32).view(np.int32).copy()).to(DEVICE)
    out = torch.zeros(len(words), 2, dtype=torch.float64, device=DEVICE)
    store_pairs[(triton.cdiv(len(words), LANES),)](out, given, len(words), LANES=LANES)
    return out.cpu().numpy()


def exact_pairs(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in extended precision, and the radius."""
    first, second, third, fourth = words.astype(np.uint64).T
    low = ((second << np.uint64(8)) | (third & np.uint64(255))).astype(np.longdouble) + 0.5
    p = (first.astype(np.longdouble) * 2.0**40 + low) / np.longdouble(2) ** 73
    radius = np.sqrt(-2 * np.where(fourth & np.uint64(1), np.log1p(-p), np.log(p)))
    place = ((third >> np.uint64(8)) << np.uint64(29)) | (fourth >> np.uint64(3))
    quarter = np.arctan2(np.longdouble(1), np.longdouble(0))
    angle = place.astype(np.longdouble) / np.longdouble(2) ** 53 * quarter
    numbers = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    signs = np.stack([fourth & np.uint64(2), fourth & np.uint64(4)], axis=1)
    return np.where(signs, -numbers, numbers), radius


def expected_numbers(key: bytes, nonce: int, size: int) -> np.ndarray:
    """Of one draw (size,), in double precision."""
    numbers, _ = exact_pairs(stream(key, nonce, 0, -(-size // NUMBERS.value)).reshape(-1, 4))
    return numbers.reshape(-1, 8).T.ravel()[:size].astype(np.float64)


def seeded(number: int, noise_sd: float = 1.0) -> GPUNoise:
    return GPUNoise.of(CryptographicStream.seeded(number), noise_sd, DEVICE)


def draw(noise: GPUNoise, size: int = SIZE) -> np.ndarray:
    """What is added to sums of 0: (K, size)."""
    totals = torch.zeros(len(noise.keys), size, device=DEVICE)
    noise.hide_sums(totals)
    return totals.cpu().numpy()


@pytest.fixture(autouse=True, scope="module")
def few_programs_for_the_interpreter():
    """It takes as long for many lanes as for one."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE.type == "cpu":
            patch.setattr(gpu_noise_kernel, "LANES", LANES)
        yield


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return draw(seeded(1), DRAWN).ravel().astype(np.float64)


def test_a_block_is_that_of_the_standard():
    """RFC 8439, section 2.3.2."""
    nonce = int.from_bytes(bytes.fromhex("000000090000004a"), "little")
    expected = (
        "e4e7f110 15593bd1 1fdd0f50 c47120a3 c7f4d1c7 0368c033 9aaa2204 4e6cd4c3 "
        "466482d2 09aa9f07 05d7c214 a2028bd9 d19c12b5 b94e16de e883d0cb 4e3c50a2"
    )
    assert [f"{word:08x}" for word in words_of(bytes(range(KEY_BYTES)), nonce, 1, 1)[0]] == expected.split()


@pytest.mark.parametrize("nonce", [1, 2**31, 2**32 - 1, 2**32, 2**62 + 12345])
@pytest.mark.parametrize("first", [0, 2**20 - 3])
def test_blocks_are_those_of_openssl(nonce, first):
    key = CryptographicStream.seeded(nonce % 1000).key(KEY_BYTES)
    assert np.array_equal(words_of(key, nonce, first, 16), stream(key, nonce, first, 16))


def test_numbers_are_exact_to_what_the_argument_allows():
    """The smallest and largest radius, every quarter, and many at random."""
    corners = np.array([0, 1, 2**31, 2**32 - 1], dtype=np.uint32)
    grid = np.stack(np.meshgrid(corners, corners, corners, corners), axis=-1).reshape(-1, 4)
    bits = np.array([[0, 0, 0, low] for low in range(8)] + [[2**32 - 1] * 3 + [low] for low in range(8)])
    small = np.random.default_rng(0).integers(0, 2**32, (100_000, 4)) >> np.array([20, 0, 0, 0])
    words = np.concatenate([grid, bits, small, stream(bytes(32), 1, 0, 100_000).reshape(-1, 4)]).astype(np.uint32)
    numbers, radius = exact_pairs(words)
    assert radius.max() > 10.1 and radius.min() < 1e-10
    usual = radius > 1e-7  # smaller ones are 0 where 1 - p is 1: none of 10^14
    found = pairs_of(words)
    assert (np.abs(found - numbers)[usual] <= 2.0**-49 * radius[usual, None]).all()
    assert (np.abs(found[~usual]) < 2e-8).all()


def test_sums_are_hidden_as_the_host_hides_them():
    """Three trials of their own scale, on the numbers that OpenSSL's words make."""
    sds = (0.37, 1.0, 2.0**-40)
    noise = GPUNoise.joined([seeded(number, sd) for number, sd in enumerate(sds)])
    totals = torch.randn(3, SIZE, generator=torch.Generator().manual_seed(0)) * torch.tensor(sds)[:, None] * 3
    hidden = totals.clone().to(DEVICE)
    for nonce in (1, 2):
        noise.hide_sums(hidden)
        for number, sd in enumerate(sds):
            key = CryptographicStream.seeded(number).key(KEY_BYTES)
            hide_sum(totals[number], sd, expected_numbers(key, nonce, SIZE))
    assert torch.equal(hidden.cpu(), totals)


def test_every_number_lies_on_the_grid_and_no_zero_has_a_sign(drawn):
    points = drawn / grid_step(1.0)
    assert np.array_equal(points, points.round())
    zeros = drawn[drawn == 0]
    assert len(zeros) > 50
    assert not np.signbit(zeros).any()


def test_numbers_are_normal(drawn):
    tiny = np.random.default_rng(0).uniform(-0.5, 0.5, len(drawn)) * grid_step(1.0)  # undoes the grid
    assert kstest(drawn + tiny, "norm").pvalue > UNLIKELY
    assert abs(drawn.mean()) < 5 / DRAWN**0.5
    assert abs(drawn.var() - 1) < 5 * (2 / DRAWN) ** 0.5


@pytest.mark.parametrize("beyond", [2.0, 3.0, 4.0, 4.5])
def test_as_many_lie_far_out_as_should(drawn, beyond):
    for side in (drawn, -drawn):
        found, probability = (side > beyond + grid_step(1.0) / 2).sum(), norm.sf(beyond + grid_step(1.0) / 2)
        assert binom.ppf(UNLIKELY, DRAWN, probability) <= found <= binom.ppf(1 - UNLIKELY, DRAWN, probability)


def test_numbers_tell_nothing_of_those_beside_them_or_made_by_the_same_block(drawn):
    blocks = DRAWN // 8
    for lag in (1, 128, blocks, 2 * blocks, 3 * blocks, 7 * blocks):
        for power in (1, 2):
            first, second = drawn[:-lag] ** power, drawn[lag:] ** power
            assert abs(np.corrcoef(first, second)[0, 1]) < 5 / len(first) ** 0.5


def test_no_draw_of_no_trial_is_like_another():
    noise = GPUNoise.joined([seeded(number) for number in range(5)])
    draws = np.concatenate([draw(noise) for _ in range(6)])
    likeness = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(likeness).max() < 6 / SIZE**0.5


def test_what_a_trial_draws_does_not_depend_on_the_others():
    """Nor on which trials come and leave in between."""
    alone = seeded(3)
    expected = [draw(alone)[0] for _ in range(4)]
    noise = seeded(3)
    found = [draw(noise)[0]]
    noise = GPUNoise.joined([seeded(1), noise, seeded(2)])
    found.append(draw(noise)[1])
    found.append(draw(noise.rows(slice(1, 3)))[0])
    noise = GPUNoise.joined([noise.rows(slice(0, 0)), noise.rows(slice(1, 2)), seeded(9)])
    found.append(draw(noise)[0])
    assert np.array_equal(found, expected)


def test_a_seed_gives_the_same_noise_and_the_operating_system_never_does():
    assert np.array_equal(draw(seeded(1)), draw(seeded(1)))
    secret = [draw(GPUNoise.of(CryptographicStream(), 1.0, DEVICE)) for _ in range(2)]
    assert (secret[0] != secret[1]).mean() > 0.9


def test_without_noise_a_sum_stays_as_it_is():
    noise = GPUNoise.joined([seeded(1, 0.0), seeded(2)])
    totals = torch.tensor([[0.1, -0.0, 1e-30, -3e30]] * 2)
    hidden = totals.clone().to(DEVICE)
    noise.hide_sums(hidden)
    assert hidden[0].cpu().numpy().tobytes() == totals[0].numpy().tobytes()
    assert not torch.equal(hidden[1].cpu(), totals[1])


def test_forgotten_noise_hides_everything():
    noise = GPUNoise.joined([seeded(1), seeded(2)])
    noise.rows(slice(1, 2)).forget()
    assert not noise.keys[1].any() and noise.keys[0].any()
    found = draw(noise)
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


def test_noise_cannot_be_copied():
    for copied in (pickle.dumps, deepcopy):
        with pytest.raises(TypeError, match="stay on the device"):
            copied(seeded(1))
