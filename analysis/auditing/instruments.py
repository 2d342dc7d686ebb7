"""What fits gradient canaries to an engine: marked participants get the gradient that the audit wants them to have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed.layout import Weights
from trainables.gan.packed.networks import Network, Record, Shape
from trainables.gan.packed.pack import Pack
from trainables.gan.packed.packed_trial import Block
from trainables.gan.packed.rows import Rows
from trainables.gan.packed.slots import Slots
from trainables.gan.packed_engine import PackedEngine

# A canary's first feature is this plus its number. Encoded participants lie in [-1, 1]; float32 holds it exactly.
MARK = 2.0**20


class Instrument(Protocol):
    """Fitted to one engine: gives canaries their gradients and copies every noisy gradient."""

    @property
    def places(self) -> Tensor:
        """Coordinates of the discriminator's parameters that a canary may have (P',)."""

    def plant(self, coordinates: Tensor, raw_norm: float, see: Callable[[Tensor], None]) -> None:
        """From now on marked rows have gradient ``raw_norm`` at their coordinate; ``see`` gets noisy ones (m,)."""


class OpacusInstrument:
    """Overwrites per-participant gradients before Opacus clips them, and looks after it added noise.

    Args:
        engine: to be fitted; it is spoilt for any other use.
    """

    def __init__(self, engine: OpacusEngine) -> None:
        self._discriminator, self._optimizer = engine._discriminator, engine._discriminator_optimizer
        self._numbers = torch.empty(0, dtype=torch.int64)  # canary of each row of the batch, -1 for none

    @property
    def places(self) -> Tensor:
        """All of them."""
        return torch.arange(sum(parameter.numel() for parameter in self._optimizer.params))

    def plant(self, coordinates: Tensor, raw_norm: float, see: Callable[[Tensor], None]) -> None:
        """From now on marked rows have gradient ``raw_norm`` at their coordinate; ``see`` gets noisy ones (m,)."""
        clip = self._optimizer.clip_and_accumulate

        def plant_then_clip() -> None:
            self._overwrite(coordinates, raw_norm)
            clip()

        self._discriminator.register_forward_pre_hook(self._recognise)
        self._optimizer.clip_and_accumulate = plant_then_clip  # type: ignore[method-assign]
        self._optimizer.attach_step_hook(
            lambda optimizer: see(torch.cat([each.grad.flatten() for each in optimizer.params])[coordinates])
        )

    def _recognise(self, module: torch.nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        rows, self._numbers = _recognised(inputs[0])
        return (rows,)

    def _overwrite(self, coordinates: Tensor, raw_norm: float) -> None:
        rows = torch.nonzero(self._numbers >= 0).squeeze(1)
        places = coordinates[self._numbers[rows]]
        first = 0
        for parameter in self._optimizer.params:
            gradients = parameter.grad_sample.flatten(1)  # (B, P of this parameter)
            end = first + gradients.shape[1]
            gradients[:, coordinates[(coordinates >= first) & (coordinates < end)] - first] = 0
            gradients[rows] = 0
            own = (places >= first) & (places < end)
            gradients[rows[own], places[own] - first] = raw_norm
            parameter.grad_sample = gradients.view_as(parameter.grad_sample)
            first = end


class CanaryNetwork:
    """A packed discriminator that gives marked rows what their gradient is to be made of, and all others none.

    A linear layer's gradient is an outer product of activations and backprops, so one number in each makes a gradient
    along one coordinate: norms, factors and sums are then the engine's own. The bias beside it gets next to nothing.

    Args:
        of: the discriminator.
        coordinates: of the canaries.
        raw_norm: of their gradients.
    """

    BACKPROP = 1e-3

    def __init__(self, of: Network, coordinates: Tensor, raw_norm: float) -> None:
        self._of, self._raw_norm = of, raw_norm
        self.layout, self.dropout_units = of.layout, of.dropout_units
        self._numbers = torch.empty(0, dtype=torch.int64)  # canary of each row, -1 for none (K, R)
        self._places = {}
        # Of each weight matrix: its canaries, and the output and input of each one's coordinate.
        for name, index in _weights(of).items():
            canaries = torch.nonzero(torch.isin(coordinates, index)).squeeze(1)
            within = coordinates[canaries] - index[0, 0]
            self._places[name] = canaries, within // index.shape[1], within % index.shape[1]

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None = None) -> tuple[Tensor, list[Any]]:
        """Of the rows without their marks."""
        inputs, self._numbers = _recognised(inputs)
        return self._of.forward(weights, inputs, masks)

    def backward(
        self, weights: Weights, tape: list[Any], backprops: Tensor, to_inputs: bool = False
    ) -> tuple[list[Record], Tensor]:
        """With activations and backprops of all rows replaced."""
        records, to_features = self._of.backward(weights, tape, backprops, to_inputs)
        return [self._planted(record) for record in records], to_features

    def _planted(self, record: Record) -> Record:
        canaries, outputs, inputs = self._places[record.layer.weight]
        activations, backprops = torch.zeros_like(record.activations), torch.zeros_like(record.backprops)
        place = torch.full((int(self._numbers.max()) + 2,), -1)  # of each canary among those of this layer
        here = canaries < len(place) - 1
        place[canaries[here]] = torch.nonzero(here).squeeze(1)
        trial, row = torch.nonzero(place[self._numbers] >= 0, as_tuple=True)
        own = place[self._numbers[trial, row]]
        activations[trial, row, inputs[own]] = self._raw_norm / self.BACKPROP
        backprops[trial, row, outputs[own]] = self.BACKPROP
        return Record(record.layer, activations, backprops)


class CanaryPack(Pack):
    """A pack of one trial, whose every noisy gradient is seen.

    Args:
        shape, device: as of any pack.
    """

    def __init__(self, shape: Shape, device: torch.device) -> None:
        super().__init__(shape, device)
        self.see: Callable[[Tensor], None] = lambda gradient: None

    def plant(self, coordinates: Tensor, raw_norm: float) -> None:
        """From now on marked rows have gradient ``raw_norm`` at their coordinate."""
        planted: Any = CanaryNetwork(self._networks.discriminator, coordinates, raw_norm)
        self._networks = replace(self._networks, discriminator=planted)

    def _take_step(self, block: Block, rows: Rows, slots: Slots) -> None:
        super()._take_step(block, rows, slots)
        self.see(slots.discriminators.gradient[0].clone())


class PackedInstrument:
    """Replaces what per-participant gradients are made of before the packed engine takes their norms.

    Args:
        engine: to be fitted; it is spoilt for any other use.
    """

    def __init__(self, engine: PackedEngine) -> None:
        self._engine, self._pack = engine, CanaryPack(engine.shape, torch.device("cpu"))

    @property
    def places(self) -> Tensor:
        """The weights of all layers; not the biases."""
        return torch.cat([index.flatten() for index in _weights(self._pack._networks.discriminator).values()])

    def plant(self, coordinates: Tensor, raw_norm: float, see: Callable[[Tensor], None]) -> None:
        """From now on marked rows have gradient ``raw_norm`` at their coordinate; ``see`` gets noisy ones (m,)."""
        self._pack.plant(coordinates, raw_norm)
        self._pack.see = lambda gradient: see(gradient[coordinates])
        self._engine.new_pack = lambda: self._pack  # type: ignore[method-assign]


def _weights(network: Network) -> Weights:
    """Coordinates of every weight matrix of a packed network, by its name: (O, I)."""
    numbers = torch.arange(network.layout.size).unsqueeze(0)
    return {name: index[0] for name, index in network.layout.views(numbers).items() if index.dim() == 3}


def _recognised(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (..., F) without their marks, and the canary of each (...), -1 for none."""
    marked = rows[..., 0] >= MARK
    return rows.masked_fill(marked.unsqueeze(-1), 0.0), torch.where(marked, rows[..., 0] - MARK, -1.0).long()
