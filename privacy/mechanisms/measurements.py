"""What is measured once: histograms first, then moments of the normal scores that they make of each measure.

Class means and covariances of the scores say how measures and visits hang together; two-way tables of a few pairs, what
these do not say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import dp_accounting
import numpy as np
from threadpoolctl import threadpool_limits

from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.gaussian import scale_for
from privacy.mechanisms.histograms import ClassHistograms, NoisyHistograms
from privacy.mechanisms.labels import labels_by_shares
from privacy.mechanisms.mechanism import Kind, Whole
from privacy.mechanisms.moments import SENSITIVITY, ClassMoments, NoisyMoments, NoisyProducts, alike_before
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.shrinkage import smooth_products
from privacy.mechanisms.two_way_tables import Known, NoisyTables, TwoWayTable

RADIUS = 0.5
"""The 2-norm that vectors of F scores are clipped to, over sqrt(F). Most participants are shortened by it, so what is
measured are hardly more than directions, which has the most signal for its noise; generators are fitted to what
shortened draws measure. How large scores are is known from the histograms."""

HISTOGRAMS_SHARE = 0.35
"""Of what tables leave of rho, for the histograms; moments get the rest."""

TABLES_SHARE = 0.1
"""Of rho, for choosing and counting two-way tables, where these are not mostly noise."""


@dataclass(frozen=True)
class Measured:
    """What was measured about a cohort: safe to look at.

    Args:
        histograms: of each class.
        products: of the normal scores, over LIMIT, of each class.
        tables: of some pairs of cells.
    """

    histograms: tuple[ClassHistograms, ...]
    products: tuple[NoisyProducts, ...]
    tables: tuple[TwoWayTable, ...] = ()

    def moments(self, normal_scores: NormalScores) -> tuple[ClassMoments, ...]:
        """Mean and covariance of the normal scores, over LIMIT, of each class, as if every value were there.

        Shortened vectors say too little of both. The mean square of the scores is known, which says how much too little
        in the mean.

        Args:
            normal_scores: those of ``histograms``.
        """
        classes = [each.moments for each in self.products]
        sizes = [each.participants for each in self.products]
        squares = [np.trace(each.covariance) + each.mean @ each.mean for each in classes]
        wanted = normal_scores.present.sum() / LIMIT**2
        larger = wanted / float(np.average(squares, weights=sizes)) / normal_scores.present  # (W,)
        roots = np.sqrt(larger)
        scaled = [ClassMoments(roots * each.mean, np.outer(roots, roots) * each.covariance) for each in classes]
        return tuple(alike_before(scaled, normal_scores.encoding.before, normal_scores.shares))

    def draw(self, schema: Schema, participants: int, randomness: np.random.Generator) -> Participants:
        """Participants whose normal scores are Gaussian in each class; made from released and public numbers alone.

        Args:
            schema: of the cohort.
            participants: how many; public, such as the nominal size.
            randomness: any; there is nothing to hide here.

        Returns:
            A cohort with ids S0, S1 and so on, its classes in random order.
        """
        normal_scores = NormalScores(schema, self.histograms)
        labels = labels_by_shares(normal_scores.shares, participants, randomness)
        scores = np.empty((participants, normal_scores.width))
        for label, moments in enumerate(self.moments(normal_scores)):
            scores[labels == label] = LIMIT * moments.sample(int((labels == label).sum()), randomness)
        ids = np.array([f"S{number}" for number in range(participants)])
        return Participants(schema, ids, labels, normal_scores.values(scores, labels))

    def known(self, scores: NormalScores) -> Known:
        """What tables are chosen by."""
        return Known(scores, self.products, self.moments(scores), [each.participants for each in self.histograms])

    def content(self) -> dict[str, Any]:
        """All of it as numbers and lists, for a file."""
        return {
            "histograms": [
                {
                    "counts": each.counts.tolist(),
                    "noise_sd": each.noise_sd,
                    "participants": each.participants,
                    "limits": each.limits.tolist(),
                    "smooth": each.smooth.tolist(),
                }
                for each in self.histograms
            ],
            "products": [
                {
                    "mean": each.mean.tolist(),
                    "noise_sd": each.noise_sd,
                    "radius": each.radius,
                    "participants": each.participants,
                    "smooth": each.smooth.tolist(),
                }
                for each in self.products
            ],
            "tables": [each.content() for each in self.tables],
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Measured:
        """What ``content`` took apart."""
        histograms = (
            ClassHistograms(**each | _arrays(each, "counts", "limits", "smooth")) for each in content["histograms"]
        )
        products = (NoisyProducts(**each | _arrays(each, "mean", "smooth")) for each in content["products"])
        return cls(tuple(histograms), tuple(products), tuple(map(TwoWayTable.of, content.get("tables", ()))))


@dataclass(frozen=True)
class Measurements(Whole):
    """Histograms of every cell, means and covariances of the normal scores that they define, by class, and tables.

    Guarantee: ``event``, the composition of all; what one of them measures may depend on what those before it released.

    Args:
        schema: of the cohort.
        histograms: the first mechanism.
        moments: the second, of scores over LIMIT.
        tables: the third, of a few pairs of cells; None where they would be mostly noise.
    """

    schema: Schema
    histograms: NoisyHistograms
    moments: NoisyMoments
    tables: NoisyTables | None

    kind: ClassVar[Kind] = "measurement"

    @classmethod
    def costing(
        cls, schema: Schema, split_share: float, rho: float, histograms_share: float = HISTOGRAMS_SHARE
    ) -> Measurements:
        """The least noise whose charge is at most ``rho``, in zCDP; see ``NoisyMoments.costing``."""
        tables = NoisyTables.costing(schema, split_share, rho * TABLES_SHARE)
        left = rho if tables is None else rho * (1 - TABLES_SHARE)
        histograms = NoisyHistograms.costing(schema, split_share, left * histograms_share)
        width = Encoding(schema).width
        radius, noise_sd = RADIUS * math.sqrt(width) / LIMIT, scale_for(left * (1 - histograms_share), SENSITIVITY)
        return cls(schema, histograms, NoisyMoments(width, radius, histograms.expected, noise_sd), tables)

    @property
    def event(self) -> dp_accounting.ComposedDpEvent:
        """The charge of one ``release``; to be written to the ledger before it."""
        of_tables = [] if self.tables is None else self.tables.event.events
        return dp_accounting.ComposedDpEvent([self.histograms.event, self.moments.event, *of_tables])

    def release(self, values: np.ndarray, labels: np.ndarray) -> Measured:
        """Measure participants.

        Args:
            values: (n, M, V), in each measure's unit. Sensitive.
            labels: number of the class, (n,). Sensitive.

        Returns:
            What was measured: protected at the price of ``event``.
        """
        with threadpool_limits(limits=1):  # matrices are small: threads would wait for each other
            histograms = self.histograms.release(Encoding(self.schema).positions(values), labels)
            normal_scores = NormalScores(self.schema, histograms)
            products = self.moments.release(normal_scores.scores(values, labels) / LIMIT, labels)
            smooth = smooth_products(products, normal_scores.encoding.places)
            measured = Measured(
                histograms, tuple(replace(each, smooth=matrix) for each, matrix in zip(products, smooth, strict=True))
            )
            if self.tables is None:
                return measured
            tables = self.tables.release(values, labels, measured.known(normal_scores))
        return replace(measured, tables=tables)


def _arrays(content: Mapping[str, Any], *names: str) -> dict[str, np.ndarray]:
    return {name: np.array(content[name]) for name in names}
