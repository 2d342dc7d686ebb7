"""Figure 3: how columns correlate, real beside synthetic, and how alike the correlations of all pairs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.paper.plates import Plate, numbers, panels, styled
from analysis.reports.pictures import name_blocks
from cohorts import Encoding, Participants
from trainables.scoring.correlations import rank_correlation_of_correlations

LETTERS = "ABCDEFGH"
LOOK_FOR = (
    "Each square is the Pearson correlation of two columns; a measure's visits lie side by side in their order. The "
    "maps should have the same pattern in the same strength. Spearman's rank correlation looks at the order of the "
    "pairs alone, so it says nothing of strength: a map may be too pale and still have a high one."
)


@dataclass(frozen=True)
class Likeness:
    """How alike correlations are. Sensitive.

    Args:
        pairs: how many.
        spearman: rank correlation with the real ones, by series.
        difference: mean absolute difference from the real ones, by series.
        halves: rank correlation of two halves of the real participants: the most that can be asked for, about.
        halves_difference: their mean absolute difference.
    """

    pairs: int
    spearman: Mapping[str, float]
    difference: Mapping[str, float]
    halves: float
    halves_difference: float


def correlations(people: Participants) -> np.ndarray:
    """Pearson correlations of all features: (F, F), 0 where one does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.nan_to_num(np.corrcoef(Encoding(people.schema).encode(people.values), rowvar=False))
    return found


def likeness(real: Participants, cohorts: Mapping[str, Participants]) -> Likeness:
    """Compare the correlations of all pairs."""
    order = np.random.default_rng(0).permutation(len(real))
    halves = [real.take(half) for half in np.array_split(order, 2)]
    width = Encoding(real.schema).width
    return Likeness(
        pairs=width * (width - 1) // 2,
        spearman={name: rank_correlation_of_correlations(each, real) for name, each in cohorts.items()},
        difference={name: _difference(each, real) for name, each in cohorts.items()},
        halves=rank_correlation_of_correlations(*halves),
        halves_difference=_difference(*halves),
    )


def _difference(one: Participants, other: Participants) -> float:
    apart = np.abs(correlations(one) - correlations(other))
    return float(apart[np.triu_indices_from(apart, k=1)].mean())


@styled
def correlation_plate(real: Participants, cohorts: Mapping[str, Participants], alike: Likeness) -> Plate:
    """Draw a map of the real participants and one of each series'.

    Args:
        real: real participants. Sensitive.
        cohorts: synthetic ones by the series' name.
        alike: from ``likeness``.
    """
    maps = {"real": real, **cohorts}
    encoding = Encoding(real.schema)
    figure, (row,) = panels(1, len(maps), 4.4, 4.6)
    for letter, axes, (name, people) in zip(LETTERS, row, maps.items(), strict=False):
        picture = axes.imshow(correlations(people), vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        like = f"\nSpearman {alike.spearman[name]:.3f}" if name in alike.spearman else "\n"
        axes.set_title(f"{letter}   {name}, n = {len(people):,}{like}", loc="left", fontsize=9.5, fontweight="bold")
        name_blocks(axes, encoding, axes is row[0])
    figure.colorbar(picture, ax=list(row), shrink=0.6, label="correlation", pad=0.02)
    data = {
        "columns": list(encoding.feature_names),
        "maps": {name: numbers(correlations(people)) for name, people in maps.items()},
        "likeness": vars(alike),
    }
    title = f"Figure 3 A-{LETTERS[len(maps) - 1]}. Correlations of all {alike.pairs:,} pairs of columns"
    return Plate.of("figure-3-correlations", title, figure, LOOK_FOR, data)
