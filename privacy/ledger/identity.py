"""Whose ledger it is, as its entries say."""

from __future__ import annotations

from dataclasses import dataclass


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
