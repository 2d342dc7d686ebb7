"""One network of K trials with its optimizer: the tensors that a pack works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from trainables.gan.packed.layout import Layout, Weights


@dataclass
class NetworkState:
    """One network of one trial, between two segments of training.

    Args:
        weights: by parameter name, in the trial's own shapes.
        first, second: Adam's running moments, likewise.
        steps: Adam steps taken.
    """

    weights: Weights
    first: Weights
    second: Weights
    steps: int

    @classmethod
    def fresh(cls, module: torch.nn.Module) -> NetworkState:
        """A network that has not been trained yet."""
        weights = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
        first, second = ({name: torch.zeros_like(value) for name, value in weights.items()} for _ in range(2))
        return cls(weights, first, second, 0)


class Row(NamedTuple):
    """One trial's row of a stack: tensors (P,), and its settings."""

    weights: Tensor
    gradient: Tensor
    first: Tensor
    second: Tensor
    learning_rate: float
    beta1: float


@dataclass
class Stack:
    """K trials' networks, each tensor with a row a trial.

    Args:
        layout: of a row.
        weights: (K, P).
        first, second: Adam's running moments (K, P).
        steps: Adam steps taken (K, 1), float64.
        learning_rates, beta1: Adam's settings (K, 1), float64.
        gradient: room for that of the next step (K, P).
    """

    layout: Layout
    weights: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor
    learning_rates: Tensor
    beta1: Tensor
    gradient: Tensor

    @cached_property
    def parameters(self) -> Weights:
        """The weights by parameter name (K, *shape), sharing their memory."""
        return self.layout.views(self.weights)

    @cached_property
    def gradients(self) -> Weights:
        """The gradient likewise."""
        return self.layout.views(self.gradient)

    @cached_property
    def by_trial(self) -> list[Row]:
        """Each trial's row, sharing its memory, with its settings."""
        tensors = (each.unbind() for each in (self.weights, self.gradient, self.first, self.second))
        settings = (each.flatten().tolist() for each in (self.learning_rates, self.beta1))
        return [Row(*row) for row in zip(*tensors, *settings, strict=True)]

    @classmethod
    def of(cls, state: NetworkState, layout: Layout, latent_size: int, device: torch.device) -> Stack:
        """One trial's row, its optimizer's settings still to come."""
        rows = torch.zeros(3, 1, layout.size, device=device)
        for row, parameters in zip(rows, (state.weights, state.first, state.second), strict=True):
            layout.write(row[0], parameters, latent_size)
        steps = torch.full((1, 1), state.steps, dtype=torch.float64, device=device)
        weights, first, second = rows.unbind()
        rates, decays = torch.zeros_like(steps), torch.zeros_like(steps)
        return cls(layout, weights, first, second, steps, rates, decays, gradient=torch.empty_like(weights))

    def learning_at(self, learning_rate: float, beta1: float) -> Stack:
        """The same with one setting of the optimizer for all rows."""
        rates, decays = (torch.full_like(self.steps, value) for value in (learning_rate, beta1))
        return replace(self, learning_rates=rates, beta1=decays)

    @classmethod
    def joined(cls, stacks: Sequence[Stack]) -> Stack:
        """The rows of several, one after another."""
        tensors = (torch.cat(parts) for parts in zip(*(stack._tensors() for stack in stacks), strict=True))
        return cls(stacks[0].layout, *tensors)

    def __len__(self) -> int:
        return len(self.weights)

    def rows(self, which: slice) -> Stack:
        """Neighbouring trials' rows, sharing their memory."""
        return Stack(self.layout, *(tensor[which] for tensor in self._tensors()))

    def copied(self, which: Tensor) -> Stack:
        """Copies of the rows with these numbers, with room for their next gradient."""
        *others, gradient = self._tensors()
        room = gradient.new_empty(len(which), self.layout.size)
        return Stack(self.layout, *(*(tensor.index_select(0, which) for tensor in others), room))

    def put(self, which: Tensor, rows: Stack) -> None:
        """Put what a step changes of copied rows back."""
        for mine, theirs in zip(self._stepped(), rows._stepped(), strict=True):
            mine.index_copy_(0, which, theirs)

    def parameters_of(self, which: Tensor) -> Weights:
        """Copies of the weights of the rows with these numbers, by parameter name (K, *shape)."""
        return self.layout.views(self.weights.index_select(0, which))

    def state(self, row: int, latent_size: int) -> NetworkState:
        """One trial's network, copied."""
        weights, first, second = (
            self.layout.read(tensor[row], latent_size) for tensor in (self.weights, self.first, self.second)
        )
        return NetworkState(weights, first, second, int(self.steps[row]))

    def _stepped(self) -> tuple[Tensor, ...]:
        return self.weights, self.first, self.second, self.steps

    def _tensors(self) -> tuple[Tensor, ...]:
        return *self._stepped(), self.learning_rates, self.beta1, self.gradient
