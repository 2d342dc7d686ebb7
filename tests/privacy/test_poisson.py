import numpy as np
from scipy.stats import kstest

from privacy.mechanisms.poisson_sampling import poisson_batch
from privacy.mechanisms.randomness import CryptographicStream


def batches(participants: int, rate: float, count: int) -> list[np.ndarray]:
    stream = CryptographicStream.seeded(1)
    return [poisson_batch(participants, rate, stream) for _ in range(count)]


def test_batch_sizes_vary_as_a_binomial_and_may_be_empty():
    sizes = np.array([len(batch) for batch in batches(100, 0.02, 4000)])
    assert sizes.min() == 0
    assert abs(sizes.mean() - 2) < 0.1
    assert abs(sizes.var() - 1.96) < 0.2


def test_every_participant_is_as_likely_as_any_other():
    counts = np.bincount(np.concatenate(batches(50, 0.3, 4000)), minlength=50)
    standardised = (counts - 1200) / np.sqrt(4000 * 0.3 * 0.7)
    assert kstest(standardised, "norm").pvalue > 0.001


def test_a_participant_is_never_twice_in_a_batch():
    assert all(len(np.unique(batch)) == len(batch) for batch in batches(100, 0.5, 200))


def test_nobody_to_draw_is_an_empty_batch():
    assert len(poisson_batch(0, 0.5, CryptographicStream.seeded(1))) == 0
