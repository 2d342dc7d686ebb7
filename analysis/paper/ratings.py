"""What a blinded reader's sheet says: whether real participants look more real than synthetic ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table
from scipy.stats import mannwhitneyu, ttest_ind

from analysis.errors import AnalysisError
from analysis.paper.reader import ARM, KEY_FILE, LEAST, MOST, PLOT, RATING, READER, REAL, SHEET_FILE


@dataclass(frozen=True)
class Rated:
    """A reader's ratings.

    Args:
        real: of real participants, (n,).
        synthetic: of synthetic ones, (m,).
        guessed: share of real and of synthetic participants whose class was guessed right; None where none was asked.
    """

    real: np.ndarray
    synthetic: np.ndarray
    guessed: tuple[float, float] | None

    def as_table(self) -> Table:
        """For the terminal."""
        table = Table("", "real", "synthetic", title="How real participants looked, 0 to 10", title_justify="left")
        groups = (self.real, self.synthetic)
        table.add_row("participants", *(str(len(each)) for each in groups))
        table.add_row("mean", *(f"{each.mean():.2f}" for each in groups))
        table.add_row("standard deviation", *(f"{each.std(ddof=1):.2f}" for each in groups))
        if self.guessed is not None:
            table.add_row("class guessed right", *(f"{each:.0%}" for each in self.guessed))
        return table

    def in_words(self) -> str:
        """The paper's tests, and what they say.

        Source: Beaulieu-Jones et al. 2019, whose notebook has Student's t test and Mann and Whitney's, the latter
        one-sided as SciPy then had it. Here both are two-sided.
        """
        if np.ptp(np.concatenate([self.real, self.synthetic])) == 0:
            return "All participants were rated alike, so there is nothing to test."
        t_test = ttest_ind(self.real, self.synthetic)
        ranks = mannwhitneyu(self.real, self.synthetic, alternative="two-sided")
        one_sided = mannwhitneyu(self.real, self.synthetic, alternative="greater").pvalue
        interval = t_test.confidence_interval(0.95)
        apart = float(self.real.mean() - self.synthetic.mean())
        more_real = float(ranks.statistic) / (len(self.real) * len(self.synthetic))
        return (
            f"Real participants were rated {apart:+.2f} points (95 % interval {interval.low:+.2f} to "
            f"{interval.high:+.2f}) above synthetic ones: t test, p = {t_test.pvalue:.3f}; Mann-Whitney, p = "
            f"{ranks.pvalue:.3f} (one-sided, as the paper's notebook has it, {one_sided:.3f}). Of a real and a "
            f"synthetic participant the real one was rated higher in {more_real:.0%} of pairs, ties counted half; 50 % "
            "is what someone has who cannot tell them apart. A large p does not show that nobody can: see the "
            "interval."
        )


def read_ratings(kit: Path, sheet: Path | None = None) -> Rated:
    """Read the sheet that a reader returned.

    Args:
        kit: folder of the kit.
        sheet: the sheet, if it is not the one in the kit.

    Raises:
        AnalysisError: a file is missing, or the sheet is not filled in.
    """
    if kit.is_file():
        raise AnalysisError(f"{kit} is a file. Give the folder of the kit, STUDY/internal/paper/reader.")
    key = _read(kit / KEY_FILE, (PLOT, REAL, ARM), "Give the folder of the kit, STUDY/internal/paper/reader.")
    file = sheet or kit / READER / SHEET_FILE
    filled = _read(file, (PLOT, RATING), "Give the sheet that came with the kit.")
    by_plot = filled.set_index(PLOT)
    if by_plot.index.has_duplicates or set(by_plot.index) != set(key[PLOT]):
        raise AnalysisError(
            f"{file}, column {PLOT}: the plots are not those of {kit / KEY_FILE}, each once. Give the sheet that came "
            "with this kit, with all of its lines."
        )
    by_plot = by_plot.loc[key[PLOT]]
    ratings = pd.to_numeric(by_plot[RATING], errors="coerce")
    wrong = ~ratings.between(LEAST, MOST)
    if wrong.any():
        raise AnalysisError(
            f"{file}, column {RATING}: {int(wrong.sum())} of {len(wrong)} lines have no number from {LEAST} to {MOST}, "
            f"the first of them that of the plot {wrong.idxmax()}. Fill them in."
        )
    real = key[REAL].to_numpy() == "1"
    return Rated(
        ratings.to_numpy()[real].astype(float), ratings.to_numpy()[~real].astype(float), _guessed(by_plot, key)
    )


def _guessed(by_plot: pd.DataFrame, key: pd.DataFrame) -> tuple[float, float] | None:
    if ARM not in by_plot or by_plot[ARM].str.strip().eq("").all():
        return None
    real = key[REAL].to_numpy() == "1"
    right = (by_plot[ARM].str.strip().str.casefold().to_numpy() == key[ARM].str.casefold().to_numpy()).astype(float)
    shares = float(right[real].mean()), float(right[~real].mean())
    return None if any(map(math.isnan, shares)) else shares


def _read(file: Path, columns: tuple[str, ...], remedy: str) -> pd.DataFrame:
    try:
        found = pd.read_csv(file, dtype=str, keep_default_na=False, sep=None, engine="python")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no table in CSV"
        raise AnalysisError(f"{file} cannot be read: {reason}. {remedy}") from None
    for column in columns:
        if column not in found:
            raise AnalysisError(f"{file} has no column {column!r}. {remedy}")
    return found
