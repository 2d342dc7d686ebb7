"""What a study may declare, given what its participants went through before, and what then still fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dp_accounting

from cohorts import SPLITS, Split
from privacy.accounting.budget import Budget, best_order
from privacy.errors import BudgetExhausted, LedgerError
from privacy.ledger.charge import Charge
from privacy.ledger.entries import Books
from privacy.ledger.filter import Declaration, RenyiFilter
from privacy.ledger.identity import Binding
from privacy.ledger.journal import Journal


@dataclass(frozen=True)
class Proposal:
    """What a study asks to declare.

    Args:
        study: its name.
        budget: what it will state.
        planned: what it means to run on each split.
        policy: how it searches, for the record.
        afresh: leave out everything before; for public cohorts only.
    """

    study: str
    budget: Budget
    planned: Mapping[Split, dp_accounting.DpEvent]
    policy: str = ""
    afresh: bool = False


def drafted(journal: Journal, binding: Binding, proposal: Proposal) -> RenyiFilter:
    """What would be declared, having counted everything so far; written nowhere.

    Raises:
        LedgerError: when earlier studies leave no room.
    """
    books, budget = journal.books, proposal.budget
    since = len(books.entries) if proposal.afresh else books.since
    orders: dict[Split, float] = {}
    for split in SPLITS:
        spent = books.spent_event(split, binding.split_key, since)
        orders[split] = books.inherited_order(split, since) or best_order(budget, proposal.planned.get(split), spent)
    allowances = {split: budget.allowance(order) for split, order in orders.items()}
    counting = books.filter_of(
        Declaration(proposal.study, budget, orders, allowances, binding.split_key, since, proposal.policy)
    )
    if any(counting.left(split) <= 0 for split in SPLITS):
        raise LedgerError(_no_room(journal, counting))
    return counting


def require_same(declared: Declaration, proposal: Proposal) -> None:
    """Raise LedgerError unless a study asks for what it declared before."""
    if (declared.budget, declared.policy) != (proposal.budget, proposal.policy):
        raise LedgerError(
            f"The study {declared.study} declared epsilon {declared.budget.epsilon:g}, delta "
            f"{declared.budget.delta:g} and the policy {declared.policy or 'none'} before its first reading, "
            "and cannot change them now. Keep to these, or begin a study under another name."
        )


def require_room(journal: Journal, binding: Binding, charges: Sequence[Charge]) -> None:
    """Raise unless charges fit in what their studies declared; those of others always do.

    Raises:
        BudgetExhausted: they do not.
        LedgerError: the participants are divided otherwise than when the study declared.
    """
    for study in {charge.study for charge in charges}:
        require_same_division(journal, binding, study)
        if counting := journal.books.filters.get(study):
            try:
                counting.require(charge for charge in charges if charge.study == study)
            except BudgetExhausted as error:
                raise BudgetExhausted(f"{error}{_by_others(journal.books, study)}") from None


def require_same_division(journal: Journal, binding: Binding, study: str) -> None:
    """Raise LedgerError where participants are divided otherwise than when a study declared its budget."""
    counting = journal.books.filters.get(study)
    if counting is not None and counting.declaration.split_key != binding.split_key:
        raise LedgerError(
            f"The study {study} declared its budget under another split key or for other identifiers, so its "
            "participants would now fall into different splits. Restore the split key or the cohort's files from a "
            "backup, or begin a new study."
        )


def _by_others(books: Books, study: str) -> str:
    """Which studies read participants after one declared its budget, as a sentence; empty where none did."""
    declared = max(
        entry.number
        for entry in books.entries
        if isinstance(entry.content, Declaration) and entry.content.study == study
    )
    later = [charge.study for entry, charge in books.release_charges(declared) if charge.study != study]
    if not later:
        return ""
    return (
        f" Since it declared its budget, participants were read by {', '.join(dict.fromkeys(later))}, which counts. "
        "Begin a new study, of a larger epsilon where the cohort is private."
    )


def spent_by_study(books: Books) -> str:
    """What each study that read participants has spent, as a clause; empty where none did.

    A study's figure is of everything up to its last reading, as its own statement gives it.
    """
    studies = list(dict.fromkeys(charge.study for _, charge in books.release_charges()))
    return ", ".join(_spent_by(books, study, number) for number, study in enumerate(studies))


def _spent_by(books: Books, study: str, earlier: int) -> str:
    known = books.filters.get(study)
    if known is None:
        return f"an epsilon that was never declared by study {study}"
    charges = books.release_charges(known.declaration.since)
    last = max(entry.number for entry, charge in charges if charge.study == study)
    counting = RenyiFilter(known.declaration)
    for entry, charge in charges:
        if entry.number <= last:
            counting.count(charge, entry.split_key)
    spent = max(counting.epsilon(split) for split in SPLITS)
    others = " and those before it" if earlier and not known.declaration.since else ""
    return f"epsilon {spent:.4g} of {known.declaration.budget.epsilon:g} by study {study}{others}"


def _no_room(journal: Journal, counting: RenyiFilter) -> str:
    budget = counting.declaration.budget
    exact = next((split for split in SPLITS if math.isinf(counting.spent(split))), None)
    if exact:
        return (
            f"Earlier studies of the cohort {journal.cohort} read its {exact} participants without noise (policy "
            "unaccounted), so no finite epsilon, however large, covers a later study of them. Only --policy "
            "unaccounted can search on; its statement says what that leaves out."
        )
    return (
        f"Earlier studies of the cohort {journal.cohort} leave no room for epsilon {budget.epsilon:g} (delta "
        f"{budget.delta:g}): {spent_by_study(journal.books)} is already spent. Declare a larger epsilon, which will "
        "cover those studies too and is the total for each participant, and only if whoever approved the budget agrees"
        + (", or start afresh, as a public cohort may." if journal.public else ".")
    )
