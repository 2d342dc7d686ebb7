"""What a budget will let be seen, before anything is spent: measured of people who are made up, read from nobody.

They are as many as the schema says will be measured. Each number is normal in the middle of its limits (its standard
deviation a sixth of them apart), categories are equally frequent, and nothing goes with anything else. Noise, copies
and gate are those of a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from analysis.quality.by_copies import figures
from analysis.quality.estimates import Quantity
from analysis.quality.gate import Quality, judge
from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.labels import labels_by_shares, shares_of_classes
from privacy.mechanisms.measurements import Measurements
from trainables.generators import numbered_ids
from trainables.measured.copies import Copies

COPIES = 4
SPREAD = 1 / 6
"""Standard deviation of a number that is made up, in ranges of its measure."""


@dataclass(frozen=True)
class Foreseen:
    """What a study could tell of so many people.

    Args:
        widths: of intervals that copies give, in widths of the trial's own, by kind of figure.
        quality: what the gate found of a release without a fault; its ``sight`` is from where on it finds others.
    """

    widths: Mapping[Quantity, float]
    quality: Quality

    @classmethod
    def of(cls, mechanism: Measurements, participants: int) -> Foreseen:
        """Measure made-up people, and make a release and copies of what was measured.

        Args:
            mechanism: the study's.
            participants: how many will be measured; public.
        """
        schema, randomness = mechanism.schema, np.random.default_rng(0)
        people = made_up(schema, participants, randomness)
        measured = mechanism.release(people.values, people.labels)
        copies = Copies(measured, schema, randomness)
        drawn = [copies.draw(schema.nominal_size) for _ in range(COPIES)]
        return cls(_widths(drawn), judge(measured, drawn[0]))


def made_up(schema: Schema, participants: int, randomness: np.random.Generator) -> Participants:
    """People who never lived, without a missing value."""
    encoding = Encoding(schema)
    cells = encoding.cells
    places = np.clip(randomness.normal(0.5, SPREAD, (participants, len(cells))), 0, 1)  # (n, C)
    equally = [cell.measure.discrete or bool(cell.stretches) for cell in cells]
    places[:, equally] = randomness.random((participants, sum(equally)))
    places[:, encoding.attendance] = 1
    labels = labels_by_shares(shares_of_classes(schema), participants, randomness)
    return Participants(schema, numbered_ids(participants), labels, encoding.at_positions(places))


def _widths(copies: list[Participants]) -> dict[Quantity, float]:
    """By kind of figure, what noise makes of an interval's width."""
    columns = ("measure", "visit", "quantity", "category", "group", "estimate", "error")
    table = pd.DataFrame([(*key, *figure) for each in copies for key, *figure in figures(each)], columns=columns)
    each = table[table["error"] > 0].groupby(list(columns[:5]), sort=False)
    noise, own = (1 + 1 / COPIES) * each["estimate"].var(), each["error"].apply(lambda error: np.square(error).mean())
    wider = np.sqrt(1 + (noise / own).groupby("quantity", sort=False).mean())
    return {kind: float(wider[kind]) for kind in get_args(Quantity) if kind in wider.index}
