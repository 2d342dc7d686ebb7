"""Whether a machine can tell synthetic participants from real ones. Sensitive where these are real: not private."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from cohorts import Encoding, Participants

FOLDS = 5


def detection(synthetic: Participants, real: Participants) -> float:
    """AUC with which gradient boosting tells synthetic participants from as many real ones, fivefold cross-validated.

    Returns:
        0.5 where it cannot; NaN where there are fewer of one kind than folds.
    """
    ours, theirs = (np.c_[Encoding(each.schema).encode(each.values), each.labels] for each in (synthetic, real))
    randomness, size = np.random.default_rng(0), min(len(ours), len(theirs))
    if size < FOLDS:
        return float("nan")
    together = np.concatenate([each[randomness.permutation(len(each))[:size]] for each in (ours, theirs)])
    which = np.repeat([0, 1], size)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    model = HistGradientBoostingClassifier(random_state=0)
    # Of fifteen thousand short loops each would wait for a thread that something else keeps from its core: 90 s for 1.
    with threadpool_limits(limits=1):
        guessed = cross_val_predict(model, together, which, cv=folds, method="predict_proba")
    return float(roc_auc_score(which, guessed[:, 1]))
