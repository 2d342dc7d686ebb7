"""Membership inference against a release: does it tell who was trained on from who was not?"""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
from scipy.stats import gaussian_kde, multivariate_normal
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from analysis.auditing.bounds import Auc, attack_auc
from analysis.release import read_release
from analysis.steward import OpenedCohort
from analysis.study import StudyDirectory
from cohorts import Encoding, storage

COMPONENTS = 8
"""Principal components that densities are estimated in; in more, a release of some thousands says nothing."""


def attack_release(directory: StudyDirectory, real: OpenedCohort) -> dict[str, Auc]:
    """Attack a study's release by distance and by likelihood ratio, and write the result to ``internal/audit.json``.

    Args:
        directory: the study.
        real: the cohort's participants, through the second door. Sensitive, and so is the result.

    Returns:
        AUC of each attack at telling training participants from test participants; 0.5 is chance.
    """
    _, released = read_release(directory.release)
    splits = real.splits
    encoding = Encoding(real.everybody.schema)
    synthetic, members, others = (
        encoding.encode(each.values).astype(np.float64) for each in (released, splits.train, splits.test)
    )
    found = {
        "distance to the closest released participant": attack_auc(
            closeness(synthetic, members), closeness(synthetic, others)
        ),
        "likelihood ratio": attack_auc(likelihood_ratio(synthetic, members), likelihood_ratio(synthetic, others)),
    }
    content = {name: asdict(auc) for name, auc in found.items()}
    storage.write_text(directory.internal / "audit.json", json.dumps(content, indent=2) + "\n")
    return found


def closeness(released: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Minus the distance of each person (n, F) to the closest of the released (m, F): (n,)."""
    distances, _ = NearestNeighbors(n_neighbors=1).fit(released).kneighbors(people)
    return np.asarray(-distances[:, 0])


def likelihood_ratio(released: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Log density of each person (n, F) by kernels on the released ones, less that by one Gaussian: (n,).

    The Gaussian knows what the release says of everybody; what the kernels know beyond it may be of somebody.
    """
    components = PCA(min(COMPONENTS, released.shape[1])).fit(released)
    known, asked = components.transform(released), components.transform(people)  # (m, k), (n, k)
    gaussian = multivariate_normal(known.mean(axis=0), np.cov(known, rowvar=False), allow_singular=True)
    return np.asarray(gaussian_kde(known.T).logpdf(asked.T) - gaussian.logpdf(asked))
