"""Whose ledger it is, as its entries say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Binding:
    """Whose ledger it is.

    Args:
        ids: keyed fingerprint of the participants' ids.
        schema: keyed fingerprint of the schema.
        split_key: keyed fingerprint of what decides who is in which split: the key, the shares of the splits, and how
            ids may be spelled (``generation``).
        shares: expected shares of participants in training, validation and test.
        other_people: cohorts whose participants are others, as a person said, whether or not any ids are the same.
        generation: how many times before the ledger was adopted, so that the same people may have changed splits.
    """

    ids: str
    schema: str
    split_key: str
    shares: tuple[float, float, float]
    other_people: tuple[str, ...] = ()
    generation: int = 0
