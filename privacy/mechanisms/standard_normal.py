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
INDEX_MASK = np.uint64(2 * LAYERS - 1)
PLACE_BITS = 53

# Numbers worked on at once: few enough for a processor's first caches.
CHUNK = 8192
# Numbers drawn ahead, since what is done for the last few costs as much for many draws as for one.
AHEAD = 2**17


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

    def draw(self, count: int) -> np.ndarray:
        """The next numbers: float64 (count,). The caller may overwrite them."""
        if len(self._drawn) < count:
            self._drawn = np.empty(count * max(1, AHEAD // max(1, count)))
            self._fill(self._drawn)
        numbers, self._drawn = self._drawn[:count], self._drawn[count:]
        return numbers

    def _fill(self, numbers: np.ndarray) -> None:
        places, indices = [], []
        for first in range(0, len(numbers), CHUNK):
            part = numbers[first : first + CHUNK]
            index, outside = self._propose(part)
            places.append(np.flatnonzero(outside) + first)
            indices.append(index[outside])
        self._settle(numbers, np.concatenate(places), np.concatenate(indices))

    def _propose(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fill with places in layers; returns each one's layer and sign, and whether it may lie above the curve."""
        words = self._stream.words(len(numbers))
        index = (words & INDEX_MASK).astype(np.intp)
        words >>= np.uint64(INDEX_BITS)
        np.multiply(words.view(np.int64), SCALES.take(index), out=numbers)  # 53 bits: no sign
        return index, words >= LIMITS.take(index)

    def _settle(self, numbers: np.ndarray, places: np.ndarray, index: np.ndarray) -> None:
        """Decide about what may lie above the curve, and draw again what does."""
        while len(places):
            layer, sign = index >> 1, np.where(index & 1, -1.0, 1.0)
            in_tail = layer == 0
            numbers[places[in_tail]] = sign[in_tail] * self._tail(int(in_tail.sum()))
            heights = HEIGHTS[layer] + self._stream.uniforms(len(places)) * (HEIGHTS[layer + 1] - HEIGHTS[layer])
            again = places[~in_tail & (heights >= density(numbers[places]))]
            fresh = np.empty(len(again))
            index, outside = self._propose(fresh)
            numbers[again] = fresh
            places, index = again[outside], index[outside]

    def _tail(self, count: int) -> np.ndarray:
        """Numbers beyond R, by rejection from an exponential law: float64 (count,)."""
        found = np.empty(0)
        while len(found) < count:
            tries = 2 * (count - len(found))
            beyond = -np.log(self._stream.uniforms(tries)) / TAIL_FROM
            accepted = -2 * np.log(self._stream.uniforms(tries)) > np.square(beyond)
            found = np.concatenate([found, TAIL_FROM + beyond[accepted]])
        return found[:count]
