"""Copies of a release: as many synthetic cohorts, of which an analysis has one estimate and one interval that hold."""

from __future__ import annotations

import numpy as np

from analysis.study import StudyDirectory, StudySettings
from cohorts import Participants, Schema
from privacy.policies.on_measured import kept_measurements
from trainables.measured.copies import Copies


def draw_copies(directory: StudyDirectory, settings: StudySettings, schema: Schema) -> tuple[Participants, ...]:
    """As many copies as a study was asked for, drawn from what it measured; none where it measured nothing.

    They do not depend on the search: whoever chose among copies by how they look would make intervals too narrow.
    """
    measured = kept_measurements(directory.path)
    if measured is None or not settings.copies:
        return ()
    copies = Copies(measured, schema, np.random.default_rng(settings.seed))
    return tuple(copies.draw(schema.nominal_size) for _ in range(settings.copies))
