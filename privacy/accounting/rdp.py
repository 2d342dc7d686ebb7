"""Renyi divergences of events, by dp_accounting: what adds up when mechanisms follow one another."""

from __future__ import annotations

import functools
import json
import logging
import math

import dp_accounting
import numpy as np
from dp_accounting import dp_event, rdp

from privacy.accounting.events import canonical_json, event_fields, event_from_fields

# The accountant leaves out orders whose series does not converge and warns for each, every time. Leaving an
# order out can only raise epsilon, so nothing is lost by silence.
logging.getLogger("absl").addFilter(lambda record: "Excluding this order" not in record.getMessage())

ORDERS: tuple[float, ...] = tuple(float(order) for order in rdp.rdp_privacy_accountant.DEFAULT_RDP_ORDERS)


def rdp_curve(event: dp_accounting.DpEvent) -> np.ndarray:
    """Renyi divergences of an event at ``ORDERS``, by dp_accounting: float64 (orders,).

    What is repeated is computed once, since divergences of one order add up.
    """
    if isinstance(event, dp_event.SelfComposedDpEvent):
        return np.asarray(event.count * rdp_curve(event.event))
    if isinstance(event, dp_event.ComposedDpEvent):
        return np.asarray(np.sum([rdp_curve(each) for each in event.events], axis=0))
    return _curve(canonical_json(event_fields(event)), ORDERS)


def epsilon_by_rdp(event: dp_accounting.DpEvent, delta: float) -> float:
    """Epsilon by Renyi accounting at the best order, under add-or-remove one participant; infinity without noise.

    Source: Mironov, Talwar & Zhang, "Renyi Differential Privacy of the Sampled Gaussian Mechanism", 2019.
    """
    return epsilon_of_curve(rdp_curve(event), delta)


def epsilon_of_curve(curve: np.ndarray, delta: float) -> float:
    """The same from Renyi divergences at ``ORDERS``."""
    return float(rdp.compute_epsilon(ORDERS, curve, delta)[0])


def delta_by_rdp(event: dp_accounting.DpEvent, epsilon: float) -> float:
    """Delta of an event at an epsilon, by Renyi accounting at the best order; 1 without noise.

    Example:
        Twice the steps cost more than twice the delta.

        >>> step = dp_event.PoissonSampledDpEvent(1 / 6000, dp_event.GaussianDpEvent(1.0))
        >>> deltas = [delta_by_rdp(dp_event.SelfComposedDpEvent(step, steps), 1.0) for steps in (1_000_000, 2_000_000)]
        >>> deltas[1] > 2 * deltas[0]
        True
    """
    return float(rdp.rdp_privacy_accountant.compute_delta(ORDERS, rdp_curve(event), epsilon)[0])


def rdp_at(event: dp_accounting.DpEvent, order: float) -> float:
    """Renyi divergence of an event at one of ``ORDERS``, by dp_accounting; infinity where it has no figure."""
    text = canonical_json(event_fields(event))
    if "RepeatAndSelectDpEvent" in text:  # its figure at one order is made from those at all orders
        return float(_curve(text, ORDERS)[ORDERS.index(order)])
    return float(_curve(text, (order,))[0])


@functools.lru_cache(maxsize=4096)
def _curve(event: str, orders: tuple[float, ...]) -> np.ndarray:
    accountant = rdp.RdpAccountant(orders, dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    accountant.compose(event_from_fields(json.loads(event)))
    found = np.nan_to_num(accountant._rdp, nan=math.inf, posinf=math.inf)  # the accountant has no public way to say it
    curve: np.ndarray = np.maximum(found, 0.0)
    curve.flags.writeable = False
    return curve
