"""A handle on real participants that shows nothing of them."""

from __future__ import annotations

import hashlib
import pickle
from base64 import urlsafe_b64encode
from typing import Literal, get_args

from cryptography.fernet import Fernet, InvalidToken

from cohorts.errors import CohortError
from cohorts.participants import Participants
from cohorts.schema import Schema

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

SEALED_BYTES = 2**16
"""What is sealed is made a multiple of it, so that how long it is hardly tells how many participants there are."""


class Cohort:
    """A trial's participants, or one split of them, sealed. Only the schema and which split it is can be read, in this
    process and in every other.

    The participants are enciphered, so there is no array or buffer to come by, and a copy or a pickle is as blind as
    the handle. The seal's key follows from the cohort's split key, which stays with the cohort's ledger: the ledger
    opens a cohort after it has written down what for (``Ledger.read``), and nothing else does.

    Args:
        schema: what is public about the cohort.
        sealed: from ``seal``.
        split: which split's participants they are; None for everybody. What is read of them is charged to it.
    """

    __slots__ = ("_sealed", "schema", "split")

    def __init__(self, schema: Schema, sealed: bytes, split: Split | None = None) -> None:
        self.schema, self._sealed, self.split = schema, sealed, split

    def __repr__(self) -> str:
        """The name alone, so that a log line discloses nothing."""
        return f"Cohort({self.schema.name!r})"

    @classmethod
    def seal(cls, participants: Participants, key: bytes, split: Split | None = None) -> Cohort:
        """Close participants away.

        Args:
            participants: whom.
            key: from ``seal_key``.
            split: which split they are.
        """
        content = (split, participants.ids, participants.labels, participants.values, participants.report)
        pickled = pickle.dumps(content)
        padded = pickled + bytes(-len(pickled) % SEALED_BYTES)  # unpickling ends where the pickle does
        return cls(participants.schema, Fernet(key).encrypt(padded), split)

    @classmethod
    def closed(cls, participants: Participants, split_key: bytes, split: Split | None = None) -> Cohort:
        """``seal`` under the seal key of a split key."""
        return cls.seal(participants, seal_key(split_key), split)

    def unseal(self, key: bytes) -> Participants:
        """The participants: for the two doors alone, which have charged for it.

        Raises:
            CohortError: the key is another cohort's, or the handle says another split than was sealed.
        """
        try:
            content = pickle.loads(Fernet(key).decrypt(self._sealed))  # whole and ours: Fernet authenticates it
        except InvalidToken:
            raise CohortError(
                f"The participants of {self.schema.name} were sealed under another split key, so they cannot be opened "
                "with this one. Run the study on the machine that has the cohort's split key, as the user who owns it."
            ) from None
        split, ids, labels, values, report = content
        if split != self.split:
            raise CohortError(f"These participants of {self.schema.name} are not those of the split {self.split}.")
        return Participants(self.schema, ids, labels, values, report)


def seal_key(split_key: bytes) -> bytes:
    """The key of a cohort's seal, which follows from its split key."""
    return urlsafe_b64encode(hashlib.blake2b(b"seal of a cohort", key=split_key, digest_size=32).digest())
