"""How alike the correlations of features are."""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from cohorts import Encoding, Participants
from trainables.scoring.score import Likeness, Score


def rank_correlation_of_correlations(synthetic: Participants, real: Participants) -> float:
    """Rank correlation between two cohorts' pairwise feature correlations: 1 is alike.

    A feature that does not vary correlates 0 with every other, and where there are fewer than two pairs nothing is
    known: 0.

    Args:
        synthetic: generated participants.
        real: real participants of the same schema. Sensitive: the result is not private.

    Source: Beaulieu-Jones et al. 2019, figure 3 (the 630 pairwise correlations of 36 features).
    """
    encoding = Encoding(real.schema)
    if encoding.width < 3:
        return 0.0
    ours, theirs = encoding.encode(synthetic.values), encoding.encode(real.values)  # (n, F), (m, F)
    return float(np.nan_to_num(spearmanr(_correlations(ours), _correlations(theirs)).statistic))


def _correlations(features: np.ndarray) -> np.ndarray:
    """Pearson correlations of all pairs of columns, (F (F - 1) / 2,)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.nan_to_num(np.corrcoef(features, rowvar=False))
    pairs: np.ndarray = matrix[np.triu_indices_from(matrix, k=1)]
    return pairs


LIKENESS = Likeness(
    Score("spearman", "likeness of correlations", "maximize", (-1.0, 1.0), "free"), rank_correlation_of_correlations
)
