"""Layers of K networks at once: forward, backward, and what per-participant clipping needs, without autograd.

A participant's gradient of a layer's weights is a sum of outer products of what went in (activations) and the
loss's derivative by what came out (backprops). Its norm follows from those two alone, and so does the clipped sum
over participants, so the gradient itself is never built. Throughout: K trials, R rows (participants, real or
generated) each.

Source: Goodfellow, "Efficient Per-Example Gradient Computations", 2015; Bu et al., "Differentially Private
Optimization on Large Model at Small Cost" (book-keeping), ICML 2023, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from trainables.gan.packed.grids import Windows
from trainables.gan.packed.layout import Weights

# Unit roundoff of float64, and of float32.
ROUNDOFF, FLOAT32_ROUNDOFF = 2.0**-53, 2.0**-24
# The least positive number that float32 holds to full precision.
SMALLEST_FLOAT32 = 2.0**-126
# Squares that float32 adds up before float64 takes over, and by how much their sum may then be too small.
ADDED_IN_FLOAT32 = 64
LOST_IN_FLOAT32 = 1 + (ADDED_IN_FLOAT32 + 4) * FLOAT32_ROUNDOFF


class Layer(Protocol):
    """One step of a network. Its activations are handed to everything after ``forward``."""

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Any]:
        """Outputs (K, R, ...), and what the later steps need. May overwrite its inputs unless it has weights."""

    def backward(self, weights: Weights, activations: Any, backprops: Tensor) -> Tensor:
        """Derivatives by the inputs from those by the outputs. May overwrite ``backprops`` unless it has weights."""


class WeightedLayer(Layer, Protocol):
    """A layer with weights to learn."""

    def squared_norms(self, activations: Tensor, backprops: Tensor) -> Tensor:
        """Squared 2-norm of each row's gradient (K, R), float64, never too small by more than its own roundoff."""

    def add_gradient(self, total: Weights, activations: Any, backprops: Tensor) -> None:
        """Add the sum of the rows' gradients to a total by parameter name, each (K, *shape)."""


class Linear:
    """Fully connected: one outer product a row, so the norm is a product of norms and nothing can cancel."""

    def __init__(self, name: str) -> None:
        self.weight, self._bias = f"{name}.weight", f"{name}.bias"

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """(K, R, O) from (K, R, I)."""
        return torch.bmm(inputs, weights[self.weight].mT).add_(weights[self._bias].unsqueeze(1)), inputs

    def backward(self, weights: Weights, activations: Tensor, backprops: Tensor) -> Tensor:
        """(K, R, I) from (K, R, O)."""
        return torch.bmm(backprops, weights[self.weight])

    def squared_norms(self, activations: Tensor, backprops: Tensor) -> Tensor:
        """|b|^2 (|a|^2 + 1), the 1 for the bias."""
        return _squares(backprops).mul_(_squares(activations).add_(1)).mul_(LOST_IN_FLOAT32**2)

    def add_gradient(self, total: Weights, activations: Tensor, backprops: Tensor) -> None:
        """B'A and the column sums of B."""
        total[self.weight].baddbmm_(backprops.mT, activations)
        total[self._bias] += backprops.sum(1)


class Convolution:
    """Convolution over a small grid, channels last: a matrix product over the windows it looks through.

    Its gradient sums outer products over T positions, which may cancel. So the norm is taken from two Gram matrices
    in float64, plus a bound on their rounding: it may come out too large by that, but not too small.
    """

    def __init__(self, name: str, windows: Windows) -> None:
        self._weight, self._bias = f"{name}.weight", f"{name}.bias"
        self._windows = windows

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """(K, R, T, O) from (K, R, pixels, I); keeps the windows (K, R, T, taps x I)."""
        rows = inputs.shape[1]
        windows = self._windows.gather(inputs)
        kernel = _taps_first(weights[self._weight])  # (K, O, taps x I)
        outputs = torch.baddbmm(weights[self._bias].unsqueeze(1), windows.flatten(1, 2), kernel.mT)
        return outputs.unflatten(1, (rows, -1)), windows

    def backward(self, weights: Weights, activations: Tensor, backprops: Tensor) -> Tensor:
        """(K, R, pixels, I) from (K, R, T, O)."""
        rows = backprops.shape[1]
        kernel = _taps_first(weights[self._weight])
        return self._windows.scatter(torch.bmm(backprops.flatten(1, 2), kernel).unflatten(1, (rows, -1)))

    def squared_norms(self, activations: Tensor, backprops: Tensor) -> Tensor:
        """Bounded from above: with mean activation m and sum of backprops s, that of sum (a_t - m) b_t' + m s'.

        Taking the mean out first keeps most of what cancels from ever being added up.
        """
        positions, inputs, outputs = activations.shape[2], activations.shape[3], backprops.shape[3]
        centred, by_outputs = activations.double(), backprops.double()  # (K, R, T, I) and (K, R, T, O)
        mean, total = centred.mean(2, keepdim=True), by_outputs.sum(2, keepdim=True)
        centred -= mean
        around, pairs = _gram(centred), _gram(by_outputs)  # (K, R, T, T)
        crossed = (centred @ mean.mT) * (by_outputs @ total.mT)  # (K, R, T, 1)
        offset = (mean.square().sum((2, 3)) + 1) * total.square().sum((2, 3))  # the 1 for the bias
        exact = (around * pairs).sum((2, 3)) + 2 * crossed.sum((2, 3)) + offset
        largest = ((_trace(around) * _trace(pairs)).sqrt() + offset.sqrt()).square()  # of any sum of moduli in there
        return exact.clamp(min=0) + 2 * ROUNDOFF * (inputs + outputs + positions**2) * largest

    def add_gradient(self, total: Weights, activations: Tensor, backprops: Tensor) -> None:
        """B'A over rows and positions, and the sums of B."""
        flat = backprops.flatten(1, 2)  # (K, R T, O)
        kernel = torch.bmm(flat.mT, activations.flatten(1, 2)).unflatten(2, (self._windows.taps, -1))  # (K, O, taps, I)
        total[self._weight] += kernel.mT.unflatten(3, self._windows.kernel)  # (K, O, I, height, width)
        total[self._bias] += flat.sum(1)


class Rectifier:
    """LeakyReLU; ReLU where the slope is 0."""

    def __init__(self, slope: float = 0.0) -> None:
        self._slope = slope

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Overwrites its inputs, and keeps them."""
        outputs = functional.leaky_relu_(inputs, self._slope)
        return outputs, outputs

    def backward(self, weights: Weights, activations: Tensor, backprops: Tensor) -> Tensor:
        """A row's sign before is its sign after. Overwrites ``backprops``."""
        torch.ops.aten.leaky_relu_backward.grad_input(backprops, activations, self._slope, True, grad_input=backprops)
        return backprops


class Tanh:
    """Hyperbolic tangent."""

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Overwrites its inputs, and keeps them."""
        outputs = inputs.tanh_()
        return outputs, outputs

    def backward(self, weights: Weights, activations: Tensor, backprops: Tensor) -> Tensor:
        """By 1 - tanh^2."""
        by_inputs: Tensor = torch.ops.aten.tanh_backward.default(backprops, activations)
        return by_inputs


class Dropout:
    """Multiplies by masks drawn beforehand, a trial's from its own stream.

    Args:
        first: where this layer's units begin among all that the network drops.
        units: shape of one row of its inputs.
    """

    def __init__(self, first: int, units: tuple[int, ...]) -> None:
        self._columns = slice(first, first + math.prod(units))
        self._units = units

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Not in place: the layer before keeps its outputs."""
        assert masks is not None
        mask = masks[..., self._columns].unflatten(2, self._units)
        return inputs * mask, mask

    def backward(self, weights: Weights, activations: Tensor, backprops: Tensor) -> Tensor:
        """The same mask."""
        return backprops.mul_(activations)


class Reshape:
    """Another order or shape of the same numbers."""

    def __init__(self, forward: Callable[[Tensor], Tensor], backward: Callable[[Tensor], Tensor]) -> None:
        self._forward, self._backward = forward, backward

    def forward(self, weights: Weights, inputs: Tensor, masks: Tensor | None) -> tuple[Tensor, None]:
        """As told."""
        return self._forward(inputs), None

    def backward(self, weights: Weights, activations: None, backprops: Tensor) -> Tensor:
        """As told."""
        return self._backward(backprops)


def _squares(vectors: Tensor) -> Tensor:
    """Squared norms over the last axis (K, R), float64: too small by less than a factor ``LOST_IN_FLOAT32``.

    Squares are added up in float32, a few at a time, which takes a third of the time, and then in float64. What float32
    may have lost by rounding, in whichever order it adds, is for the caller to add on top; what it lost by a square
    too small for it is added here.

    Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, equation 4.4.
    """
    length = vectors.shape[-1]
    if length > ADDED_IN_FLOAT32:
        padded = functional.pad(vectors, (0, -length % ADDED_IN_FLOAT32)) if length % ADDED_IN_FLOAT32 else vectors
        parts = torch.linalg.vector_norm(padded.unflatten(-1, (-1, ADDED_IN_FLOAT32)), dim=-1)
        norms = torch.linalg.vector_norm(parts, dim=-1, dtype=torch.float64)
    else:
        norms = torch.linalg.vector_norm(vectors, dim=-1).double()
    squares: Tensor = norms.square_().add_(length * SMALLEST_FLOAT32)
    return squares


def _gram(vectors: Tensor) -> Tensor:
    """Inner products (K, R, T, T) of each row's T vectors."""
    wide = vectors.flatten(0, 1)  # (K R, T, I)
    products: Tensor = torch.bmm(wide, wide.mT).unflatten(0, vectors.shape[:2])
    return products


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1)


def _taps_first(kernel: Tensor) -> Tensor:
    """(K, O, taps x I) from (K, O, I, height, width)."""
    return kernel.flatten(3).mT.flatten(2)
