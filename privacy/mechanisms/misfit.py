"""How far synthetic participants are from what was measured of real ones; reads no real participant.

Synthetic participants are measured in the same way, and each difference is taken over its standard error: that of the
noise that was bought and that of drawing so many. A generator that is right has a mean square of about 1.
"""

from __future__ import annotations

import numpy as np

from cohorts import Participants
from privacy.mechanisms.histograms import class_counts
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.moments import lifted
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.two_way_tables import Parts

WORST = 1e6
"""What a generator that leaves out a class is said to misfit."""


def misfit(measured: Measured, synthetic: Participants) -> dict[str, float]:
    """Mean square of the differences over their standard errors, chi-squared per degree of freedom.

    Args:
        measured: what was bought.
        synthetic: participants of every class.

    Returns:
        ``misfit``, of everything that was measured, and of its parts ``misfit_histograms``, ``misfit_products`` and,
        where there are any, ``misfit_tables``.
    """
    scores = NormalScores(synthetic.schema, measured.histograms)
    positions = scores.encoding.positions(synthetic.values)
    features = scores.scores(synthetic.values, synthetic.labels) / LIMIT
    histograms, products, tables = [], [], _of_tables(measured, synthetic, scores)
    classes = len(measured.histograms)
    noises = np.concatenate([each.noises for each in scores.bins])
    by_class = np.split(class_counts(positions, synthetic.labels, scores.bins, classes), classes)
    for label, counts in enumerate(by_class):
        who = synthetic.labels == label
        if not who.any():
            return dict.fromkeys(_parts([], [], tables), WORST)
        bought = measured.histograms[label]
        shares = counts / who.sum()
        variance = noises * (bought.noise_sd / bought.participants) ** 2 + shares * (1 - shares) / who.sum()
        histograms.append((shares - bought.counts / bought.participants) ** 2 / variance)
        vectors, expected = lifted(features[who], measured.products[label].radius), measured.products[label]
        mean = vectors.T @ vectors / len(vectors)
        spread = (vectors**2).T @ vectors**2 / len(vectors) - mean**2
        noise = expected.noise_sd**2 * (1 + np.eye(len(mean))) / 2
        upper = np.triu_indices(len(mean))
        products.append(((mean - expected.mean) ** 2 / (noise + spread.clip(0) / len(vectors)))[upper])
    parts = _parts(histograms, products, tables)
    return {name: min(float(np.mean(np.concatenate(squares))), WORST) for name, squares in parts.items()}


def _parts(
    histograms: list[np.ndarray], products: list[np.ndarray], tables: list[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """Squared differences over their variances, by what is said of them."""
    parts = {"misfit_histograms": histograms, "misfit_products": products}
    if tables:
        parts["misfit_tables"] = tables
    return {"misfit": histograms + products + tables, **parts}


def _of_tables(measured: Measured, synthetic: Participants, scores: NormalScores) -> list[np.ndarray]:
    if not measured.tables:
        return []
    parts = Parts(scores, measured.tables[0].parts)
    together = parts.counts(parts.of(synthetic.values, synthetic.labels))
    found = []
    for bought in measured.tables:
        shares = parts.table(together, *bought.cells) / len(synthetic)
        variance = bought.noise_sd**2 + shares * (1 - shares) / len(synthetic)
        found.append(((shares - bought.shares) ** 2 / variance).ravel())
    return found
