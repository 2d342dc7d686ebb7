"""The charged events of a release as its readers get them, with the script that recomputes epsilon from them."""

from __future__ import annotations

from typing import Any

from cohorts import SPLITS
from privacy.accounting.events import counted, event_fields
from privacy.ledger.charge import Charge
from privacy.ledger.summary import Summary

CHECK_SCRIPT = '''\
"""Compute epsilon again from privacy_events.json, with dp-accounting alone: python check_epsilon.py"""

import json
from pathlib import Path

from dp_accounting import dp_event, rdp

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
'''


def charged_events(summary: Summary, epsilon: float | str, covers: str, orders: dict[str, float]) -> dict[str, Any]:
    """Everything that the participants of each split went through, earlier studies included: public numbers.

    A participant of one split went through its charges alone. What was charged under another split key counts for every
    split, because nobody knows where it met them.

    Args:
        summary: of the ledger as the study sees it.
        epsilon: that is stated.
        covers: what it covers, in words.
        orders: Renyi order declared for each split; empty where none was.
    """
    since = summary.declaration.since if summary.declaration else 0
    own_key = summary.split_key
    charges: dict[str, list[dict[str, Any]]] = {}
    for split in SPLITS:
        met = [
            entry.content.event
            for entry in summary.entries[since:]
            if isinstance(entry.content, Charge)
            and entry.content.account == "release"
            and (entry.content.split == split or entry.split_key != own_key)
        ]
        if met:
            charges[split] = [{"times": times, "event": event_fields(event)} for event, times in counted(met)]
    return {"epsilon": epsilon, "delta": summary.delta, "covers": covers, "orders": orders, "charges": charges}
