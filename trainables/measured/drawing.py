"""Which values draws of normal scores stand for: which category, and whether there is a value at all."""

from __future__ import annotations

import torch
from torch.nn.functional import one_hot

from privacy.mechanisms.normal_scores import NormalScores

DECISIVENESS = 8.0
"""How steeply a category's probability rises with its score while a network is fitted, which needs a slope to follow. A
release has the likeliest category: drawing each by its probability would part what belongs together."""


class Presence:
    """Which values of drawn participants are there.

    Args:
        scores: of a cohort in which some may be missing.
    """

    def __init__(self, scores: NormalScores) -> None:
        self._cells, self._presence = scores.cells, scores.encoding.presence
        self._staying: torch.Tensor | None = None  # (b, C), by the bin of the last cell
        if scores.encoding.schema.visits.dropout:
            self._staying = torch.from_numpy(~scores.encoding.left(scores.attended)).float()

    def of(self, last: torch.Tensor, indicated: dict[int, torch.Tensor]) -> torch.Tensor:
        """1 for scores of values that are there, and for those that say so of a visit that was attended.

        Args:
            last: bin of the last cell, with dropout the number of visits attended, (k, n).
            indicated: what is chosen for the scores that begin at a column, (k, n, c), with the slope of its chance.

        Returns:
            (k, n, W).
        """
        ones = torch.ones(*last.shape, 1)
        parts = []
        for number, cell in enumerate(self._cells):
            attending = ones if self._staying is None else self._staying[:, number][last].unsqueeze(-1)
            if number in self._presence:
                attending = attending * indicated[self._cells[self._presence[number]].first]
            there = attending * (1 - indicated[cell.flag]) if cell.flagged else attending
            parts.append(there.expand(-1, -1, cell.width))
            if cell.flagged:
                parts.append(attending)
        return torch.cat(parts, dim=-1)


def discrete_scores(scores: NormalScores) -> list[tuple[slice, torch.Tensor]]:
    """Columns of each nominal cell, and the shares (k,) of its categories that have a score; likewise of each flag."""
    found = []
    for number, cell in enumerate(scores.cells):
        if cell.measure.nominal:
            found.append((cell.columns, torch.from_numpy(scores.indicated(number)).float()))
        if cell.flagged:
            share = torch.tensor([scores.missing[number]]).float()
            found.append((slice(cell.flag, cell.flag + 1), share))
    return found


def standardised_indicators(indicators: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Indicators (..., c) over their standard deviation, with the mean 0 where shares are (c,)."""
    return (indicators - shares) / torch.sqrt(shares * (1 - shares))


def category_probabilities(scores: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Probability of each category that has a score.

    Args:
        scores: (..., k), or (..., 1) of a binary measure.
        shares: of these categories, (k,).
    """
    above = DECISIVENESS * (scores + torch.special.ndtri(shares))
    return torch.sigmoid(above) if len(shares) == 1 else torch.softmax(above, dim=-1)


def drawn_categories(probabilities: torch.Tensor, randomness: torch.Generator) -> torch.Tensor:
    """1 for the category that is drawn and 0 for others, (..., k); for a binary measure, (..., 1), perhaps for none."""
    if probabilities.shape[-1] == 1:
        return torch.bernoulli(probabilities, generator=randomness)
    flat = probabilities.reshape(-1, probabilities.shape[-1])
    drawn = torch.multinomial(flat, 1, generator=randomness).reshape(probabilities.shape[:-1])
    return one_hot(drawn, probabilities.shape[-1]).to(probabilities)
