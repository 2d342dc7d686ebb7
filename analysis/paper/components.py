"""Real and synthetic participants on the first two principal components of the real ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analysis.paper.plates import REAL, Plate, colour_of, dress, numbers, panels, styled
from cohorts import Encoding, Participants

MOST_POINTS = 2000
LOOK_FOR = (
    "Synthetic participants should fill the same cloud as real ones. A smaller cloud leaves out unusual participants; "
    "clumps within it say that a generator repeats itself. As many of each are drawn, at random."
)


@styled
def component_plate(real: Participants, cohorts: Mapping[str, Participants]) -> Plate:
    """Draw a panel for each series, real participants beneath.

    Args:
        real: real participants. Sensitive.
        cohorts: synthetic ones by the series' name.
    """
    encoding, randomness = Encoding(real.schema), np.random.default_rng(0)
    model = make_pipeline(StandardScaler(), PCA(2, random_state=0))
    model.fit(encoding.encode(real.values))
    explained = model[-1].explained_variance_ratio_
    count = min(MOST_POINTS, len(real), *map(len, cohorts.values()))

    def scores(people: Participants) -> np.ndarray:
        some = people.take(randomness.permutation(len(people))[:count])
        return np.asarray(model.transform(encoding.encode(some.values)))

    theirs = scores(real)
    figure, (row,) = panels(1, len(cohorts), 4.8, 4.2, sharex=True, sharey=True)
    spread = {"real": numbers(theirs.std(axis=0))}
    for number, (axes, (name, people)) in enumerate(zip(row, cohorts.items(), strict=True)):
        ours = scores(people)
        for points, colour, label in ((theirs, REAL, "real"), (ours, colour_of(number), name)):
            axes.scatter(*points.T, s=7, color=colour, alpha=0.3, linewidths=0, rasterized=True, label=label)
        spread[name] = numbers(ours.std(axis=0))
        dress(axes, f"{name}, n = {count:,} of each")
        axes.set_xlabel(f"First component ({explained[0]:.0%} of the variance)")
        keys = axes.legend(frameon=False, fontsize=8.5, markerscale=2.5, loc="upper center", ncols=2,
                           bbox_to_anchor=(0.5, -0.13))  # fmt: skip
        for key in keys.legend_handles:
            key.set_alpha(0.9)
    row[0].set_ylabel(f"Second component ({explained[1]:.0%})")
    data = {"explained": numbers(explained), "standard_deviations": spread}
    return Plate.of("components", "Principal components of real participants", figure, LOOK_FOR, data)
