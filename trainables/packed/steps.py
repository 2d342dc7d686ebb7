"""The two training steps of K trials at once, in the order things happen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.engine import draw_inputs
from trainables.packed.clipping import clip_factors, clipped_sum, squared_norms
from trainables.packed.draws import Batch
from trainables.packed.members import Block
from trainables.packed.networks import DROPOUT, Networks
from trainables.packed.rows import DropoutMasks, Rows, latent_rows, real_rows
from trainables.packed.slots import Slots


def discriminator_step(
    networks: Networks,
    block: Block,
    drawn: Sequence[Batch],
    slots: Slots,
    gradient: Tensor,
) -> None:
    """One noisy step: real participants by Poisson coins, about as many generated, clipped sum plus noise.

    Args:
        networks: of the pack.
        block: the trials.
        drawn: what each of them sees.
        slots: their rows.
        gradient: room for theirs (K, P).
    """
    network, weights = networks.discriminator, networks.discriminator.layout.views(slots.discriminators.weights)
    draw_noise(gradient, block)
    gradients = network.layout.views(gradient)
    for rows in _discriminator_rows(networks, block, drawn, slots).chunks():
        logits, tape = network.forward(weights, rows.features, rows.masks)
        records, _ = network.backward(weights, tape, loss_backprops(logits, rows))
        factors = clip_factors(squared_norms(records), block.clip_norms) / block.normalisers
        for name, total in clipped_sum(records, factors).items():
            gradients[name].add_(total)
    slots.discriminators.adam(gradient)


def draw_noise(gradient: Tensor, block: Block) -> None:
    """Fill each trial's row of a gradient (K, P) with its own noise, scaled as the normalised gradient is."""
    for row, member in zip(gradient, block.members, strict=True):
        if member.hyperparameters.private:
            row.normal_(0.0, member.noise, generator=member.streams.participants)
        else:
            row.zero_()


def _discriminator_rows(networks: Networks, block: Block, drawn: Sequence[Batch], slots: Slots) -> Rows:
    masks = _masks(networks, block)
    real = real_rows(drawn, block.real_targets, masks)
    inputs = [(batch.latent, batch.generated_arms) for batch in drawn]
    latent = latent_rows(inputs, networks.latent_size, 0.0, masks)
    weights = networks.generator.layout.views(slots.generators.weights)
    generated = [networks.generator.forward(weights, rows.features)[0] for rows in latent.chunks()]
    return real.beside(latent.showing(torch.cat(generated, dim=1)))


def generator_step(networks: Networks, block: Block, slots: Slots) -> None:
    """One step of the generators against the discriminators; reads no participant.

    Args:
        networks: of the pack.
        block: the trials.
        slots: their rows.
    """
    weights = networks.generator.layout.views(slots.generators.weights)
    against = networks.discriminator.layout.views(slots.discriminators.weights)
    gradient = torch.zeros_like(slots.generators.weights)
    gradients = networks.generator.layout.views(gradient)
    sizes = [2 * member.generated for member in block.members]
    inputs = [
        draw_inputs(size, member.hyperparameters.latent_size, member.public.arm_shares, member.streams.inputs)
        for size, member in zip(sizes, block.members, strict=True)
    ]
    share = 1 / torch.tensor(sizes, device=gradient.device).view(-1, 1, 1)  # of a row in its trial's mean loss
    for rows in latent_rows(inputs, networks.latent_size, 1.0, _masks(networks, block)).chunks():
        features, tape = networks.generator.forward(weights, rows.features)
        logits, discriminator_tape = networks.discriminator.forward(against, features, rows.masks)
        backprops = loss_backprops(logits, rows) * share
        _, by_features = networks.discriminator.backward(against, discriminator_tape, backprops, to_inputs=True)
        records, _ = networks.generator.backward(weights, tape, by_features)
        for record in records:
            for name, total in record.layer.gradient(record.kept, record.backprops).items():
                gradients[name].add_(total)
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
    source = logits[..., :1].sigmoid() - rows.targets.unsqueeze(2)
    arm = logits[..., 1:].softmax(2) - rows.arms
    return torch.cat([source, arm], dim=2).masked_fill(~rows.counted.unsqueeze(2), 0.0)


def _masks(networks: Networks, block: Block) -> DropoutMasks:
    streams = [member.streams.inputs for member in block.members]
    return DropoutMasks(networks.discriminator.dropout_units, DROPOUT, streams)
