"""SPRINT simulated in other sizes, and again and again."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from cohorts import Participants, load_participants
from cohorts.catalogue import SIMULATED
from cohorts.loader import read_participants
from cohorts.simulator import ENROLLED, PUBLIC_SEED, write_simulated


def simulated_sprint(participants: int | None = None, seed: int = PUBLIC_SEED) -> Participants:
    """SPRINT simulated with about so many complete participants, or as many as it has.

    Args:
        participants: how many.
        seed: of the simulation.
    """
    size = participants or _usual().schema.nominal_size
    with tempfile.TemporaryDirectory() as folder:
        write_simulated(Path(folder), round(size * ENROLLED / len(_usual())), seed)
        return read_participants(_usual().schema.model_copy(update={"nominal_size": size}), Path(folder))[0]


@cache
def _usual() -> Participants:
    """The public one; it is asked for its schema and its size by every other."""
    return load_participants(SIMULATED)[0]
