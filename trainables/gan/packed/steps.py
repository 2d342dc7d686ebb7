"""The two training steps of K trials at once, in the order things happen."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from privacy.mechanisms.gradient_noise import hide_sum
from trainables.gan.packed.adam import adam_step
from trainables.gan.packed.clipping import add_clipped, clip_factors, squared_norms
from trainables.gan.packed.layout import Weights
from trainables.gan.packed.networks import Networks
from trainables.gan.packed.packed_trial import Block
from trainables.gan.packed.rows import CHUNK_ROWS, PaddedBatches, Rows
from trainables.gan.packed.slots import Slots
from trainables.gan.packed.stack import Stack


def discriminator_step(networks: Networks, block: Block, rows: Rows, slots: Slots) -> None:
    """One noisy step: real participants by Poisson coins, about as many generated, clipped sum plus noise.

    Args:
        networks: of the pack.
        block: the trials.
        rows: what they see.
        slots: their rows.
    """
    network, weights = networks.discriminator, slots.discriminators.parameters
    slots.discriminators.gradient.zero_()
    for part in rows.chunks():
        logits, tape = network.forward(weights, part.features, part.masks)
        if block.watched:
            slots.losses[:, 0] += losses(logits, part).sum(1) / rows.row_mask.sum(1)
        records, _ = network.backward(weights, tape, loss_backprops(logits, part))
        factors = clip_factors(squared_norms(records), block.clip_norms) / block.normalisers
        add_clipped(slots.discriminators.gradients, records, factors)
    add_noise(slots, block)
    adam_step(slots.discriminators)
    if block.watched:
        slots.losses[:, 1] += 1


def add_noise(slots: Slots, block: Block) -> None:
    """Hide each trial's sum of clipped gradients behind its own noise, scaled as the normalised gradient is."""
    if slots.noise is not None:
        slots.noise.hide_sums(slots.discriminators.gradient)
        return
    for row, trial in zip(slots.discriminators.gradient, block.trials, strict=True):
        if trial.mechanism.noisy:
            hide_sum(row, trial.noise_sd, trial.normals.draw(len(row)))


def generate(networks: Networks, padded: PaddedBatches, steps: slice, slots: Slots) -> None:
    """Have the generators, as they are now, make the participants of some of the steps laid out."""
    weights = slots.generators.parameters
    inputs = padded.inputs[:, steps].flatten(1, 2).split(CHUNK_ROWS, dim=1)
    padded.take_generated(steps, torch.cat([networks.generator.forward(weights, part)[0] for part in inputs], dim=1))


def generator_step(
    networks: Networks, block: Block, rows: Rows, generators: Stack, averages: Tensor, against: Weights, summed: Tensor
) -> None:
    """One step of the generators against the discriminators; reads no participant.

    Args:
        networks: of the pack.
        block: the trials.
        rows: inputs of their generators.
        generators: their rows.
        averages: the generators' running averages (K, P).
        against: the discriminators' weights by parameter name (K, *shape).
        summed: losses of generators so far, and their steps (K, 2).
    """
    weights = generators.parameters
    generators.gradient.zero_()
    shares = 1 / rows.row_mask.sum(1).view(-1, 1, 1)  # of a row in its trial's mean loss
    for part in rows.chunks():
        features, tape = networks.generator.forward(weights, part.features)
        logits, discriminator_tape = networks.discriminator.forward(against, features, part.masks)
        if block.watched:
            summed[:, 0] += losses(logits, part).sum(1) * shares[:, 0, 0]
        backprops = loss_backprops(logits, part).mul_(shares)
        _, by_features = networks.discriminator.backward(against, discriminator_tape, backprops, to_inputs=True)
        records, _ = networks.generator.backward(weights, tape, by_features)
        for record in records:
            record.layer.add_gradient(generators.gradients, record.activations, record.backprops)
    adam_step(generators)
    if block.watched:
        summed[:, 1] += 1
    taken = generators.steps
    decay = torch.minimum(block.averaging, taken / (taken + 9))  # as in GeneratorAverage
    averages.lerp_(generators.weights, (1 - decay).float())


def loss_backprops(logits: Tensor, rows: Rows) -> Tensor:
    """Derivative of each row's loss, ``ac_gan_losses``, by the discriminator's outputs.

    Args:
        logits: (K, R, 1 + k).
        rows: their targets and arms.

    Returns:
        (K, R, 1 + k), zero for rows that only fill up.
    """
    source = logits[..., 0].sigmoid() - rows.targets
    if rows.arms.shape[-1] == 2:
        second = (logits[..., 2] - logits[..., 1]).sigmoid() - rows.arms[..., 1]  # softmax of two, in fewer passes
        backprops = torch.stack([source, -second, second], dim=2)
    else:
        backprops = torch.cat([source.unsqueeze(2), logits[..., 1:].softmax(dim=2) - rows.arms], dim=2)
    return backprops.masked_fill_(~rows.row_mask.unsqueeze(2), 0.0)


def losses(logits: Tensor, rows: Rows) -> Tensor:
    """Each row's loss, ``ac_gan_losses`` (K, R); zero for rows that only fill up."""
    source = binary_cross_entropy_with_logits(logits[..., 0], rows.targets, reduction="none")
    arm = -(logits[..., 1:].log_softmax(dim=2) * rows.arms).sum(2)
    return (source + arm).masked_fill_(~rows.row_mask, 0.0)
