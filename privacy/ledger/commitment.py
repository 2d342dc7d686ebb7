"""What a study settles once and keeps to: a draw that must not be repeated, a choice, a sealed release.

The ledger keeps a keyed hash of it. Whoever loses or replaces what was settled cannot have it drawn again unseen.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from privacy.errors import LedgerError

Settled = Literal[
    "statistics bought",
    "runs drawn",
    "winner kept",
    "epochs picked",
    "release sealed",
    "participants drawn",
    "publication stated",
]


@dataclass(frozen=True)
class Commitment:
    """One thing that a study settled.

    Args:
        study: its name.
        what: was settled.
        digest: hexadecimal, of what was settled.
    """

    study: str
    what: Settled
    digest: str

    def __post_init__(self) -> None:
        if self.what not in get_args(Settled) or not self.study or not self.digest:
            raise LedgerError(f"{self.what!r} of the study {self.study!r} is not something that a ledger keeps.")

    def fields(self) -> dict[str, Any]:
        """The commitment as plain values that JSON knows."""
        return asdict(self)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Commitment:
        """The commitment that ``fields`` took apart; further keys are left alone."""
        return cls(fields["study"], fields["what"], fields["digest"])


def digest_of(folder: Path) -> str:
    """SHA-256 of every file's name and content in a folder."""
    total = hashlib.sha256()
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = file.relative_to(folder).as_posix().encode()
        total.update(len(name).to_bytes(8, "big") + name + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
