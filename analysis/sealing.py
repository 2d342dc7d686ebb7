"""What a study drew, settled in a ledger that holds: its release, from what, and more participants beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.epochs import ScoredEpoch
from analysis.study import StudyDirectory, StudySettings
from privacy.errors import LedgerError
from privacy.ledger.commitment import Settled, digest_of
from privacy.ledger.ledger import Ledger
from privacy.ledger.receipt import Receipt, record_receipt
from privacy.ledger.secret_runs import SecretRuns
from privacy.ledger.study_record import RECEIPTS, check_record
from privacy.ledger.summary import Summary
from privacy.policies.bought import require_as_bought

SEALED: Settled = "release sealed"
PICKED: Settled = "epochs picked"  # those that the release was drawn from
DRAWN: Settled = "participants drawn"  # more of them, beside the release
STATED: Settled = "publication stated"  # another licence or citation of the sealed release


def verified_ledger(
    directory: StudyDirectory, settings: StudySettings, epochs: Sequence[ScoredEpoch]
) -> tuple[Summary, Ledger]:
    """The figures of the study's ledger, found whole in the cohort's own, and that one, open.

    Raises:
        LedgerError: a ledger is missing, damaged, or not what the study was told; or what the study bought or chose
            is not what the ledger knows.
    """
    receipts = [Receipt.parse(each.receipt) for each in epochs if each.receipt]
    checked = check_record(directory.path, settings.ledger, receipts)
    if checked.own_ledger is None:
        raise LedgerError(
            "The cohort's own ledger.db is not there, so it cannot be checked whether the study's copy in "
            f"{directory.path} is all that was read. Restore it from a backup, or build the release on the machine "
            "that has it."
        )
    ledger = Ledger.open(checked.own_ledger)
    try:
        require_as_bought(ledger, settings.study, directory.path)
        _require_as_chosen(ledger, settings.study, directory.winner)
    except LedgerError:
        ledger.close()
        raise
    return checked.summary, ledger


def _require_as_chosen(ledger: Ledger, study: str, winner: Path) -> None:
    """Raise LedgerError unless the best of a secret number of runs is the one that the study kept."""
    if not SecretRuns(ledger, study).has_kept(winner) and winner.is_dir():
        raise LedgerError(
            f"{winner} is there, and the ledger {ledger.file} does not know that the study {study} kept a run: the "
            "ledger is an older copy, or the folder is another study's. Restore the newest ledger from a backup."
        )


def is_sealed(directory: StudyDirectory, settings: StudySettings, ledger: Ledger) -> bool:
    """Whether the release there is the one that was drawn last, untouched but for what its publication says."""
    if not directory.release.is_dir():
        return False
    digest = digest_of(directory.release)
    stated = stated_digest(ledger, settings, digest)
    # Any of them: what is settled last may not have come to be written, if the power failed then.
    return ledger.settled(settings.study, SEALED, digest) or ledger.ever_settled(settings.study, STATED, stated)


def stated_digest(ledger: Ledger, settings: StudySettings, digest: str) -> str:
    """What is settled of a release that was relabelled: its digest, and of which of the study's releases it is."""
    return f"{len(ledger.books.settled(settings.study, SEALED))} {digest}"


def drawn_before(ledger: Ledger, study: str) -> int:
    """How often participants were drawn from what a study trained: releases, and more participants."""
    return sum(len(ledger.books.settled(study, what)) for what in (SEALED, DRAWN))


def seal(directory: StudyDirectory, settings: StudySettings, ledger: Ledger, digests: Mapping[Settled, str]) -> None:
    """Write down in the ledger what was drawn, and from what; the study keeps the receipts."""
    for what, digest in digests.items():
        record_receipt(directory.path / RECEIPTS, ledger.settle(settings.study, what, digest), ledger.cohort)
