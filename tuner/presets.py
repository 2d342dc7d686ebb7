"""Studies that somebody else made first, to be made again by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cohorts import SplitShares
from tuner.errors import StudyError


@dataclass(frozen=True)
class Preset:
    """What a study of this name is, unless an option says otherwise.

    Args:
        defaults: of options.
        configurations: to be tried in this order before the search proposes any: what it draws, by hyperparameter.
        shares: expected shares of participants that train, that score and that serve the report.
    """

    defaults: Mapping[str, Any]
    configurations: tuple[Mapping[str, Any], ...]
    shares: SplitShares


def _papers(noise: float, clip_norm: float, learning_rate: float) -> dict[str, float]:
    return {
        "noise_multiplier": noise,
        "clip_norm": clip_norm,
        "discriminator_learning_rate": learning_rate,  # on which the generator's follows in the space `paper`
    }


PAPER = Preset(
    defaults={"policy": "unaccounted", "search_space": "paper", "trials": 10, "max_epochs": 500},
    configurations=(
        _papers(1, 1e-4, 2e-5),  # the winner
        _papers(0, 1e-4, 2e-5),  # its non-private twin, which clips nothing
        *(
            _papers(noise, clip_norm, learning_rate)
            for noise in (1, 2)
            for clip_norm in (1e-4, 1e-5)
            for learning_rate in (2e-5, 2e-4)
            if (noise, clip_norm, learning_rate) != (1, 1e-4, 2e-5)
        ),
        _papers(0, 1e-4, 2e-4),
    ),
    shares=SplitShares(train=12 / 13, validation=0.5 / 13, test=0.5 / 13),  # 6,000 of the 6,500 that SPRINT names
)
"""The sweep of Beaulieu-Jones et al. 2019: every epoch of every trial is scored, and none is stopped early.

Source: greenelab/SPRINT_gan, noise_sweep.sh and ac_gan.py.
"""

PRESETS: Mapping[str, Preset] = {"paper": PAPER}


def preset_named(name: str) -> Preset:
    """The preset of a name.

    Raises:
        StudyError: there is none.
    """
    if name not in PRESETS:
        raise StudyError(f"There is no preset {name}. Choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
