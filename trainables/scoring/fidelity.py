"""How alike two cohorts are, beyond prediction: correlations and marginals. For cohorts marked public only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from cohorts import Encoding, Participants


@dataclass(frozen=True)
class Fidelity:
    """Likeness of a synthetic to a real cohort.

    Args:
        spearman: rank correlation between the two cohorts' pairwise feature correlations, in [-1, 1]; 1 is alike.
        ks: Kolmogorov-Smirnov distance of a feature's two distributions, mean over features, in [0, 1]; 0 is alike.
    """

    spearman: float
    ks: float


def fidelity(synthetic: Participants, real: Participants) -> Fidelity:
    """Compare a synthetic with a real cohort of the same schema.

    Args:
        synthetic: generated participants.
        real: real participants. Sensitive: the result is not private.

    Returns:
        Both distances; a feature that does not vary correlates 0 with every other.

    Source: Beaulieu-Jones et al. 2019, figure 3 (the 630 pairwise correlations of 36 features).
    """
    encoding = Encoding(real.schema)
    ours, theirs = encoding.encode(synthetic.values), encoding.encode(real.values)  # (n, F), (m, F)
    distances = [_ks_distance(ours[:, f], theirs[:, f]) for f in range(encoding.width)]
    ranks = spearmanr(_correlations(ours), _correlations(theirs)).statistic
    return Fidelity(spearman=float(np.nan_to_num(ranks)), ks=float(np.mean(distances)))


def _ks_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Of two samples (n,) and (m,): what ``scipy.stats.ks_2samp`` says, without the p-value that takes it longer."""
    first, second = np.sort(first), np.sort(second)
    places = np.concatenate([first, second])
    shares = [np.searchsorted(sample, places, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


def _correlations(features: np.ndarray) -> np.ndarray:
    """Pearson correlations of all pairs of columns, (F (F - 1) / 2,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.nan_to_num(np.corrcoef(features, rowvar=False))
    return matrix[np.triu_indices_from(matrix, k=1)]
