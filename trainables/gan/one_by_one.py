"""Whether a discriminator says of each participant what follows from that participant alone.

Clipping bounds what one participant adds to a sum of gradients. It bounds nothing where their values change what the
network says of others, as the mean of a batch does in batch normalisation: then one of them moves everybody's gradient.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
ROWS = 9
CHANGED = 0.3
"""Standard deviation of what is added to weights, since those that are 0 at first may hide what the network does."""
ROUNDING = 1e-4
"""How far apart answers may lie, beside the largest: a few thousand times what single precision rounds."""


def why_not_one_by_one(discriminator: nn.Module, features: int) -> str | None:
    """What is wrong with a discriminator whose answers do not follow from one participant each, or nothing.

    It is asked about made-up participants, together and each alone, with other weights than its own and no dropout.
    Nothing of it changes, nor does the state of PyTorch's random numbers.

    Args:
        discriminator: from features (B, F) to logits (B, 1 + k).
        features: width F of an encoded participant.

    Returns:
        The end of a sentence about it, or None.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        asked = _with_other_weights(discriminator)
        rows = 2 * torch.rand(ROWS, features) - 1
        before = [each.clone() for each in asked.buffers()]
        try:
            together, alone = asked(rows), torch.cat([asked(row) for row in rows.split(1)])
            again = asked(rows)
        except Exception as error:  # whatever a layer of somebody else's may raise
            return f"whose discriminator cannot be asked about one participant alone ({error})"
        kept = all(torch.equal(one, other) for one, other in zip(before, asked.buffers(), strict=True))
    if not kept or not _alike(together, again):
        return "whose discriminator changes by being asked, or answers by chance (dropout belongs in nn.Dropout)"
    if not _alike(together, alone):
        return (
            "whose discriminator mixes participants: what it says of one depends on who else is in the batch, as with "
            "batch normalisation, and then no clip norm bounds what one of them changes"
        )
    return None


def _with_other_weights(discriminator: nn.Module) -> nn.Module:
    copy = deepcopy(discriminator).cpu().train()
    for parameter in copy.parameters():
        parameter.add_(CHANGED * torch.randn_like(parameter))
    for module in copy.modules():
        if isinstance(module, DROPOUT):
            module.eval()
    return copy


def _alike(one: Tensor, other: Tensor) -> bool:
    return bool(((one - other).abs() <= ROUNDING * other.abs().max().clamp(min=1)).all())
