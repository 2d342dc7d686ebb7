"""The two training steps of K trials at once, in the order things happen."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.packed.clipping import add_clipped, clip_factors, squared_norms
from trainables.packed.members import Block
from trainables.packed.networks import DROPOUT, Networks
from trainables.packed.placing import placed
from trainables.packed.rows import DropoutMasks, Feed, Rows, opposed_rows
from trainables.packed.slots import Slots


def discriminator_step(
    networks: Networks,
    block: Block,
    feed: Feed,
    step: int,
    slots: Slots,
    gradient: Tensor,
) -> None:
    """One noisy step: real participants by Poisson coins, about as many generated, clipped sum plus noise.

    Args:
        networks: of the pack.
        block: the trials.
        feed: what they see.
        step: which of the feed's steps.
        slots: their rows.
        gradient: room for theirs (K, P).
    """
    network, weights = networks.discriminator, slots.discriminators.parameters
    draw_noise(gradient, block)
    gradients = network.layout.views(gradient)
    generated = _generated(networks, feed.latent_rows(step), slots)
    for rows in feed.rows(step, generated, _masks(networks, block)).chunks():
        logits, tape = network.forward(weights, rows.features, rows.masks)
        records, _ = network.backward(weights, tape, loss_backprops(logits, rows))
        factors = clip_factors(squared_norms(records), block.clip_norms) / block.normalisers
        add_clipped(gradients, records, factors)
    slots.discriminators.adam(gradient)


def draw_noise(gradient: Tensor, block: Block) -> None:
    """Fill each trial's row of a gradient (K, P) with its own noise, scaled as the normalised gradient is."""
    for row, member in zip(gradient, block.members, strict=True):
        if member.hyperparameters.private:
            row.normal_(0.0, member.noise, generator=member.streams.noise)
        else:
            row.zero_()


def _generated(networks: Networks, latent: Rows, slots: Slots) -> Tensor:
    """Participants as the generators are now (K, G, F)."""
    weights = slots.generators.parameters
    return torch.cat([networks.generator.forward(weights, rows.features)[0] for rows in latent.chunks()], dim=1)


def generator_step(networks: Networks, block: Block, slots: Slots) -> None:
    """One step of the generators against the discriminators; reads no participant.

    Args:
        networks: of the pack.
        block: the trials.
        slots: their rows.
    """
    weights = slots.generators.parameters
    against = slots.discriminators.parameters
    gradient = torch.zeros_like(slots.generators.weights)
    gradients = networks.generator.layout.views(gradient)
    inputs = [member.course.opposed() for member in block.members]
    sizes = [len(arms) for _, arms in inputs]
    shares = 1 / placed(sizes, gradient.device).unsqueeze(1)  # of a row in its trial's mean loss (K, 1)
    for rows in opposed_rows(inputs, networks.latent_size, _masks(networks, block)).chunks():
        features, tape = networks.generator.forward(weights, rows.features)
        logits, discriminator_tape = networks.discriminator.forward(against, features, rows.masks)
        backprops = loss_backprops(logits, rows)
        _, by_features = networks.discriminator.backward(against, discriminator_tape, backprops, to_inputs=True)
        records, _ = networks.generator.backward(weights, tape, by_features)
        for record in records:
            record.layer.add_gradient(gradients, record.kept, record.backprops, shares.expand(rows.counted.shape))
    slots.generators.adam(gradient)
    taken = slots.generators.steps
    decay = torch.minimum(block.averaging, taken / (taken + 9))  # as in GeneratorAverage
    slots.averages.lerp_(slots.generators.weights, (1 - decay).float())


def loss_backprops(logits: Tensor, rows: Rows) -> Tensor:
    """Derivative of each row's loss, ``ac_gan_losses``, by the discriminator's outputs.

    Args:
        logits: (K, R, 1 + 2).
        rows: their targets and arms.

    Returns:
        (K, R, 1 + 2), zero for rows that only fill up.
    """
    source = logits[..., 0].sigmoid() - rows.targets
    arm = (logits[..., 2] - logits[..., 1]).sigmoid() - rows.arms[..., 1]  # softmax of two
    return torch.stack([source, -arm, arm], dim=2).masked_fill_(~rows.counted.unsqueeze(2), 0.0)


def _masks(networks: Networks, block: Block) -> DropoutMasks:
    streams = [member.streams.dropout for member in block.members]
    return DropoutMasks(networks.discriminator.dropout_units, DROPOUT, streams)
