"""Standard normal numbers in double precision from a cryptographic stream, by the ziggurat method.

The density is covered by 1,024 horizontal layers of equal area. One 64-bit word chooses a layer (10 bits), a sign (1
bit) and a place in the layer (53 bits), each independent of the others; in 996 of 1,000 cases the place lies under
the curve and is the number. The other cases are settled by the layer's wedge or by the exact tail, so nothing is cut
off.

Source: Marsaglia & Tsang, "The Ziggurat Method for Generating Random Variables", 2000; Doornik, "An Improved Ziggurat
Method to Generate Normal Random Samples", 2005, for layer and place from different bits; Marsaglia, "Generating a
Variable from the Tail of the Normal Distribution", 1964.
"""

from __future__ import annotations

import math

import numpy as np

from privacy.mechanisms.randomness import CryptographicStream

LAYERS = 1024
TAIL_FROM = 4.038849846109504
"""R: where the lowest layer ends and the tail begins. It makes all layers' areas equal; a test adds them up."""

INDEX_BITS = 11
INDEX_MASK = 2 * LAYERS - 1
PLACE_BITS = 53

# Numbers worked on at once: few enough for a processor's nearer caches.
CHUNK = 2**15
# Numbers drawn ahead (1 MiB), since settling the last few costs as much for few numbers as for many.
AHEAD = 2**17
# Finished numbers made at once to stand in for places above the curve.
SPARES = 2**12


def density(x: np.ndarray | float) -> np.ndarray:
    """The normal density at x, times sqrt(2 pi)."""
    return np.exp(-0.5 * np.square(x))


def layer_widths() -> np.ndarray:
    """How far each layer reaches, from the lowest up: float64 (LAYERS + 1,).

    The lowest reaches to R and has the tail besides; its width here is that of a rectangle of the layer's whole area.
    The topmost ends where the density does, at 0.
    """
    tail = math.sqrt(math.pi / 2) * math.erfc(TAIL_FROM / math.sqrt(2))
    area = TAIL_FROM * float(density(TAIL_FROM)) + tail
    widths = [area / float(density(TAIL_FROM)), TAIL_FROM]
    while len(widths) < LAYERS:
        height = float(density(widths[-1])) + area / widths[-1]
        widths.append(math.sqrt(-2 * math.log(height)))
    return np.array([*widths, 0.0])


WIDTHS = layer_widths()
HEIGHTS = density(WIDTHS)  # of each layer's lower edge; of the lowest not used
RISES = np.diff(HEIGHTS)
# By the word's last 11 bits: what its place is multiplied by, and the place from which the layer leaves the curve.
SCALES = (WIDTHS[:-1, None] * np.array([1.0, -1.0]) * 2.0**-PLACE_BITS).ravel()
LIMITS = np.repeat(WIDTHS[1:] / WIDTHS[:-1] * 2.0**PLACE_BITS, 2).astype(np.uint64)


class StandardNormals:
    """Independent standard normal numbers, each drawn once.

    Every number is a sum of rounded operations in double precision on 53 random bits, so the probability that it falls
    between two places ``g`` apart differs from the normal one by a factor of at most about ``1 + 2^-50 / g``.

    Args:
        stream: where the bits come from.
    """

    def __init__(self, stream: CryptographicStream) -> None:
        self._stream = stream
        self._drawn = np.empty(0)
        self._spare = np.empty(0)  # finished numbers, for places that turn out to lie above the curve

    def draw(self, count: int) -> np.ndarray:
        """The next numbers: float64 (count,). The caller may overwrite them."""
        if len(self._drawn) < count:
            self._drawn = np.empty(count * max(1, AHEAD // max(1, count)))
            self._fill(self._drawn)
        numbers, self._drawn = self._drawn[:count], self._drawn[count:]
        return numbers

    def _fill(self, numbers: np.ndarray) -> None:
        parts = []
        for first in range(0, len(numbers), CHUNK):
            index, places = self._propose(numbers[first : first + CHUNK])
            parts.append((index[places], places + first))
        index, places = (np.concatenate(each) for each in zip(*parts, strict=True))
        above = self._above_the_curve(numbers, index, places)
        numbers[above] = self._spares(len(above))

    def _propose(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fill with places in layers; returns each one's layer and sign, and which may lie above the curve."""
        words = self._stream.words(len(numbers))
        index = words.view(np.int64) & INDEX_MASK
        words >>= np.uint64(INDEX_BITS)
        SCALES.take(index, out=numbers, mode="wrap")  # which is the fast one; no index is out of range
        np.multiply(words.view(np.int64), numbers, out=numbers)  # 53 bits: no sign
        return index, np.flatnonzero(words >= LIMITS.take(index, mode="wrap"))

    def _above_the_curve(self, numbers: np.ndarray, index: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Of numbers that may lie above the curve, where those are that do; those in the tail are drawn.

        Args:
            numbers: all.
            index: layer and sign of those in question.
            places: where they are.
        """
        layer = index >> 1
        heights = HEIGHTS.take(layer) + self._stream.uniforms(len(places)) * RISES.take(layer)
        above = heights >= density(numbers.take(places))
        lowest = layer == 0
        if lowest.any():  # hardly one number in ten thousand
            signs = np.where(index[lowest] & 1, -1.0, 1.0)
            numbers[places[lowest]] = signs * self._tail(len(signs))
            above &= ~lowest
        remaining: np.ndarray = places[above]
        return remaining

    def _spares(self, count: int) -> np.ndarray:
        """Finished numbers that are used for nothing else: float64 (count,)."""
        while len(self._spare) < count:
            fresh = np.empty(SPARES)
            index, places = self._propose(fresh)
            above = self._above_the_curve(fresh, index[places], places)
            self._spare = np.concatenate([self._spare, np.delete(fresh, above)])
        numbers, self._spare = self._spare[:count], self._spare[count:]
        return numbers

    def _tail(self, count: int) -> np.ndarray:
        """Numbers beyond R, by rejection from an exponential law: float64 (count,)."""
        found = np.empty(0)
        while len(found) < count:
            tries = 2 * (count - len(found))
            beyond = -np.log(self._stream.uniforms(tries)) / TAIL_FROM
            accepted = -2 * np.log(self._stream.uniforms(tries)) > np.square(beyond)
            found = np.concatenate([found, TAIL_FROM + beyond[accepted]])
        return found[:count]
