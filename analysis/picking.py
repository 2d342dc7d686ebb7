"""The epochs that a study's release is drawn from, picked as was planned, and the same ones every time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.epochs import ScoredEpoch
from analysis.selection import Selection, select, select_noisily
from analysis.study import StudySettings
from privacy.ledger.ledger import Ledger
from privacy.planning.allocation import DeclaredPlan
from privacy.policies import policy_named


def picked(epochs: Sequence[ScoredEpoch], settings: StudySettings, declared: DeclaredPlan, ledger: Ledger) -> Selection:
    """Pick epochs of a study.

    Args:
        epochs: those that its release may be made of, at least one.
        settings: what it was asked to do.
        declared: its plan.
        ledger: the cohort's, by whose key the noise of picks is drawn, where there is any: it is the same whenever the
            release is built, and known to nobody without that key.
    """
    if declared.plan.noisy_picks:
        seed = int(ledger.chain.fingerprint(["picks", settings.study]), 16)
        return select_noisily(epochs, np.random.default_rng(seed))
    return select(epochs, policy_named(settings.policy).picks(len(epochs)))
