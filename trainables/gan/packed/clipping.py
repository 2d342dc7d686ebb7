"""The clipped sum of per-participant gradients, from activations and backprops."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.gan.packed.layout import Weights
from trainables.gan.packed.networks import Record

# Beyond this many clip norms a gradient's clip factor leaves the range in which float32 is exact.
ENDLESS = 1e30
# What Opacus adds to a norm before it divides by it.
OPACUS_MARGIN = 1e-6


def squared_norms(records: Sequence[Record]) -> Tensor:
    """Squared 2-norm of each row's whole gradient (K, R), float64."""
    total: Tensor = records[0].layer.squared_norms(records[0].activations, records[0].backprops)
    for record in records[1:]:
        total += record.layer.squared_norms(record.activations, record.backprops)
    return total


def clip_factors(squares: Tensor, clip_norms: Tensor) -> Tensor:
    """What to multiply each row's gradient by so that its norm is at most the clip norm.

    Args:
        squares: squared norms (K, R), float64.
        clip_norms: C of each trial (K, 1), float64.

    Returns:
        (K, R) factors in [0, 1]; 0 where a gradient is infinite or no number, since no other factor could bound it
        and NaN would tell who caused it.
    """
    norms = squares.sqrt()
    factors = (clip_norms / (norms + OPACUS_MARGIN)).clamp(max=1.0)
    return torch.where(norms < ENDLESS * clip_norms, factors, 0.0)


def add_clipped(total: Weights, records: Sequence[Record], factors: Tensor) -> None:
    """Add factor x gradient of every row to a total.

    A row of factor 0 adds exactly nothing, even if what it holds is infinite or no number.

    Args:
        total: by parameter name, each (K, *shape); changed in place.
        records: of every weighted layer; used up, since their backprops are overwritten.
        factors: of every row (K, R).
    """
    non_finite = factors == 0
    if non_finite.device.type != "cpu" or non_finite.any():  # on a GPU looking would make the host wait
        records = [_without(record, non_finite) for record in records]
    factors = factors.to(records[0].backprops.dtype)
    for record in records:
        record.backprops.mul_(_beside(factors, record.backprops))
        record.layer.add_gradient(total, record.activations, record.backprops)


def _without(record: Record, non_finite: Tensor) -> Record:
    """Zeros in place of what rows of factor 0 hold: 0 x infinity is not 0."""
    return Record(
        record.layer,
        record.activations.masked_fill(_beside(non_finite, record.activations), 0.0),
        record.backprops.masked_fill(_beside(non_finite, record.backprops), 0.0),
    )


def _beside(per_row: Tensor, values: Tensor) -> Tensor:
    """(K, R, 1, ...) to go with values (K, R, ...)."""
    return per_row.view(*per_row.shape, *[1] * (values.dim() - 2))
