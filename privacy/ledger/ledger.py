"""The ledger of a cohort: what was read of its participants, by every study, written down before it was read.

The file belongs to the cohort and outlives its studies. It is bound to keyed fingerprints of the participants' ids
and of the schema; beside it lie the key that its chain is hashed with and the key that splits the participants. A
public cohort has nothing to protect, so its key follows from its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import dp_accounting

from cohorts import SPLITS, Cohort, Participants, Split, SplitShares, split_key
from cohorts.cohort import seal_key
from cohorts.split_keys import split_key_of
from privacy.accounting.budget import Budget
from privacy.errors import LedgerError, Misnamed
from privacy.ledger.charge import Charge, Purpose
from privacy.ledger.declaring import Proposal, drafted, require_room, require_same, require_same_division
from privacy.ledger.filter import Declaration, RenyiFilter
from privacy.ledger.hash_chain import Chain, create_chain, read_header
from privacy.ledger.identity import Binding
from privacy.ledger.journal import Journal
from privacy.ledger.people import LARGEST_OVERLAP, Bound, bind, known_elsewhere, overlaps, require_names
from privacy.ledger.places import a_folder, has_been, key_file, ledger_file, ledger_key, ledgers, missing
from privacy.ledger.reading import M, Reading
from privacy.ledger.receipt import Receipt
from privacy.mechanisms.mechanism import Exact


class Ledger(Journal):
    """An open ledger, and the doors to its cohort's participants.

    Args:
        chain: the file.
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.binding = self._books.bindings[-1] if self._books.bindings else None
        """Whose participants are charged: the last one that the file names, unless set; None if it names none."""

    @classmethod
    def for_cohort(
        cls,
        cohort: Cohort,
        file: Path | None = None,
        adopt: bool = False,
        shares: SplitShares | None = None,
        other_people: Sequence[str] = (),
        begin: bool = False,
        elsewhere: Sequence[Path] = (),
        study: str = "",
    ) -> Ledger:
        """A cohort's ledger; a public cohort's is begun where there is none.

        Args:
            cohort: whose participants; its ids are read for their fingerprint, and nothing else is.
            file: where; ``ledger_file`` by default.
            adopt: take over a ledger that was begun with other ids or another schema, because it is the same cohort,
                changed, or another description of the same participants. All its charges go on counting: as if
                participants had gone through those of the costliest split, since ids may be spelled anew.
            shares: of the splits that will be read; as before by default. Participants who were divided otherwise
                before count as if they had gone through the costliest split of each division.
            other_people: names of cohorts whose participants are others, as a person says, though their ledgers may
                know the same ids. These names are written down and every statement repeats them, whatever ids those
                ledgers know: what is published must not depend on it.
            begin: a private cohort's, too, because nothing was read of its participants before.
            elsewhere: ledgers outside the folders for ledgers that may know the same participants.
            study: that is gone on with, if any.

        Raises:
            LedgerError: when the ledger is missing, damaged, or another cohort's; or when another ledger, not of those
                named, knows the same participants. Nothing was begun.
            LedgerUnavailable: when its place cannot be used just now.
        """
        require_names(other_people)
        schema = cohort.schema
        file = file or ledger_file(schema)
        if file.is_dir():
            raise Misnamed(a_folder(file))
        had_key = key_file(file).exists()  # asked first: creation writes the key after the file
        if not file.exists() and (has_been(file) or not (begin or schema.public)):
            raise LedgerError(missing(schema.name, file))
        ids = _ids(cohort)
        beside = [] if schema.public else overlaps(ids, file, [*ledgers(), *elsewhere])
        others = [each for each in beside if each.share > LARGEST_OVERLAP and each.cohort not in other_people]
        if not had_key:
            if others:  # before anything is begun
                raise LedgerError(known_elsewhere(schema.name, others[0]))
            create_chain(file, {"cohort": schema.name, "public": schema.public}, keep_key=not schema.public)
        header = read_header(file)
        if header["public"] and not schema.public:
            raise LedgerError(
                f"The ledger {file} is a public cohort's ({header['cohort']}), and {schema.name} is private. Name "
                "another file, or restore the private cohort's ledger from a backup."
            )
        ledger = cls(Chain(file, ledger_key(header, key_file(file))))
        unexplained = [
            each for each in others if each.cohort not in ledger.told_apart and ledger.cohort not in each.told_apart
        ]
        if unexplained:
            raise LedgerError(known_elsewhere(schema.name, unexplained[0]))
        likewise = sorted(each.cohort for each in beside if ledger.cohort in each.told_apart)
        said = tuple(dict.fromkeys([*other_people, *likewise]))
        ledger.binding = bind(ledger, Bound(schema, ids, shares, said, study), adopt)
        return ledger

    @property
    def split_key(self) -> bytes:
        """What decides who is in which split: the ledger's, whatever the schema is called."""
        return split_key_of(self.cohort, self.public)

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
        proposal = Proposal(study, budget, planned or {}, policy, afresh)
        with self.lock, self.chain.alone():
            self.read_on()
            known = self._books.filters.get(study)
            if known and not afresh:
                require_same(known.declaration, proposal)
                return known.declaration
            if self._books.charged(study) and not afresh:
                raise LedgerError(
                    f"The study {study} read participants before it declared a budget. Give the new study another name."
                )
            declaration = drafted(self, self._required_binding(), proposal).declaration
            self.append("declaration", [declaration.fields()])
        self.read_on()
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
            return drafted(self, self._required_binding(), Proposal("draft", budget, planned or {}, afresh=afresh))

    def charge(self, charges: Charge | Sequence[Charge], receipt: Receipt | None = None) -> Receipt:
        """Write down what is about to be read; read only after this returns.

        A receipt lies beside the ledger from then on, so that entries that are taken away are missed.

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
        binding = self._required_binding()
        with self.lock:
            with self.chain.alone():
                self.read_on()
                self.require([receipt] if receipt else [])
                require_room(self, binding, charges)
                self.append("charge", [{**each.fields(), "split_key": binding.split_key} for each in charges])
            last = self.chain.count + len(charges)
            self.read_on()
            receipt = Receipt(last, self._books.entries[last - 1].hash)
        self._keep_receipt(receipt)
        return receipt

    def read(self, cohort: Cohort, mechanism: M, purpose: Purpose) -> Reading[M]:
        """The first door: write down what is about to be run on participants, then open them for that.

        Errors are those of ``charge``.
        """
        return self.read_together([cohort], mechanism, purpose)

    def read_together(self, cohorts: Sequence[Cohort], mechanism: M, purpose: Purpose) -> Reading[M]:
        """The same for several splits that a mechanism is run on as if they were one.

        Nobody is in two splits, so each is charged what the mechanism costs, at once or not at all.

        Raises:
            LedgerError: it costs nothing, or what ``charge`` raises; nobody was read.
        """
        if isinstance(mechanism.event, dp_accounting.NoOpDpEvent):
            raise LedgerError(f"{type(mechanism).__name__} costs nothing by its event, so it may read nobody.")
        receipt = self.charge([Charge.of(mechanism, each, purpose) for each in cohorts])
        return Reading(Participants.together([opened(each) for each in cohorts]), mechanism, receipt)

    def read_internally(self, cohort: Cohort, study: str, words: str) -> Reading[Exact]:
        """The second door: write down that the data steward looks at real participants, then open them.

        The receipt is the caller's to keep.

        Args:
            cohort: whom.
            study: whose steward looks.
            words: what for.
        """
        event = Exact().event
        receipt = self.charge([Charge(event, split, study, words, "", "internal", "internal") for split in SPLITS])
        return Reading(opened(cohort), Exact(), receipt)

    def require_same_division(self, study: str) -> None:
        """Raise LedgerError where participants are divided otherwise than when a study declared its budget."""
        require_same_division(self, self._required_binding(), study)

    def spent(self) -> dict[Split, dp_accounting.DpEvent | None]:
        """What each split's participants went through so far, as a study declared now would count it."""
        if self.binding is None:
            return dict.fromkeys(SPLITS)
        books, split_key_id = self.books, self.binding.split_key
        return {split: books.spent_event(split, split_key_id, books.since) for split in SPLITS}

    def left(self, study: str) -> dict[Split, float]:
        """Renyi divergence that a declared study may still spend on each split, at the declared orders."""
        counting = self.books.filters.get(study)
        if counting is None:
            raise LedgerError(f"The study {study} declared no budget in the ledger {self.file}.")
        return {split: counting.left(split) for split in SPLITS}

    def _required_binding(self) -> Binding:
        if self.binding is None:
            raise LedgerError(f"The ledger {self.file} is not bound to a cohort; open it for one first.")
        return self.binding


def opened(cohort: Cohort) -> Participants:
    """Participants, for what the ledger has written down before."""
    return cohort.unseal(seal_key(split_key(cohort.schema)))


def _ids(cohort: Cohort) -> list[str]:
    """Identifiers, of which only keyed fingerprints are kept."""
    return sorted(str(each) for each in opened(cohort).ids)
