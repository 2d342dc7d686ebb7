"""Participants into train, validation and test, by a keyed hash of their id.

A participant's place depends on their id and the key alone, so adding or removing others moves nobody, and every
study of a cohort that uses the same key splits it the same way: privacy charges then add up per participant.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cohorts.cohort import SPLITS, Cohort, seal_key
from cohorts.participants import Participants
from cohorts.split_keys import split_key


class SplitShares(BaseModel):
    """Expected shares of participants; public."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: float = Field(default=0.75, gt=0, lt=1)
    validation: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.10, gt=0, lt=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitShares:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("the shares of train, validation and test must sum to 1")
        return self


class Splits(NamedTuple):
    """Three disjoint cohorts that together are the whole."""

    train: Cohort
    validation: Cohort
    test: Cohort


class SplitParticipants(NamedTuple):
    """The same, open."""

    train: Participants
    validation: Participants
    test: Participants


def split_cohort(cohort: Cohort, key: bytes, shares: SplitShares | None = None) -> Splits:
    """Split a sealed cohort into sealed ones; see `split_participants`."""
    seal = seal_key(split_key(cohort.schema))
    parts = split_participants(cohort.unseal(seal), key, shares)
    return Splits(*(Cohort.seal(part, seal, split) for split, part in zip(SPLITS, parts, strict=True)))


def split_participants(cohort: Participants, key: bytes, shares: SplitShares | None = None) -> SplitParticipants:
    """Split participants.

    Args:
        cohort: whom to split.
        key: of the cohort's ledger; secret for a private cohort.
        shares: expected shares; 75 %, 15 % and 10 % by default.
    """
    shares = shares or SplitShares()
    position = keyed_positions(cohort.ids, key)  # (n,) in [0, 1)
    is_train = position < shares.train
    is_test = position >= shares.train + shares.validation
    return SplitParticipants(cohort.take(is_train), cohort.take(~is_train & ~is_test), cohort.take(is_test))


def keyed_positions(ids: np.ndarray, key: bytes) -> np.ndarray:
    """A number in [0, 1) for each id, uniform to anyone without the key: float64 (n,).

    Example:
        Whoever joins or leaves, the others stay where they are.

        >>> keyed_positions(np.array(["P1", "P2"]), b"key").round(2).tolist()
        [0.42, 0.48]
        >>> keyed_positions(np.array(["P0", "P2"]), b"key").round(2).tolist()
        [0.03, 0.48]
    """
    digests = (hashlib.blake2b(str(each).encode(), digest_size=8, key=key).digest() for each in ids)
    whole = np.array([int.from_bytes(digest, "big") >> 11 for digest in digests], dtype=np.uint64)  # 53 bits
    return whole.astype(np.float64) / 2**53
