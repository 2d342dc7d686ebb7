"""The ledger of a cohort: what was read of its participants, by every study, written down before it was read.

The file belongs to the cohort and outlives its studies. It is bound to keyed fingerprints of the participants' ids
and of the schema; beside it lie the key that its chain is hashed with and the key that splits the participants. A
public cohort has nothing to protect, so its key follows from its name.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dp_accounting

from cohorts import SPLITS, Cohort, Participants, Schema, Split, SplitShares, split_key
from cohorts.cohort import seal_key
from cohorts.splits import split_key_of
from cohorts.user_data import KEY_BYTES, user_data
from privacy.accounting.budget import Budget, best_order
from privacy.accounting.events import canonical_json
from privacy.errors import LedgerError
from privacy.ledger.charge import Charge, Purpose
from privacy.ledger.commitment import Commitment, Settled
from privacy.ledger.entries import Books, Entry
from privacy.ledger.filter import Declaration, RenyiFilter
from privacy.ledger.hash_chain import Chain, create_chain, key_file, read_header
from privacy.ledger.identity import LARGEST_OVERLAP, Binding, Overlap, ledgers, overlap
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt, read_receipts, record_receipt
from privacy.mechanisms.mechanism import Exact
from privacy.versions import installed_versions

PARTICIPANT_DIGITS = 16  # of a participant's fingerprint: enough to tell people apart, however many
PACKAGES = ("dpgan-tune", "dp-accounting", "opendp", "opacus", "torch")


def ledger_file(schema: Schema) -> Path:
    """Where a cohort's ledger is kept unless a person says otherwise: beside its split key."""
    return user_data() / "cohorts" / schema.name / "ledger.db"


class Ledger:
    """An open ledger. Several processes may have the same one open; their requests are taken in turn.

    Args:
        chain: the file.
        binding: whose participants are charged; the last one the file names, if left out.
    """

    def __init__(self, chain: Chain, binding: Binding | None = None) -> None:
        self.chain, self.lock = chain, threading.RLock()
        self._books = Books(chain.header["public"])
        self._read_on()
        self._binding = binding or (self._books.bindings[-1] if self._books.bindings else None)

    @classmethod
    def for_cohort(
        cls,
        cohort: Cohort,
        file: Path | None = None,
        adopt: bool = False,
        shares: SplitShares | None = None,
        other_people: bool = False,
    ) -> Ledger:
        """A cohort's ledger; a new one where there never was one.

        Args:
            cohort: whose participants; its ids are read for their fingerprint, and nothing else is.
            file: where; ``ledger_file`` by default.
            adopt: take over a ledger that was begun with other ids or another schema, because it is the same cohort,
                changed, or another description of the same participants. All its charges go on counting.
            shares: of the splits that will be read; as before by default. Participants who were divided otherwise
                before count as if they had gone through the costliest split of each division.
            other_people: another ledger knows the same ids, but a person says that they are other people's. It is
                written down, and every statement repeats it.

        Raises:
            LedgerError: when the ledger is missing though there was one, damaged, or another cohort's; or when another
                ledger knows the same participants.
        """
        schema = cohort.schema
        file = file or ledger_file(schema)
        had_key = key_file(file).exists()  # asked first: creation writes the key after the file
        if had_key and not file.exists():
            raise LedgerError(
                f"The ledger {file} is missing though its key is there: someone removed it. It records what was "
                "already read of the participants, so nothing may be read without it. Restore it from a backup."
            )
        others = others_who_know(_ids(cohort), file, schema.public)
        if not had_key:
            if others and not other_people:  # before anything is begun
                raise LedgerError(_known_elsewhere(schema.name, others[0]))
            create_chain(file, {"cohort": schema.name, "public": schema.public}, keep_key=not schema.public)
        header = read_header(file)
        if header["public"] and not schema.public:
            raise LedgerError(
                f"The ledger {file} is a public cohort's ({header['cohort']}), and {schema.name} is private. Name "
                "another file, or restore the private cohort's ledger from a backup."
            )
        ledger = cls(Chain(file, _key(header, key_file(file))))
        unexplained = [
            each for each in others if each.cohort not in ledger.told_apart and ledger.cohort not in each.told_apart
        ]
        if unexplained and not other_people:
            raise LedgerError(_known_elsewhere(schema.name, unexplained[0]))
        ledger._bind(cohort, adopt, shares, tuple(each.cohort for each in others))
        return ledger

    @classmethod
    def open(cls, file: Path, binding: Binding | None = None, read_only: bool = False) -> Ledger:
        """A ledger that exists.

        Args:
            file: where it lies.
            binding: whose participants are charged; the last one the file names, if left out.
            read_only: only to print, check or copy it.

        Raises:
            LedgerError: when it does not exist or is damaged.
        """
        header = read_header(file)
        places = [key_file(file)]
        if read_only:  # a copy in a study has no key of its own; nothing may be added to it
            places.append(key_file(user_data() / "cohorts" / header["cohort"] / "ledger.db"))
        return cls(Chain(file, _key(header, *places), read_only), binding)

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.chain.file

    @property
    def cohort(self) -> str:
        """Name of the cohort it was begun for."""
        return str(self.chain.header["cohort"])

    @property
    def public(self) -> bool:
        """Whether that cohort is public."""
        return bool(self.chain.header["public"])

    @property
    def split_key(self) -> bytes:
        """What decides who is in which split: the ledger's, whatever the schema is called."""
        return split_key_of(self.cohort, self.public)

    @property
    def binding(self) -> Binding | None:
        """Whose participants are charged; None in a ledger that was never bound."""
        return self._binding

    @property
    def books(self) -> Books:
        """What the entries say, those of other processes included."""
        with self.lock:
            self._read_on()
            return self._books

    @property
    def told_apart(self) -> frozenset[str]:
        """Cohorts whose participants are others than this ledger's, as a person said."""
        return frozenset(name for binding in self.books.bindings for name in binding.other_people)

    @property
    def receipt(self) -> Receipt | None:
        """Of the last entry; None in a ledger without entries."""
        return self.books.receipt

    @property
    def durable(self) -> bool:
        """Whether a charge is synced before it is acknowledged."""
        return self.chain.durable

    def declare(
        self,
        study: str,
        budget: Budget,
        planned: Mapping[Split, dp_accounting.DpEvent] | None = None,
        policy: str = "",
        afresh: bool = False,
    ) -> Declaration:
        """Declare a study's budget, before it reads anyone. A second call of the same study changes nothing.

        What other studies read before counts, so the budget is for everything up to this study's last reading. The
        order of each split is the one at which the plan fits most often; if participants were read before, it is the
        one first declared, because an order chosen after results are known is not covered.

        Args:
            study: its name.
            budget: what it will state.
            planned: what it means to run on each split.
            policy: how it searches, for the record.
            afresh: leave out everything before; for public cohorts only.

        Raises:
            LedgerError: when earlier studies leave no room, the study read or declared otherwise before, or a private
                cohort would start afresh.
        """
        if afresh and not self.public:
            raise LedgerError(
                f"The cohort {self.cohort} is private: what was read of its participants counts permanently. Declare a "
                "budget that covers it and leaves room for more."
            )
        with self.lock, self.chain.alone():
            self._read_on()
            known = self._books.filters.get(study)
            if known and not afresh:
                return self._same(known.declaration, budget, policy)
            if self._books.charged(study) and not afresh:
                raise LedgerError(
                    f"The study {study} read participants before it declared a budget. Give the new study another name."
                )
            declaration = self._draft(study, budget, planned or {}, policy, afresh).declaration
            self._append("declaration", [declaration.fields()])
        self._read_on()
        return declaration

    def draft(
        self,
        budget: Budget,
        planned: Mapping[Split, dp_accounting.DpEvent] | None = None,
        afresh: bool = False,
    ) -> RenyiFilter:
        """What ``declare`` would declare and leave, written nowhere: for planning.

        Raises:
            LedgerError: when earlier studies leave no room.
        """
        with self.lock:
            self._read_on()
            return self._draft("draft", budget, planned or {}, "", afresh)

    def charge(self, charges: Charge | Sequence[Charge], receipt: Receipt | None = None) -> Receipt:
        """Write down what is about to be read; read only after this returns.

        Several charges are written together or not at all. Charges of a study that declared a budget must fit in it;
        those of one that did not are written down and count for others.

        Args:
            charges: one or more.
            receipt: the last one the caller holds; the ledger must still contain it.

        Returns:
            Receipt of the last entry written.

        Raises:
            BudgetExhausted: nothing was charged and nothing may be read.
            LedgerError: the ledger is not what it should be; nothing may be read.
        """
        charges = [charges] if isinstance(charges, Charge) else list(charges)
        if not charges:
            raise LedgerError("There is nothing to charge; give at least one charge.")
        if self._binding is None:
            raise LedgerError(f"The ledger {self.file} is not bound to a cohort; open it for one first.")
        with self.lock:
            with self.chain.alone():
                self._read_on()
                self._require([receipt] if receipt else [])
                self._require_room(charges)
                self._append("charge", [{**each.fields(), "split_key": self._binding.split_key} for each in charges])
            last = self.chain.count + len(charges)
            self._read_on()
            return Receipt(last, self._books.entries[last - 1].hash)

    def read(self, cohort: Cohort, mechanism: M, purpose: Purpose) -> Reading[M]:
        """The first door: write down what is about to be run on participants, then open them for that.

        Errors are those of ``charge``.
        """
        return self.read_together([cohort], mechanism, purpose)

    def read_together(self, cohorts: Sequence[Cohort], mechanism: M, purpose: Purpose) -> Reading[M]:
        """The same for several splits that a mechanism is run on as if they were one.

        Nobody is in two splits, so each is charged what the mechanism costs, at once or not at all.
        """
        receipt = self.charge([Charge.of(mechanism, each, purpose) for each in cohorts])
        return Reading(Participants.together([opened(each) for each in cohorts]), mechanism, receipt)

    def read_internally(self, cohort: Cohort, study: str, words: str) -> Reading[Exact]:
        """The second door: write down that the data steward looks at real participants, then open them.

        The receipt lies beside the ledger, so that entries that are taken away are missed, and is the caller's to keep.

        Args:
            cohort: whom.
            study: whose steward looks.
            words: what for.
        """
        event = Exact().event
        receipt = self.charge([Charge(event, split, study, words, "", "internal", "internal") for split in SPLITS])
        self._keep_receipt(receipt)
        return Reading(opened(cohort), Exact(), receipt)

    def settle(self, study: str, what: Settled, digest: str) -> Receipt:
        """Write down something that the study settles; its digest is kept under the ledger's key."""
        with self.lock, self.chain.alone():
            self.append_settled(study, what, digest)
        return self.catch_up()

    def append_settled(self, study: str, what: Settled, digest: str) -> None:
        """``settle`` as a part of what is written together inside ``chain.alone``; call ``catch_up`` after that."""
        self._read_on()
        self._append("commitment", [Commitment(study, what, self.chain.fingerprint([what, digest])).fields()])

    def catch_up(self) -> Receipt:
        """Read what was written, and keep a receipt of it beside the ledger."""
        with self.lock:
            self._read_on()
            receipt = self._books.receipt
        assert receipt is not None
        self._keep_receipt(receipt)
        return receipt

    def settled(self, study: str, what: Settled, digest: str) -> bool:
        """Whether this is what the study settled last."""
        found = self.books.settled(study, what)
        return bool(found) and found[-1] == self.chain.fingerprint([what, digest])

    def spent(self) -> dict[Split, dp_accounting.DpEvent | None]:
        """What each split's participants went through so far, as a study declared now would count it."""
        binding = self._binding
        if binding is None:
            return dict.fromkeys(SPLITS)
        books = self.books
        return {split: books.spent_event(split, binding.split_key, books.since) for split in SPLITS}

    def left(self, study: str) -> dict[Split, float]:
        """Renyi divergence that a declared study may still spend on each split, at the declared orders."""
        counting = self.books.filters.get(study)
        if counting is None:
            raise LedgerError(f"The study {study} declared no budget in the ledger {self.file}.")
        return {split: counting.left(split) for split in SPLITS}

    def verify(self, receipts: Iterable[Receipt] = ()) -> None:
        """Read the whole file again and check everything that can be.

        Args:
            receipts: what trials, studies and releases were told.

        Raises:
            LedgerError: for a broken chain, a receipt that is not found, or an overspent budget.
        """
        with self.lock:
            self.chain.rewind()
            self._books = Books(self.public)
            self._read_on()
            self._require([*receipts, *self._own_receipts()])
            if self._books.faults:
                raise LedgerError(
                    f"The ledger {self.file} is whole, but {'; '.join(self._books.faults)}. Release nothing from it; "
                    "find out which program wrote these entries."
                )

    def copy_to(self, target: Path) -> None:
        """Write a copy into one file, whole or not at all."""
        with self.lock:
            self.chain.copy_to(target)

    def close(self) -> None:
        """Let go of the file."""
        self.chain.close()

    def _read_on(self) -> None:
        try:
            for row in self.chain.new_rows():
                self._books.take(Entry.from_row(row))
        except LedgerError:  # a row that was not taken in must be met again, not skipped
            self.chain.rewind()
            self._books = Books(self.public)
            raise

    def _append(self, kind: str, contents: Sequence[dict[str, Any]]) -> None:
        common = {
            "kind": kind,
            "time": datetime.now(UTC).isoformat(timespec="microseconds"),
            "versions": installed_versions(PACKAGES),
        }
        self.chain.append([canonical_json({**content, **common}) for content in contents])

    def _keep_receipt(self, receipt: Receipt) -> None:
        record_receipt(receipts_file(self.file), receipt)

    def _own_receipts(self) -> tuple[Receipt, ...]:
        file = receipts_file(self.file)
        return read_receipts(file) if file.exists() else ()

    def _bind(self, cohort: Cohort, adopt: bool, shares: SplitShares | None, other_people: tuple[str, ...]) -> None:
        divided, ids = self._divided(shares), _ids(cohort)
        schema = cohort.schema.of_the_trial.model_dump(mode="json", exclude_defaults=True)
        binding = Binding(
            ids=self.chain.fingerprint(["ids", *ids]),
            schema=self.chain.fingerprint(["schema", schema]),
            split_key=self.chain.fingerprint(["split key", self.split_key.hex(), *divided]),
            shares=divided,
            other_people=other_people,
        )
        with self.lock, self.chain.alone():
            self._read_on()
            known = self._books.bindings
            if known and not adopt and (binding.ids, binding.schema) not in {(each.ids, each.schema) for each in known}:
                other = "other participants" if all(each.ids != binding.ids for each in known) else "another schema"
                raise LedgerError(
                    f"The ledger {self.file} was begun for the cohort {self.cohort} with {other}. If this is another "
                    "cohort, give it another name or another ledger. If it is the same cohort, changed, adopt the "
                    "ledger (--adopt-ledger): what was read before still counts."
                )
            self.chain.remember(self.fingerprints(ids))
            if binding not in known:
                self._append("binding", [asdict(binding)])
        self._read_on()
        self._binding = binding

    def share_known(self, ids: Sequence[str]) -> float:
        """How many of some participants this ledger knows, of the smaller number; all or none in one of version 0.1."""
        everybody = self.chain.fingerprint(["ids", *ids])
        if any(everybody == binding.ids for binding in self.books.bindings):
            return 1.0
        return overlap(self.chain.participants, self.fingerprints(ids))

    def fingerprints(self, ids: Sequence[str]) -> list[str]:
        """Each participant's own, under this ledger's key."""
        return [self.chain.fingerprint(["participant", each])[:PARTICIPANT_DIGITS] for each in ids]

    def _divided(self, shares: SplitShares | None) -> tuple[float, float, float]:
        if shares is None and self._books.bindings:
            return self._books.bindings[-1].shares
        shares = shares or SplitShares()
        return shares.train, shares.validation, shares.test

    def _draft(
        self, study: str, budget: Budget, planned: Mapping[Split, dp_accounting.DpEvent], policy: str, afresh: bool
    ) -> RenyiFilter:
        if self._binding is None:
            raise LedgerError(f"The ledger {self.file} is not bound to a cohort; open it for one first.")
        books, split_key_id = self._books, self._binding.split_key
        since = len(books.entries) if afresh else books.since
        orders: dict[Split, float] = {}
        for split in SPLITS:
            spent = books.spent_event(split, split_key_id, since)
            orders[split] = books.inherited_order(split, since) or best_order(budget, planned.get(split), spent)
        allowances = {split: budget.allowance(order) for split, order in orders.items()}
        declaration = Declaration(study, budget, orders, allowances, split_key_id, since, policy)
        counting = books.filter_of(declaration)
        full = [split for split in SPLITS if counting.left(split) <= 0]
        if full:
            spent_on = ", ".join(f"{counting.epsilon(split):.4g} on {split}" for split in SPLITS)
            raise LedgerError(
                f"Earlier studies of the cohort {self.cohort} leave no room for epsilon {budget.epsilon:g} (delta "
                f"{budget.delta:g}): epsilon {spent_on} has already been spent. Declare a larger epsilon, which will "
                "cover those studies too" + (", or start afresh, as a public cohort may." if self.public else ".")
            )
        return counting

    def _same(self, declaration: Declaration, budget: Budget, policy: str) -> Declaration:
        if (declaration.budget, declaration.policy) != (budget, policy):
            raise LedgerError(
                f"The study {declaration.study} declared epsilon {declaration.budget.epsilon:g}, delta "
                f"{declaration.budget.delta:g} and the policy {declaration.policy or 'none'} before its first reading, "
                "and cannot change them now. Keep to these, or begin a study under another name."
            )
        return declaration

    def _require_room(self, charges: Sequence[Charge]) -> None:
        assert self._binding is not None
        for study in {charge.study for charge in charges}:
            counting = self._books.filters.get(study)
            if counting is None:
                continue
            if counting.declaration.split_key != self._binding.split_key:
                raise LedgerError(
                    f"The study {study} declared its budget under another split key, so its participants would now "
                    "fall into different splits. Restore the split key from a backup, or begin a new study."
                )
            counting.require(charge for charge in charges if charge.study == study)

    def _require(self, receipts: Iterable[Receipt]) -> None:
        entries = self._books.entries
        for receipt in receipts:
            if receipt.count > len(entries):
                raise LedgerError(
                    f"The ledger {self.file} has {len(entries)} entries, but there is a receipt for {receipt.count}: "
                    "it was rolled back to an older copy, or its last entries were removed. Restore the newest copy."
                )
            if entries[receipt.count - 1].hash != receipt.head:
                raise LedgerError(
                    f"Entry {receipt.count} of the ledger {self.file} is not the one a receipt names: the file was "
                    "rolled back and then added to, or it is another cohort's. Restore the newest copy from a backup."
                )


def receipts_file(file: Path) -> Path:
    """Where a ledger's receipts of internal readings and of what was settled are kept: beside it."""
    return file.with_name(file.name + ".receipts")


def opened(cohort: Cohort) -> Participants:
    """Participants, for what the ledger has written down before."""
    return cohort.unseal(seal_key(split_key(cohort.schema)))


def others_who_know(ids: Sequence[str], file: Path, public: bool) -> list[Overlap]:
    """Other private ledgers of the data directory that know more of these participants than chance would have.

    Args:
        ids: of the participants.
        file: their own ledger.
        public: whether they are a public cohort's, who have nothing to lose.
    """
    found = []
    for other in [] if public else [each for each in ledgers() if each.resolve() != file.resolve()]:
        ledger = Ledger.open(other, read_only=True)
        share = 0.0 if ledger.public else ledger.share_known(ids)
        if share > LARGEST_OVERLAP:
            found.append(Overlap(ledger.cohort, other, share, ledger.told_apart))
        ledger.close()
    return found


def _ids(cohort: Cohort) -> list[str]:
    """Identifiers, of which only keyed fingerprints are kept."""
    return sorted(str(each) for each in opened(cohort).ids)


def _known_elsewhere(name: str, first: Overlap) -> str:
    return (
        f"{first.share:.0%} of the participants of the cohort {name} are known to the ledger of the cohort "
        f"{first.cohort}, and a budget belongs to people, not to names. If they are the same people (one trial "
        f"described twice, with two labels, say), their ledger still counts: give --ledger {first.file} "
        "--adopt-ledger. If they only have the same identifiers, say so with --other-people, which every statement "
        "will repeat."
    )


def _key(header: Mapping[str, Any], *places: Path) -> bytes:
    """The key of a ledger: in the first of some places that has one, or made from a public cohort's name."""
    if header["public"]:
        name = f"dpgan-tune ledger of the public cohort {header['cohort']}"
        return hashlib.blake2b(name.encode(), digest_size=KEY_BYTES).digest()
    place = next((each for each in places if each.exists()), None)
    key = place.read_bytes() if place else b""
    if len(key) != KEY_BYTES:
        raise LedgerError(
            f"The key of the cohort {header['cohort']}'s ledger is {'damaged' if place else 'missing'}: it should be "
            f"{KEY_BYTES} bytes in {place or places[0]}. Without it there is no telling whether the ledger was edited, "
            "and nothing can be added. Restore it from a backup."
        )
    return key
