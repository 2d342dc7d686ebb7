"""The second door: real participants for the data steward alone, after the release is sealed."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.study import StudyDirectory, StudySettings
from cohorts import Participants, SplitParticipants, load_cohort, split_participants
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import record_receipt
from privacy.ledger.study_record import RECEIPTS


@dataclass(frozen=True)
class OpenedCohort:
    """Real participants. Sensitive.

    Args:
        everybody: all of them.
        splits: the same, as the study divided them.
    """

    everybody: Participants
    splits: SplitParticipants


def open_for_steward(directory: StudyDirectory, settings: StudySettings, purpose: str) -> OpenedCohort:
    """Write down that the data steward looks at real participants; later statements say so.

    Args:
        directory: of the study whose steward looks; it keeps the receipt.
        settings: what it was asked to do.
        purpose: what for.
    """
    cohort = load_cohort(settings.cohort, settings.data_dir)
    ledger = Ledger.for_cohort(
        cohort, settings.ledger, adopt=cohort.schema.public, shares=settings.shares, study=settings.study
    )
    try:
        reading = ledger.read_internally(cohort, settings.study, purpose)
        assert reading.receipt is not None
        record_receipt(directory.path / RECEIPTS, reading.receipt, ledger.cohort)
        people = reading.participants
        return OpenedCohort(people, split_participants(people, ledger.split_key, settings.shares))
    finally:
        ledger.close()
