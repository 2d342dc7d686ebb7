"""What the packed arithmetic is compared with: networks of K trials, and per-participant gradients in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from trainables.gan.engine import PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.networks import build_networks
from trainables.gan.opacus_engine import ac_gan_losses
from trainables.gan.packed.layout import Weights
from trainables.gan.packed.networks import Networks, Record, Shape, packed_networks
from trainables.gan.packed.rows import Rows
from trainables.gan.packed.steps import loss_backprops

CPU = torch.device("cpu")


@dataclass
class Stacked:
    """Discriminators of K trials, as modules and as a pack has them."""

    modules: list[nn.Module]
    networks: Networks
    weights: Weights

    @classmethod
    def of(cls, settings: GANSettings, trials: int, grid: tuple[int, int], arms: int = 2) -> Stacked:
        public = PublicFigures(50, (1 / arms,) * arms, grid[0] * grid[1], grid)
        networks = packed_networks(Shape.of(settings, public), CPU)
        modules = [build_networks(settings, public.features, arms, grid)[1] for _ in range(trials)]
        stack = torch.zeros(trials, networks.discriminator.layout.size)
        for row, module in zip(stack, modules, strict=True):
            networks.discriminator.layout.write(row, dict(module.named_parameters()), settings.latent_size)
        return cls(modules, networks, networks.discriminator.layout.views(stack))

    @torch.no_grad()
    def records(self, rows: Rows) -> list[Record]:
        network = self.networks.discriminator
        logits, tape = network.forward(self.weights, rows.features, rows.masks)
        return network.backward(self.weights, tape, loss_backprops(logits, rows))[0]

    def reference(self, trial: int, rows: Rows) -> dict[str, Tensor]:
        """Gradients of a trial's rows that count, each (R, *shape), float64."""
        module = with_fixed_masks(self.modules[trial]).double()
        row_mask = rows.row_mask[trial]
        masks = split_masks(module, rows.masks[trial, row_mask])

        def loss(weights: Weights, features: Tensor, arm: Tensor, target: Tensor, masks: list[Tensor]) -> Tensor:
            logits = functional_call(module, weights, (features.unsqueeze(0), masks))
            return ac_gan_losses(logits, arm.unsqueeze(0), target.unsqueeze(0)).sum()

        return vmap(grad(loss), in_dims=(None, 0, 0, 0, 0))(
            {name: value.detach() for name, value in module.named_parameters()},
            rows.features[trial, row_mask].double(),
            rows.arms[trial, row_mask].argmax(1),
            rows.targets[trial, row_mask].double(),
            masks,
        )

    def nearest_kink(self, rows: Rows) -> float:
        """How near any unit comes to where its rectifier bends: nearer than rounding, and float32 and float64 part."""
        nearest = [float("inf")]
        for trial, module in enumerate(self.modules):
            fixed = with_fixed_masks(module).double()
            for layer in fixed.layers:
                if isinstance(layer, nn.ReLU | nn.LeakyReLU):
                    layer.register_forward_pre_hook(lambda _, inputs: nearest.append(inputs[0].abs().min().item()))
            with torch.no_grad():
                fixed(rows.features[trial].double(), split_masks(fixed, rows.masks[trial]))
        return min(nearest)


class FixedMasks(nn.Module):
    """A discriminator whose dropout multiplies by given masks."""

    def __init__(self, of: nn.Module) -> None:
        super().__init__()
        self.layers = of.layers
        self.grid = (of.measures, of.visits) if hasattr(of, "measures") else None

    def forward(self, features: Tensor, masks: list[Tensor]) -> Tensor:
        left = list(masks)
        values = features.view(-1, 1, *self.grid) if self.grid else features
        for layer in self.layers:
            values = values * left.pop(0) if isinstance(layer, nn.Dropout) else layer(values)
        return values


def with_fixed_masks(module: nn.Module) -> FixedMasks:
    from copy import deepcopy

    return FixedMasks(deepcopy(module))


def split_masks(module: FixedMasks, masks: Tensor) -> list[Tensor]:
    """One tensor a dropout layer, channels first as the module has them (R, C, H, W) or (R, units)."""
    if module.grid is None:
        return []
    height, width = ((size + 1) // 2 for size in module.grid)
    first, second, dense = masks.double().split([32 * height * width, 64 * height * width, 1024], dim=1)
    return [
        first.unflatten(1, (height * width, 32)).mT.unflatten(2, (height, width)),
        second.unflatten(1, (height * width, 64)).mT.unflatten(2, (height, width)),
        dense,
    ]


def random_rows(
    trials: int, rows: int, features: int, dropout_units: int, seed: int, drop: float = 0.3, filled: int = 0
) -> Rows:
    """Random participants; the last ``filled`` of each trial do not count."""
    stream = torch.Generator().manual_seed(seed)
    arms = torch.randint(0, 2, (trials, rows), generator=stream)
    row_mask = torch.ones(trials, rows, dtype=torch.bool)
    row_mask[:, rows - filled :] = False
    return Rows(
        features=2 * torch.rand(trials, rows, features, generator=stream) - 1,
        arms=nn.functional.one_hot(arms, 2).float(),
        targets=torch.randint(0, 2, (trials, rows), generator=stream) * 0.9,
        row_mask=row_mask,
        masks=(torch.rand(trials, rows, dropout_units, generator=stream) >= drop) / (1 - drop),
    )
