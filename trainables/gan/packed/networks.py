"""The networks of ``trainables.gan.networks`` for K trials at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from trainables.gan.engine import PublicFigures
from trainables.gan.hyperparameters import GANSettings
from trainables.gan.networks import build_networks
from trainables.gan.packed.grids import Windows
from trainables.gan.packed.layers import Convolution, Dropout, Layer, Linear, Rectifier, Reshape, Tanh
from trainables.gan.packed.layout import Layout, Weights
from trainables.gan.packed.upsampling import StridedReadout, UpsampledConvolution, UpsampledGrid

DROPOUT = 0.3
# Latent sizes are rounded up to a multiple of this, so that trials which differ a little in it share a pack.
LATENT_STEP = 32


@dataclass(frozen=True)
class Shape:
    """What trials must have in common to be packed.

    Args:
        network: architecture.
        width, depth: of the compact network.
        latent_size: largest latent size of the pack.
        features: width F of an encoded participant.
        arms: how many there are, k.
        grid: (measures, visits) of the paper's network.
    """

    network: str
    width: int
    depth: int
    latent_size: int
    features: int
    arms: int
    grid: tuple[int, int] | None

    @classmethod
    def of(cls, settings: GANSettings, public: PublicFigures) -> Shape:
        """The shape of a trial's networks."""
        room = -(-settings.latent_size // LATENT_STEP) * LATENT_STEP
        if settings.network == "paper":
            return cls("paper", 0, 0, room, public.features, public.arms, public.grid)
        return cls("compact", settings.width, settings.depth, room, public.features, public.arms, None)


@dataclass(frozen=True)
class Record:
    """What one weighted layer saw in a pass: enough for its norms and its gradient."""

    layer: Any
    activations: Any
    backprops: Tensor


class Network:
    """Layers one after another.

    Args:
        layers: in order.
        layout: of its parameters.
        dropout_units: random numbers a row needs for dropout, D.
    """

    def __init__(self, layers: Sequence[Layer], layout: Layout, dropout_units: int = 0) -> None:
        self.layers, self.layout, self.dropout_units = list(layers), layout, dropout_units
        self._first_weighted = next(number for number, layer in enumerate(layers) if hasattr(layer, "add_gradient"))

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None = None) -> tuple[Tensor, list[Any]]:
        """Outputs, and the activations of each layer.

        Args:
            weights: of K trials.
            inputs: (K, R, ...).
            masks: what dropout multiplies by (K, R, D).
        """
        tape = []
        for layer in self.layers:
            inputs, activations = layer.forward(weights, inputs, masks)
            tape.append(activations)
        return inputs, tape

    def backward(
        self, weights: Weights, tape: list[Any], backprops: Tensor, to_inputs: bool = False
    ) -> tuple[list[Record], Tensor]:
        """Records of the weighted layers, first layer last, and the derivative by the inputs where it is wanted.

        Args:
            weights: of K trials.
            tape: activations that ``forward`` gave.
            backprops: derivative of each row's loss by its outputs (K, R, O).
            to_inputs: whether to go on to the inputs.
        """
        records = []
        for number in reversed(range(len(self.layers))):
            layer, activations = self.layers[number], tape[number]
            if hasattr(layer, "add_gradient"):
                records.append(Record(layer, activations, backprops))
                if number == self._first_weighted and not to_inputs:
                    return records, backprops
            backprops = layer.backward(weights, activations, backprops)
        return records, backprops


@dataclass(frozen=True)
class Networks:
    """Both networks of a pack.

    Args:
        generator: takes latent inputs of ``latent_size``, then the one-hot arm.
        discriminator: takes features.
        latent_size: Z.
        arms: k.
    """

    generator: Network
    discriminator: Network
    latent_size: int
    arms: int


@lru_cache(maxsize=16)  # the tables of the paper's networks take a while to make
def packed_networks(shape: Shape, device: torch.device) -> Networks:
    """The networks of a shape, without weights."""
    settings: dict[str, Any] = {"network": shape.network, "latent_size": shape.latent_size}
    if shape.network == "compact":
        settings |= {"width": shape.width, "depth": shape.depth}
    with torch.device("meta"):
        generator, discriminator = build_networks(GANSettings(**settings), shape.features, shape.arms, shape.grid)
    if shape.network == "paper":
        assert shape.grid is not None
        latent = frozenset({"embedding.weight", "dense.0.weight"})
        return Networks(
            _paper_generator(shape, Layout(generator, latent, shape.latent_size), device),
            _paper_discriminator(shape.grid, Layout(discriminator), device),
            shape.latent_size,
            shape.arms,
        )
    latent = frozenset({"layers.0.weight"})
    return Networks(
        Network([*_perceptron(shape.depth, 0.0), Tanh()], Layout(generator, latent, shape.latent_size)),
        Network(_perceptron(shape.depth, 0.2), Layout(discriminator)),
        shape.latent_size,
        shape.arms,
    )


def _perceptron(depth: int, slope: float) -> list[Layer]:
    """Hidden layers and the output, numbered as in the modules' ``layers``."""
    hidden = [layer for number in range(depth) for layer in (Linear(f"layers.{2 * number}"), Rectifier(slope))]
    return [*hidden, Linear(f"layers.{2 * depth}")]


def _paper_discriminator(grid: tuple[int, int], layout: Layout, device: torch.device) -> Network:
    halved = ((grid[0] + 1) // 2, (grid[1] + 1) // 2)
    first = Windows(grid, (3, 3), stride=2, padding=1, device=device)
    second = Windows(halved, (3, 3), stride=1, padding=1, device=device)
    positions = halved[0] * halved[1]
    layers: list[Layer] = [
        Reshape(lambda x: x.unsqueeze(3), lambda x: x.squeeze(3)),  # one channel
        Convolution("layers.0", first),
        Rectifier(0.3),
        Dropout(0, (positions, 32)),
        Convolution("layers.3", second),
        Rectifier(0.3),
        Dropout(32 * positions, (positions, 64)),
        # The module flattens channels first.
        Reshape(lambda x: x.mT.flatten(2), lambda x: x.unflatten(2, (64, -1)).mT.contiguous()),
        Linear("layers.7"),
        Rectifier(),
        Dropout(96 * positions, (1024,)),
        Linear("layers.10"),
        Rectifier(),
        Linear("layers.12"),
    ]
    return Network(layers, layout, dropout_units=96 * positions + 1024)


def _paper_generator(shape: Shape, layout: Layout, device: torch.device) -> Network:
    assert shape.grid is not None
    grid = shape.grid
    upsampled = UpsampledGrid((3, 4), (2 * grid[0], 2 * grid[1]), window=5, device=device)
    layers: list[Layer] = [
        EmbeddedArm("embedding", shape.arms),
        Linear("dense.0"),
        Rectifier(),
        Linear("dense.2"),
        Rectifier(),
        # The module has channels first.
        Reshape(lambda x: x.unflatten(2, (32, -1)).mT.contiguous(), lambda x: x.mT.flatten(2)),
        UpsampledConvolution("convolutions.0", upsampled, window=5),
        Rectifier(),
        StridedReadout("convolutions.3", upsampled, window=4, stride=2, padding=1, device=device),
    ]
    return Network(layers, layout)


class EmbeddedArm:
    """The latent input times a vector learned for the arm: (K, R, Z) from latent and one-hot arm (K, R, Z + k)."""

    def __init__(self, name: str, arms: int) -> None:
        self._weight, self._arms = f"{name}.weight", arms

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keeps its inputs."""
        latent, arms = inputs[..., : -self._arms], inputs[..., -self._arms :]
        return latent * torch.bmm(arms, weights[self._weight]), inputs

    def backward(self, weights: Weights, activations: Tensor, backprops: Tensor) -> Tensor:
        """Never needed: inputs are random numbers."""
        raise NotImplementedError

    def add_gradient(self, total: Weights, activations: Tensor, backprops: Tensor) -> None:
        """Each arm's rows summed."""
        latent, arms = activations[..., : -self._arms], activations[..., -self._arms :]
        total[self._weight].baddbmm_(arms.mT, backprops * latent)
