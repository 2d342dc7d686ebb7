"""Figure 1 D and E: the losses of both networks by epoch, where training wrote them down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator
from pydantic import BaseModel, ConfigDict, ValidationError

from analysis.errors import AnalysisError
from analysis.figures import QUIET
from analysis.paper.plates import Plate, colour_of, dress, numbers, panels, styled
from analysis.paper.series import Series

LETTERS = "DEFGHIJK"
NETWORKS = ("discriminator", "generator")
EQUILIBRIUM = math.log(2)
LOOK_FOR = (
    "Both losses add up two cross-entropies: whether a participant is real, and which class one is of. The broken line "
    "is the first alone where the discriminator cannot tell (the natural logarithm of 2); losses lie above it by what "
    "the classes add. Lines that run apart say that one network outplays the other. The paper's figure has the first "
    "part only. The discriminator's loss is computed from real participants without noise."
)


class Losses(BaseModel):
    """The losses of one epoch of a trial. Sensitive: not private.

    Args:
        trial: Ray Tune's name of it.
        epoch: which.
        discriminator: its mean loss; NaN where it took no step.
        generator: likewise.
    """

    model_config = ConfigDict(frozen=True)

    trial: str
    epoch: int
    discriminator: float = math.nan
    generator: float = math.nan


def losses_of(series: Series) -> list[Losses]:
    """The losses of the trial whose last epoch figure 2 A shows; empty where its study wrote none.

    Raises:
        AnalysisError: the file holds something else.
    """
    file = series.directory.losses
    if not file.exists():
        return []
    found: dict[int, Losses] = {}
    for number, line in enumerate(_lines(file), 1):
        try:
            each = Losses.model_validate_json(line)
        except ValidationError:
            raise AnalysisError(
                f"The losses of the study cannot be read: line {number} of {file} is none that training wrote. Restore "
                "the file, or remove it, and the page is made without losses."
            ) from None
        if each.trial == series.selection.last.trial_id:
            found[each.epoch] = each
    return [found[epoch] for epoch in sorted(found)]


def _lines(file: Path) -> list[bytes]:
    """Lines that were written to their end."""
    return [line for line in file.read_bytes().split(b"\n") if line.endswith(b"}")]


@styled
def loss_plate(series: Sequence[Series], losses: Sequence[Sequence[Losses]]) -> Plate:
    """Draw a panel for each series that has losses.

    Args:
        series: those.
        losses: of each.
    """
    figure, (row,) = panels(1, len(series), 5.0, 3.0, sharey=True)
    data = []
    for letter, axes, each, own in zip(LETTERS, row, series, losses, strict=False):
        epochs = [line.epoch for line in own]
        for number, network in enumerate(NETWORKS):
            axes.plot(epochs, [getattr(line, network) for line in own], color=colour_of(number), linewidth=1.3,
                      label=network)  # fmt: skip
        axes.axhline(EQUILIBRIUM, color=QUIET, linestyle=(0, (4, 3)), linewidth=1)
        dress(axes, f"{each.name}, trial {each.selection.last.trial_id}", letter)
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        lines = {network: numbers(np.array([getattr(line, network) for line in own])) for network in NETWORKS}
        data.append({"series": each.name, "epochs": epochs, **lines})
    row[0].set_ylabel("Loss")
    row[0].legend(frameon=False, fontsize=8.5)
    last = LETTERS[len(series) - 1]
    title = f"Figure 1 D{f'-{last}' if last != 'D' else ''}. Losses of both networks by epoch"
    return Plate.of("figure-1-losses", title, figure, LOOK_FOR, data)
