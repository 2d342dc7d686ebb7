"""Copies of a release: as many synthetic cohorts, of which an analysis has one estimate and one interval that hold."""

from __future__ import annotations

import numpy as np
import torch

from analysis.study import StudyDirectory
from cohorts import Participants, Schema
from privacy.policies.on_measured import kept_measurements
from trainables.measured.copies import Copies


def draw_copies(
    directory: StudyDirectory, schema: Schema, count: int, randomness: torch.Generator
) -> tuple[Participants, ...]:
    """Copies drawn from what a study measured; none where it measured nothing.

    They do not depend on the search: to choose among copies by how they look would make intervals too narrow.

    Args:
        directory: the study.
        schema: of the cohort.
        count: how many.
        randomness: stream to draw from.
    """
    measured = kept_measurements(directory.path)
    if measured is None or not count:
        return ()
    seed = int(torch.randint(2**63 - 1, (), generator=randomness))
    copies = Copies(measured, schema, np.random.default_rng(seed))
    return tuple(copies.draw(schema.nominal_size) for _ in range(count))
