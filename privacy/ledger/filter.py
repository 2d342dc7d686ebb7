"""A declared (epsilon, delta) as a Renyi filter: spending that may depend on earlier results, and stops in time.

Renyi divergences of one fixed order add up even when each mechanism is chosen after seeing the earlier results, so a
budget at one order may be spent adaptively as long as the sum never passes it. The order is fixed before the first
reading: the usual conversion takes the best of many orders afterwards, which adaptive spending does not allow.

What the filter does not cover is a person's choice of a *later* budget: the epsilon of a second study of the same
cohort counts as chosen without regard to the first one's results. Its order is not chosen anew (see ``Ledger``).

Source: Feldman & Zrnic, "Individual Privacy Accounting via a Renyi Filter", NeurIPS 2021, Theorem 3.1 (the filter);
Lecuyer, "Practical Privacy Filters and Odometers with Renyi Differential Privacy", 2021, Theorem 1 (one order).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cohorts import SPLITS, Split
from privacy.accounting.budget import Budget, epsilon_at
from privacy.accounting.rdp import rdp_at
from privacy.errors import BudgetExhausted
from privacy.ledger.charge import Charge


@dataclass(frozen=True)
class Declaration:
    """What a study declared, as the ledger keeps it.

    Args:
        study: its name.
        budget: the guarantee it will state.
        orders: the one Renyi order of each split.
        allowances: Renyi divergence of that order that the budget allows each split, earlier studies' included.
        split_key: fingerprint of what splits the participants: the key, the shares, how often the ledger was adopted.
        since: charges up to this entry are left out; 0 except for a public cohort that started afresh.
        policy: how the study searches.
    """

    study: str
    budget: Budget
    orders: Mapping[Split, float]
    allowances: Mapping[Split, float]
    split_key: str
    since: int = 0
    policy: str = ""

    def fields(self) -> dict[str, Any]:
        """The declaration as plain values that JSON knows."""
        return {
            "study": self.study,
            "epsilon": self.budget.epsilon,
            "delta": self.budget.delta,
            "orders": dict(self.orders),
            "allowances": dict(self.allowances),
            "split_key": self.split_key,
            "since": self.since,
            "policy": self.policy,
        }

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Declaration:
        """The declaration that ``fields`` took apart; further keys are left alone."""
        names = ("study", "orders", "allowances", "split_key", "since", "policy")
        return cls(budget=Budget(fields["epsilon"], fields["delta"]), **{name: fields[name] for name in names})


class RenyiFilter:
    """Counts what participants went through at a declaration's orders, and says what still fits.

    A participant of one split went through every charge to that split under the same split key. Under another key
    they may have been in any split, so the costliest counts.

    Args:
        declaration: whose budget.
    """

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._sums: dict[Split, dict[tuple[str, Split], float]] = {split: defaultdict(float) for split in SPLITS}

    def count(self, charge: Charge, split_key: str) -> None:
        """Take in a charge of any study."""
        if charge.account != "release":
            return
        own_key = split_key == self.declaration.split_key
        for target in (charge.split,) if own_key else SPLITS:
            divergence = rdp_at(charge.event, self.declaration.orders[target])
            self._sums[target][split_key, charge.split] += divergence

    def spent(self, split: Split) -> float:
        """Renyi divergence, at the split's order, that its participants went through."""
        costliest: dict[str, float] = defaultdict(float)
        for (key, _), divergence in self._sums[split].items():
            costliest[key] = max(costliest[key], divergence)
        return math.fsum(costliest.values())

    def left(self, split: Split) -> float:
        """Renyi divergence, at the split's order, that may still be spent; never negative."""
        return max(0.0, self.declaration.allowances[split] - self.spent(split))

    @property
    def overspent(self) -> Split | None:
        """A split whose allowance was passed."""
        return next((split for split in SPLITS if self.spent(split) > self.declaration.allowances[split]), None)

    def epsilon(self, split: Split) -> float:
        """What was spent on a split, as epsilon at the declared delta and the split's order, by dp_accounting."""
        return epsilon_at(self.declaration.orders[split], self.spent(split), self.declaration.budget.delta)

    def require(self, charges: Iterable[Charge]) -> None:
        """Raise BudgetExhausted unless all of these still fit together; what is no part of a release always does."""
        charges = [charge for charge in charges if charge.account == "release"]
        if not charges:
            return
        declared = self.declaration
        for split in SPLITS:
            asked = math.fsum(
                rdp_at(charge.event, declared.orders[split]) for charge in charges if charge.split == split
            )
            if self.spent(split) + asked > declared.allowances[split]:
                after = epsilon_at(declared.orders[split], self.spent(split) + asked, declared.budget.delta)
                raise BudgetExhausted(
                    f"The budget of the study {declared.study} does not allow: "
                    f"{', '.join(charge.purpose for charge in charges)}. On the {split} participants epsilon "
                    f"{self.epsilon(split):.4g} of the declared {declared.budget.epsilon:g} is spent (delta "
                    f"{declared.budget.delta:g}), and this would make it {after:.4g}. Nothing was charged."
                )
