"""Residuals of two-way tables: how many draws are in each part, beside how many participants were counted there."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn.functional import one_hot

from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.normal_scores import NormalScores
from privacy.mechanisms.two_way_tables import Parts

STEEPNESS = 12.0
"""How steeply a draw counts below the edge of a part, for the slope; what is counted are whole draws."""


class TableResiduals:
    """Differences between the tables of a batch of draws and those that were measured, over their standard errors.

    Args:
        measured: what was bought.
        scores: that its histograms define.
    """

    def __init__(self, measured: Measured, scores: NormalScores) -> None:
        self._cells = scores.cells
        self._tables = [(each, torch.from_numpy(each.shares).float()) for each in measured.tables]
        sizes = torch.tensor([each.participants for each in measured.histograms])
        self._class_shares = (sizes / sizes.sum()).float()  # (k,)
        self._edges: dict[int, torch.Tensor] = {}  # of each cell that is not nominal, (k, e)
        if measured.tables:
            parts = Parts(scores, measured.tables[0].parts)
            chosen = {cell for each in measured.tables for cell in each.cells}
            for number in chosen:
                if (edges := parts.edges[number]) is not None:
                    self._edges[number] = torch.from_numpy(edges).float().contiguous()

    def loss(
        self,
        drawn: torch.Tensor,
        indicated: Mapping[int, torch.Tensor],
        there: torch.Tensor | None,
        batch_variance: float,
    ) -> torch.Tensor:
        """Sum of squared residuals; see ``Residuals.loss``.

        Args:
            drawn: normal scores of n draws of each class, (k, n, W), n even.
            indicated: which categories were drawn, by the first of their columns, (k, n, c).
            there: which scores are of a value that is there, (k, n, W); None where all are.
            batch_variance: how much of the variance of the batch is added to that of the noise.
        """
        loss = drawn.new_zeros(())
        for table, shares in self._tables:
            first, second = (self._in_parts(number, drawn, indicated, there) for number in table.cells)
            halves = (each.unflatten(1, (2, -1)) for each in (first, second))  # (k, 2, n / 2, parts)
            counted = torch.einsum("c,chna,chnb->hab", self._class_shares, *halves) / (drawn.shape[1] / 2)
            likely = shares.clamp(0, 1)
            of_batch = (likely * (1 - likely) + 1e-3) / (drawn.shape[0] * drawn.shape[1])
            variance = table.noise_sd**2 + batch_variance * of_batch
            one, other = counted - shares
            loss = loss + (one * other / variance).sum()
        return loss

    def _in_parts(
        self,
        number: int,
        drawn: torch.Tensor,
        indicated: Mapping[int, torch.Tensor],
        there: torch.Tensor | None,
    ) -> torch.Tensor:
        """1 for the part of a cell that each draw is in, (k, n, parts), with the slope of being a little elsewhere."""
        cell = self._cells[number]
        if cell.measure.nominal:
            chosen = indicated[cell.first]
            inside = torch.cat([1 - chosen, chosen], dim=-1) if chosen.shape[-1] == 1 else chosen
        else:
            edges, scores = self._edges[number], drawn[..., cell.first]  # (k, e), (k, n)
            below = torch.sigmoid(STEEPNESS * (edges[:, None] - scores[..., None]))  # (k, n, e)
            ends = below.new_zeros(*below.shape[:-1], 1)
            softly = torch.diff(torch.cat([ends, below, ends + 1], dim=-1), dim=-1)
            place = torch.searchsorted(edges, scores.detach().contiguous())
            inside = softly + (one_hot(place, softly.shape[-1]) - softly).detach()
        if not cell.may_lack:
            return inside
        assert there is not None
        present = there[..., cell.first, None]
        return torch.cat([inside * present, 1 - present], dim=-1)
