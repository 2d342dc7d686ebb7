"""One estimate and one interval from those of several copies: Rubin's rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student

from analysis.errors import AnalysisError


def combine(
    estimates: Sequence[ArrayLike | pd.Series],
    standard_errors: Sequence[ArrayLike | pd.Series],
    level: float = 0.95,
) -> pd.DataFrame:
    """Combine what an analysis of each copy of a release gave, as `MIcombine` of R's package mitools does.

    The variance is that within copies, which stands for the trial's own sampling, plus that between them, which is due
    to the noise that protects its participants.

    Args:
        estimates: of each of m copies: a number, or one for each coefficient, of which a Series keeps its names.
        standard_errors: of each estimate, in the same order and unit.
        level: of the intervals.

    Returns:
        A row for each coefficient: `estimate`, `standard_error`, `lower` and `upper` of the interval, its degrees of
        freedom `df`, the two-sided `p` of a true value of 0, and `noise`, the share of the variance that is due to
        noise.

    Raises:
        AnalysisError: there are fewer than two copies, or not as many errors as estimates.

    Source: Rubin, "Multiple Imputation for Nonresponse in Surveys", 1987, equations 3.1.2 to 3.1.6.

    Example:
        >>> found = combine([-7.6, -8.3, -8.4, -7.9], [1.2, 1.1, 1.2, 1.2])
        >>> print(found[["estimate", "standard_error", "lower", "upper", "noise"]].round(2).to_string(index=False))
         estimate  standard_error  lower  upper  noise
            -8.05            1.25  -10.5   -5.6   0.11
    """
    if len(estimates) < 2 or len(estimates) != len(standard_errors):
        raise AnalysisError(
            f"There are {len(estimates)} estimates and {len(standard_errors)} standard errors. Give one of each for "
            "every copy, of at least two: one copy does not tell how much of its estimate is noise."
        )
    found, errors = (np.array([np.atleast_1d(each) for each in given], float) for given in (estimates, standard_errors))
    if found.shape != errors.shape:
        raise AnalysisError("An estimate and its standard error must be of the same coefficients in every copy.")
    copies, middle = len(found), found.mean(axis=0)  # m, (c,)
    within, between = np.square(errors).mean(axis=0), (1 + 1 / copies) * found.var(axis=0, ddof=1)
    error = np.sqrt(within + between)
    with np.errstate(over="ignore"):  # of copies that agree, degrees of freedom have no end
        freedom = (copies - 1) * np.square(1 + within / np.maximum(between, np.finfo(float).tiny))
    reach = student.ppf((1 + level) / 2, freedom) * error
    first = estimates[0]
    return pd.DataFrame(
        {
            "estimate": middle,
            "standard_error": error,
            "lower": middle - reach,
            "upper": middle + reach,
            "df": freedom,
            "p": 2 * student.sf(np.abs(middle) / error, freedom),
            "noise": between / error**2,
        },
        index=first.index if isinstance(first, pd.Series) else None,
    )
