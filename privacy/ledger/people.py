"""Who a ledger's participants are: keyed fingerprints, by which two ledgers are found to know the same people."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cohorts import Schema, SplitShares
from cohorts.split_keys import keep_split_key, split_key_of
from privacy.errors import LedgerError
from privacy.ledger.hash_chain import COHORT_NAME
from privacy.ledger.identity import Binding
from privacy.ledger.journal import Journal
from privacy.ledger.places import key_file

LARGEST_OVERLAP = 0.1
"""More participants in common with another cohort than this share are hardly a coincidence."""

PARTICIPANT_DIGITS = 16  # of a participant's fingerprint: enough to tell people apart, however many


@dataclass(frozen=True)
class Overlap:
    """Another ledger, which may know some of a cohort's participants.

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


@dataclass(frozen=True)
class Bound:
    """What a cohort is to be bound to its ledger with.

    Args:
        schema: of the cohort.
        ids: of its participants, of which only keyed fingerprints are kept.
        shares: of the splits that will be read; as before if None.
        other_people: cohorts whose participants are others, as a person said, whether or not any ids are the same.
        study: that is gone on with, if any.
    """

    schema: Schema
    ids: Sequence[str]
    shares: SplitShares | None
    other_people: tuple[str, ...]
    study: str = ""


def bind(journal: Journal, bound: Bound, adopt: bool) -> Binding:
    """Write down whose ledger it is from now on, also where it was theirs before.

    Statements publish how many entries a ledger has. Were one written for new ids alone, that number would tell whether
    the ids are the same, exactly and unpaid.

    Args:
        journal: of the ledger.
        bound: whose it is.
        adopt: whether it may have been other ids' or another schema's before.

    Raises:
        LedgerError: it was, and may not have been.
    """
    keep_split_key(bound.schema.name, bound.schema.public)  # which seals them
    keep_split_key(journal.cohort, journal.public)  # which divides them
    with journal.lock, journal.chain.alone():
        known, binding = journal.books.bindings, _binding(journal, bound, adopt)
        if known and not adopt and (binding.ids, binding.schema) not in {(each.ids, each.schema) for each in known}:
            other = "other participants" if all(each.ids != binding.ids for each in known) else "another schema"
            raise LedgerError(
                f"The ledger {journal.file} was begun for the cohort {journal.cohort} with {other}. If it is the same "
                "cohort, changed (somebody withdrew, say, or identifiers are spelled otherwise), adopt the ledger "
                "(--adopt-ledger): what was read before still counts. If this is another cohort, give it another name "
                "or another ledger."
            )
        journal.chain.remember(fingerprints(journal, bound.ids))
        journal.append("binding", [asdict(binding)])
    journal.read_on()
    return binding


def _binding(journal: Journal, bound: Bound, adopt: bool) -> Binding:
    fingerprint, divided = journal.chain.fingerprint, _divided(journal, bound.shares)
    ids, schema = _identity(journal, bound)
    generation = generation_of(journal, bound, adopt)
    anew = [generation] if generation else []  # none at first, as in ledgers that count no generations
    return Binding(
        ids=ids,
        schema=schema,
        split_key=fingerprint(["split key", split_key_of(journal.cohort, journal.public).hex(), *divided, *anew]),
        shares=divided,
        other_people=bound.other_people,
        generation=generation,
    )


def generation_of(journal: Journal, bound: Bound, adopt: bool) -> int:
    """Which division of a ledger's participants a cohort belongs to: the first, one since, or a new one.

    Who is in which split follows from the id. Where a ledger is adopted ids may be spelled anew, which divides people
    anew, so what they went through in any split before must count in every split. Whether ids are spelled anew could be
    read off them, but exactly and unpaid, and statements publish what counts in which split. So every adoption is a new
    division, whoever takes part; whoever is bound without one is bound as before.

    Args:
        journal: of the ledger.
        bound: whose it is. A study that has declared its budget keeps the division that it declared it for.
        adopt: whether it may have been other ids' or another schema's before.
    """
    bindings, identity = journal.books.bindings, _identity(journal, bound)
    if not bindings:
        return 0
    same = [each for each in bindings if (each.ids, each.schema) == identity]
    if not same or (adopt and not journal.public):
        return 1 + max(each.generation for each in bindings)
    counting = journal.books.filters.get(bound.study)
    declared = [each for each in same if counting and each.split_key == counting.declaration.split_key]
    return (declared or same)[-1].generation


def _identity(journal: Journal, bound: Bound) -> tuple[str, str]:
    """Keyed fingerprints of the participants' ids and of the schema."""
    schema = bound.schema.of_the_trial.model_dump(mode="json", exclude_defaults=True)
    return journal.chain.fingerprint(["ids", *bound.ids]), journal.chain.fingerprint(["schema", schema])


def fingerprints(journal: Journal, ids: Sequence[str]) -> list[str]:
    """Each participant's own, under a ledger's key."""
    return [journal.chain.fingerprint(["participant", each])[:PARTICIPANT_DIGITS] for each in ids]


def share_known(journal: Journal, ids: Sequence[str]) -> float:
    """How many of some participants a ledger knows, of the smaller number; all or none in one of version 0.1."""
    everybody = journal.chain.fingerprint(["ids", *ids])
    if any(everybody == binding.ids for binding in journal.books.bindings):
        return 1.0
    return _share(journal.chain.participants, set(fingerprints(journal, ids)))


def _share(known: set[str], ours: set[str]) -> float:
    return len(known & ours) / min(len(known), len(ours)) if known and ours else 0.0


def overlaps(ids: Sequence[str], file: Path, among: Iterable[Path]) -> list[Overlap]:
    """Other ledgers beside a cohort's own, and how many of its participants those of private cohorts know.

    Args:
        ids: of the participants.
        file: their own ledger.
        among: where to look.
    """
    found = []
    for other in {each.resolve(): each for each in among if each.resolve() != file.resolve()}.values():
        with contextlib.closing(Journal.open(other, read_only=True)) as ledger:
            share = 0.0 if ledger.public or is_older_copy(ledger, file) else share_known(ledger, ids)
            found.append(Overlap(ledger.cohort, other, share, ledger.told_apart))
    return found


def require_names(other_people: Iterable[str]) -> None:
    """Raise LedgerError where what was declared to be others cannot be a cohort's name."""
    wrong = next((name for name in other_people if not COHORT_NAME.fullmatch(name)), None)
    if wrong is not None:
        raise LedgerError(
            f"--other-people {wrong[:120]!r} cannot be a cohort's name. Use letters, digits, dots, dashes and "
            "underscores, beginning with a letter or a digit, as the other cohort's schema has it."
        )


def is_older_copy(ledger: Journal, file: Path) -> bool:
    """Whether another file holds all that a ledger does: after a move to another folder, say."""
    mine, its = key_file(ledger.file), key_file(file)
    if not (file.exists() and mine.exists() and its.exists() and mine.read_bytes() == its.read_bytes()):
        return False
    with contextlib.closing(Journal.open(file, read_only=True)) as newer:
        try:
            newer.require([ledger.receipt] if ledger.receipt else [])
        except LedgerError:
            return False
    return True


def known_elsewhere(name: str, first: Overlap) -> str:
    """What is to be said of people whom another ledger knows."""
    return (
        f"{first.share:.0%} of the participants of the cohort {name} are known to the ledger of the cohort "
        f"{first.cohort}, and a budget belongs to people, not to names. If they are the same people (one trial "
        f"described twice, with two labels, say), their ledger still counts: give --ledger {first.file} "
        f"--adopt-ledger. If they only have the same identifiers, say so with --other-people {first.cohort}, which "
        "every statement will repeat."
    )


def _divided(journal: Journal, shares: SplitShares | None) -> tuple[float, float, float]:
    if shares is None and journal.books.bindings:
        return journal.books.bindings[-1].shares
    shares = shares or SplitShares()
    return shares.train, shares.validation, shares.test
