"""The charged events of a release as its readers get them, with the script that recomputes epsilon from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from dp_accounting import DpEvent

from cohorts import SPLITS, Split
from privacy.accounting.events import composed, counted, event_fields
from privacy.accounting.rdp import epsilon_by_rdp, rdp_at
from privacy.ledger.summary import Summary, charged_by_key

INSTALL = f"pip install dp-accounting=={version('dp-accounting')}"

CHECK_SCRIPT = f'''\
"""Compute epsilon again from privacy_events.json: python check_epsilon.py

It needs one package: {INSTALL}
"""

import json
import sys
from pathlib import Path

try:
    from dp_accounting import dp_event, rdp
except ImportError:
    sys.exit("The package dp-accounting is not there. Install it: {INSTALL}")
'''
CHECK_SCRIPT += """
said = json.loads(Path(__file__).with_name("privacy_events.json").read_text())


def event(fields):
    numbers = {name: value if name == "count" else float(value) for name, value in fields.items()
               if name not in ("type", "event", "events")}
    inner = {"event": event(fields["event"])} if "event" in fields else {}
    several = {"events": [event(each) for each in fields["events"]]} if "events" in fields else {}
    return getattr(dp_event, fields["type"])(**numbers, **inner, **several)


for split, charges in said["charges"].items():
    accountant = rdp.RdpAccountant()  # Renyi, adding or removing one participant
    for charge in charges:
        accountant.compose(event(charge["event"]), charge["times"])
    order, epsilon = said["orders"].get(split), accountant.get_epsilon(said["delta"])
    if order:  # fixed before the first reading, as an adaptive search needs it; the best order is for fixed sequences
        divergence = accountant._rdp[list(accountant._orders).index(order)]
        epsilon = rdp.compute_epsilon([order], [divergence], said["delta"])[0]
    print(f"{split} participants: epsilon {epsilon:.4g} at delta {said['delta']:g}")
print(f"stated: epsilon {said['epsilon']}, {said['covers']}")
"""


def charged_events(summary: Summary, epsilon: float | str, covers: str, orders: dict[str, float]) -> dict[str, Any]:
    """Everything that the participants of each split went through, earlier studies included: public numbers.

    A participant of one split went through its charges alone. Under another split key they may have been in any split,
    so for every split the costliest of its splits counts, as ``RenyiFilter`` counts it.

    Args:
        summary: of the ledger as the study sees it.
        epsilon: that is stated.
        covers: what it covers, in words.
        orders: Renyi order declared for each split; empty where none was.
    """
    since = summary.declaration.since if summary.declaration else 0
    by_key = charged_by_key(summary.entries[since:], "release")
    charges: dict[str, list[dict[str, Any]]] = {}
    for split in SPLITS:
        met: list[DpEvent] = []
        for key, by_split in by_key.items():
            own = key == summary.split_key
            met.extend(by_split.get(split, []) if own else _costliest(by_split, orders.get(split), summary))
        if met:
            charges[split] = [{"times": times, "event": event_fields(event)} for event, times in counted(met)]
    return {"epsilon": epsilon, "delta": summary.delta, "covers": covers, "orders": orders, "charges": charges}


def _costliest(by_split: Mapping[Split, Sequence[DpEvent]], order: float | None, summary: Summary) -> Sequence[DpEvent]:
    """What the participants of the split went through that went through most."""

    def cost(events: Sequence[DpEvent]) -> float:
        together = composed(events)
        return epsilon_by_rdp(together, summary.delta) if order is None else rdp_at(together, order)

    return max(by_split.values(), key=cost)
