"""Whether a study's release is the one that was drawn last, by a ledger that holds."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.epochs import ScoredEpoch
from analysis.study import StudyDirectory, StudySettings
from privacy.errors import LedgerError
from privacy.ledger.commitment import Settled, digest_of
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import Receipt
from privacy.ledger.study_record import check_record
from privacy.ledger.summary import Summary

SEALED: Settled = "release sealed"


def verified_ledger(
    directory: StudyDirectory, settings: StudySettings, epochs: Sequence[ScoredEpoch]
) -> tuple[Summary, Ledger]:
    """The figures of the study's ledger, found whole in the cohort's own, and that one, open.

    Raises:
        LedgerError: a ledger is missing, damaged, or not what the study was told.
    """
    receipts = [Receipt.parse(each.receipt) for each in epochs if each.receipt]
    checked = check_record(directory.path, settings.ledger, receipts)
    if checked.own_ledger is None:
        raise LedgerError(
            "The cohort's own ledger.db is not there, so it cannot be checked whether the study's copy in "
            f"{directory.path} is all that was read. Restore it from a backup, or build the release on the machine "
            "that has it."
        )
    return checked.summary, Ledger.open(checked.own_ledger)


def is_sealed(directory: StudyDirectory, settings: StudySettings, ledger: Ledger) -> bool:
    """Whether the release there is the one that was drawn last, untouched."""
    return directory.release.is_dir() and ledger.settled(settings.study, SEALED, digest_of(directory.release))
