"""Whose ledger it is: keyed fingerprints of participants, and whether other ledgers know the same people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cohorts.user_data import user_data

LARGEST_OVERLAP = 0.1
"""More participants in common with another cohort than this share are hardly a coincidence."""


@dataclass(frozen=True)
class Binding:
    """Whose ledger it is.

    Args:
        ids: keyed fingerprint of the participants' ids.
        schema: keyed fingerprint of the schema.
        split_key: keyed fingerprint of what decides who is in which split: the key, and the shares of the splits.
        shares: expected shares of participants in training, validation and test.
        other_people: cohorts whose ledgers know the same ids, and whose participants are others, as a person said.
    """

    ids: str
    schema: str
    split_key: str
    shares: tuple[float, float, float]
    other_people: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overlap:
    """Another ledger that knows some of a cohort's participants.

    Args:
        cohort: its name.
        file: where it lies.
        share: of the smaller cohort's participants that are in both, by their ids.
        told_apart: cohorts whose participants are others than its own, as a person said.
    """

    cohort: str
    file: Path
    share: float
    told_apart: frozenset[str]


def ledgers() -> list[Path]:
    """Every ledger in the data directory."""
    return sorted((user_data() / "cohorts").glob("*/ledger.db"))


def overlap(known: Iterable[str], ours: Sequence[str]) -> float:
    """Share of the smaller of two sets of fingerprints that is in the other, too."""
    others, own = set(known), set(ours)
    return len(others & own) / min(len(others), len(own)) if others and own else 0.0
