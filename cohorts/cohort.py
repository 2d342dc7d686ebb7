"""A handle on real participants that shows nothing of them."""

from __future__ import annotations

import hashlib
import pickle
from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken

from cohorts.errors import CohortError
from cohorts.participants import Participants
from cohorts.schema import Schema


class Cohort:
    """A trial's participants, sealed. Only the schema can be read, in this process and in every other.

    The participants are enciphered, so there is no array or buffer to come by, and a copy or a pickle is as blind as
    the handle. The seal's key follows from the cohort's split key, which stays with the cohort's ledger: the ledger
    opens a cohort after it has written down what for (``Ledger.read``), and nothing else does.

    Args:
        schema: what is public about the cohort.
        sealed: from ``seal``.
    """

    __slots__ = ("_sealed", "schema")

    def __init__(self, schema: Schema, sealed: bytes) -> None:
        self.schema, self._sealed = schema, sealed

    def __repr__(self) -> str:
        """The name alone, so that a log line discloses nothing."""
        return f"Cohort({self.schema.name!r})"

    @classmethod
    def seal(cls, participants: Participants, key: bytes) -> Cohort:
        """Close participants away.

        Args:
            participants: whom.
            key: from ``seal_key``.
        """
        content = (participants.ids, participants.labels, participants.values, participants.report)
        return cls(participants.schema, Fernet(key).encrypt(pickle.dumps(content)))

    @classmethod
    def closed(cls, participants: Participants, split_key: bytes) -> Cohort:
        """``seal`` under the seal key of a split key."""
        return cls.seal(participants, seal_key(split_key))

    def unseal(self, key: bytes) -> Participants:
        """The participants: for the two doors alone, which have charged for it.

        Raises:
            CohortError: the key is another cohort's.
        """
        try:
            content = pickle.loads(Fernet(key).decrypt(self._sealed))  # whole and ours: Fernet authenticates it
        except InvalidToken:
            raise CohortError(
                f"The participants of {self.schema.name} were sealed under another split key, so they cannot be opened "
                "with this one. Run the study on the machine, and as the user, that the cohort's split key belongs to."
            ) from None
        ids, labels, values, report = content
        return Participants(self.schema, ids, labels, values, report)


def seal_key(split_key: bytes) -> bytes:
    """The key of a cohort's seal, which follows from its split key."""
    return urlsafe_b64encode(hashlib.blake2b(b"seal of a cohort", key=split_key, digest_size=32).digest())
