"""A release beside what was measured of the trial, one figure at a time, each with the error that may explain it.

The release is measured as participants were. What is compared is linear in what was bought, so that its noise is
exactly Gaussian with a known standard deviation; to it comes the chance of drawing so many synthetic participants, and
of having enrolled so many real ones. Numbers are compared by shares on either side of the release's own median and
inside its own middle half, which have far less noise than moments have, and means by the products of normal scores,
which were bought most precisely.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.quality.bought import BoughtCell, bought_cells, mean_over_visits
from cohorts import Encoding, Participants, Schema
from cohorts.encoding import Cell
from cohorts.scale import BINS
from privacy.mechanisms.histograms import class_counts, size_variance
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.moments import COUNT_SHARE, NoisyProducts, lifted
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.two_way_tables import Parts

What = Literal["class", "share", "middle", "spread", "limit", "missing", "mean", "difference", "association", "table"]

EXCESSES: frozenset[What] = frozenset({"association", "table"})
"""Distances, which noise alone makes larger than 0: of these it is only what is more that strays."""

SURE = 3.0
"""Standard deviations of the noise beyond which a class surely has participants with a value."""

ALL, EVERY_VISIT = "all together", "over all visits"
Figures = tuple[float, float, float]
"""Of the release, as measured, and the standard deviation of their difference."""


@dataclass(frozen=True)
class Comparison:
    """One figure of the release beside what was measured.

    Args:
        what: the kind of figure.
        column: the measure; the label, of sizes of classes.
        visit: at which it was taken, or that it is over all after baseline; empty for a covariate.
        group: class, or classes, that it is of.
        detail: which share or difference, in words.
        released: the figure of the release.
        measured: the same as it was bought.
        sd: standard deviation of the difference that noise and sampling explain.
    """

    what: What
    column: str
    visit: str
    group: str
    detail: str
    released: float
    measured: float
    sd: float

    @property
    def difference(self) -> float:
        """Of the release from what was measured."""
        return self.released - self.measured

    @property
    def z(self) -> float:
        """The same in standard deviations."""
        return self.difference / self.sd


def comparisons(measured: Measured, release: Participants) -> list[Comparison]:
    """Shares, means and differences of a release that can be compared.

    Args:
        measured: what was bought.
        release: synthetic participants, under the schema that participants were measured under.
    """
    scores = NormalScores(release.schema, measured.histograms)
    of_cells = [*_of_histograms(measured, release, scores), *_of_means(measured, release, scores)]
    return [*_of_classes(measured, release, scores), *of_cells]


def _of_classes(measured: Measured, release: Participants, scores: NormalScores) -> Iterator[Comparison]:
    """How large each class is: a release has what the schema says of arms, or of any label where nothing was bought."""
    schema, sizes = release.schema, np.array([each.participants for each in measured.histograms])
    noise_sd = measured.histograms[0].noise_sd * math.sqrt(size_variance(scores.bins)) / sizes.sum()
    drawn = np.bincount(release.labels, minlength=len(sizes)) / len(release)
    for each, own, share in zip(schema.label.classes, drawn, sizes / sizes.sum(), strict=True):
        if len(sizes) > 1:
            of_noise = noise_sd * math.hypot(1 - share, *([share] * (len(sizes) - 1)))
            sd = math.hypot(of_noise, math.sqrt(share * (1 - share) / sizes.sum()))
            yield Comparison("class", schema.label.name, "", each.name, "share of participants", own, share, sd)


def _of_histograms(measured: Measured, release: Participants, scores: NormalScores) -> Iterator[Comparison]:
    schema, classes = release.schema, len(release.schema.label.classes)
    counts = class_counts(scores.encoding.positions(release.values), release.labels, scores.bins, classes)
    ends = np.cumsum([each.width for each in scores.bins])[:-1]
    drawn = [np.split(each, ends) for each in np.split(counts, classes)]  # [k][C] (w,)
    bought = [bought_cells(each, scores.bins) for each in measured.histograms]
    cells = range(len(scores.cells))
    pairs = [[_Pair(bought[label][number], drawn[label][number]) for label in range(classes)] for number in cells]
    for number, cell in enumerate(scores.cells):
        yield from _of_pairs(cell, visit_of(schema, cell), pairs[number], schema)
    for row in np.flatnonzero(schema.at_visits):
        own = [number for number, cell in enumerate(scores.cells) if cell.row == row and not cell.before]
        if len(own) > 1:
            together = [_Pair.over_visits([pairs[number][label] for number in own]) for label in range(classes)]
            yield from _of_pairs(scores.cells[own[-1]], EVERY_VISIT, together, schema)


@dataclass(frozen=True)
class _Pair:
    """One cell of one class, as it was bought and as it was drawn; both (w,)."""

    bought: BoughtCell
    drawn: np.ndarray

    @classmethod
    def over_visits(cls, pairs: Sequence[_Pair]) -> _Pair:
        """The mean over visits, of as many participants as there are at one: of what persists it shows far less."""
        return cls(BoughtCell.over_visits([p.bought for p in pairs]), mean_over_visits([p.drawn for p in pairs]))

    @property
    def present(self) -> bool:
        """Whether the release has anybody with a value, and the trial too, as far as is known."""
        known = self.bought.known
        return bool(known @ self.drawn > 0 and known @ self.bought.counts > SURE * self.bought.noise_of(known))


def _compared(pairs: Sequence[_Pair], above: np.ndarray, below: np.ndarray) -> Figures:
    """The ratio of two sums of counts, of classes together.

    Args:
        pairs: of each of the classes.
        above: which bins count above the line, (w,).
        below: which below, (w,).

    Returns:
        Of drawn counts, of bought ones, and the standard deviation of their difference, if there were none.
    """
    drawn, bought = (np.sum(each, axis=0) for each in zip(*((p.drawn, p.bought.counts) for p in pairs), strict=True))
    people = sum(each.bought.participants for each in pairs)
    base, known = float(below @ bought), float(below @ drawn)
    released = float(above @ drawn) / known
    contrast = above - released * below
    spread = float(drawn @ np.square(contrast)) / drawn.sum() / (known / drawn.sum()) ** 2
    # A share of which nobody was drawn has not no chance of being somebody's: that of half a participant.
    drawing = max(spread * (1 / drawn.sum() + 1 / people), (0.5 / known) ** 2)
    noise = math.hypot(*(each.bought.noise_of(contrast) for each in pairs)) / base
    return released, float(above @ bought) / base, math.sqrt(noise**2 + drawing)


def _of_pairs(cell: Cell, visit: str, pairs: Sequence[_Pair], schema: Schema) -> Iterator[Comparison]:
    """Figures of a cell, or of all visits of a measure, in each class and of the classes beside each other."""
    column = cell.measure.name
    for pair, each in zip(pairs, schema.label.classes, strict=True):
        if cell.may_lack and pair.drawn.any():
            found = _compared([pair], 1 - pair.bought.known, np.ones(len(pair.drawn)))
            yield Comparison("missing", column, visit, each.name, "share missing", *found)
        if pair.present:
            for what, detail, found in _of_values(cell, pair):
                yield Comparison(what, column, visit, each.name, detail, *found)
    if any(each.present for each in pairs):
        for detail, found in _at_limits(cell, pairs):
            yield Comparison("limit", column, visit, ALL, detail, *found)
    if cell.measure.discrete and not cell.before and pairs[0].present:
        for label, pair in enumerate(pairs[1:], 1):
            for place in _categories(cell) if pair.present else ():
                one, other = (_compared([each], _one(place, pair.bought.known), pair.bought.known)
                              for each in (pair, pairs[0]))  # fmt: skip
                detail = f"difference in the share of {cell.measure.categories[place]}"
                apart = one[0] - other[0], one[1] - other[1], math.hypot(one[2], other[2])
                yield Comparison("difference", column, visit, between(schema, label), detail, *apart)


def _of_values(cell: Cell, pair: _Pair) -> Iterator[tuple[What, str, Figures]]:
    """Shares among those of one class who have a value."""
    known = pair.bought.known
    if cell.measure.discrete:
        for place in _categories(cell):
            yield "share", f"share of {cell.measure.categories[place]}", _compared([pair], _one(place, known), known)
        return
    cumulative = np.cumsum(known * pair.drawn) / float(known @ pair.drawn)
    low, middle, high = (int(np.searchsorted(cumulative, share)) for share in (0.25, 0.5, 0.75))
    bins = np.arange(len(known))
    up_to_the_middle = (bins <= middle) * known
    if up_to_the_middle.sum() < known.sum():
        yield "middle", "share up to the release's median", _compared([pair], up_to_the_middle, known)
    inside = ((low <= bins) & (bins <= high)) * known
    yield "spread", "share within the release's middle half", _compared([pair], inside, known)


def _at_limits(cell: Cell, pairs: Sequence[_Pair]) -> Iterator[tuple[str, Figures]]:
    """Shares in the first and the last bin, of all classes together: a generator that is cut off has them all there."""
    if cell.measure.discrete or pairs[0].bought.values < BINS:
        return  # with fewer bins the first and the last are values like others
    known = pairs[0].bought.known
    for place, where in ((0, "lowest"), (pairs[0].bought.values - 1, "highest")):
        yield f"share in the {where} bin", _compared(pairs, _one(place, known), known)


def _of_means(measured: Measured, release: Participants, scores: NormalScores) -> Iterator[Comparison]:
    """Class means of numbers, and their differences, in standard deviations of the score."""
    schema, features = release.schema, scores.scores(release.values, release.labels) / LIMIT
    classes = [
        _ClassMeans.of(products, bought_cells(histograms, scores.bins)[0], features[release.labels == label])
        for label, (products, histograms) in enumerate(zip(measured.products, measured.histograms, strict=True))
    ]
    for cell in scores.cells:
        if cell.measure.discrete:
            continue
        column, visit, place = cell.measure.name, visit_of(schema, cell), cell.first
        for label, each in enumerate(classes):
            group = schema.label.classes[label].name
            yield Comparison("mean", column, visit, group, "mean, in standard deviations", *each.at(place))
            if label and not cell.before:
                one, other = each.at(place), classes[0].at(place)
                found = (one[0] - other[0], one[1] - other[1], math.hypot(one[2], other[2]))
                detail = "difference of means, in standard deviations"
                yield Comparison("difference", column, visit, between(schema, label), detail, *found)


@dataclass(frozen=True)
class _ClassMeans:
    """Means of shortened scores of one class over their root mean square: released, measured, and the error; (F,)."""

    released: np.ndarray
    measured: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, products: NoisyProducts, bought: BoughtCell, features: np.ndarray) -> _ClassMeans:
        """Of a class's products, any of its cells, and the features (n, F) of its synthetic participants."""
        if not len(features):
            nothing = np.full(products.mean.shape[0] - 1, np.nan)
            return cls(nothing, nothing, nothing)
        unit = lifted(features, products.radius)[:, 1:]  # (n, F)
        size = float(np.sqrt(np.square(unit).mean()))  # of a usual score, since all have the variance 1
        # The sum that was bought, over what all histograms say the class's size is: together they say it best.
        sums = products.mean[0, 1:] * products.participants / math.sqrt(COUNT_SHARE)  # (F,)
        noise = products.noise_sd * products.participants / math.sqrt(2 * COUNT_SHARE)
        mean = unit.mean(axis=0)
        of_noise = np.hypot(noise, mean * bought.size_sd) / bought.participants
        drawing = unit.var(axis=0) * (1 / len(unit) + 1 / bought.participants)
        return cls(mean / size, sums / bought.participants / size, np.sqrt(of_noise**2 + drawing) / size)

    def at(self, place: int) -> tuple[float, float, float]:
        """Of one score."""
        return float(self.released[place]), float(self.measured[place]), float(self.sd[place])


def associations(measured: Measured, release: Participants, but: Collection[str]) -> Iterator[Comparison]:
    """How far each measure's products with all others are from those that were bought, by their root mean square.

    Noise and sampling alone make that of about 1 standard deviation; what is more is the release's own.

    Args:
        measured: what was bought.
        release: synthetic participants.
        but: measures to leave out: one that strays by itself would have all others stray in their products with it.
    """
    scores = NormalScores(release.schema, measured.histograms)
    features = scores.scores(release.values, release.labels) / LIMIT
    schema = release.schema
    if min(np.bincount(release.labels, minlength=len(schema.label.classes))) == 0:
        return
    owner = np.array([measure for measure, _, _ in scores.encoding.places])
    counted = np.array([schema.all_measures[row].name not in but for row in owner])
    if not counted.any():
        return
    pairs = [
        _differences_of_products(products, histograms.participants, features[release.labels == label], counted)
        for label, (products, histograms) in enumerate(zip(measured.products, measured.histograms, strict=True))
    ]
    differences, errors = (np.array(each) for each in zip(*pairs, strict=True))  # (k, F, F)
    pairs_once = np.triu(np.outer(counted, counted), 1)
    for row, measure in enumerate(schema.all_measures):
        own = owner == row
        which = np.broadcast_to(pairs_once & (own[:, None] | own), differences.shape)
        if not which.any():
            continue
        found, explained = (float(np.sqrt(np.square(each[which]).mean())) for each in (differences, errors))
        surprise = (float(np.square(differences[which] / errors[which]).mean()) - 1) * math.sqrt(which.sum() / 2)
        sd = abs((found - explained) / surprise) if surprise else explained
        detail = "root mean square difference of its correlations"
        yield Comparison("association", measure.name, "", ALL, detail, found, explained, max(sd, 1e-9))


def _differences_of_products(
    products: NoisyProducts, participants: float, features: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Products of shortened scores less those that were bought, and the error, both about as correlations: (F, F).

    Each is over the mean square of the scores that count, since one that strays also changes how much vectors are
    shortened, and so all products alike.
    """
    unit = lifted(features, products.radius)[:, 1:]  # (n, F)
    mean, squares = unit.T @ unit / len(unit), np.square(unit).T @ np.square(unit) / len(unit)
    bought = products.mean[1:, 1:]
    size = float(mean.diagonal()[counted].mean())
    size_bought = max(float(bought.diagonal()[counted].mean()), products.noise_sd / math.sqrt(counted.sum()))
    drawing = (squares - mean**2).clip(0) * (1 / len(unit) + 1 / participants) / size**2
    noise = products.noise_sd / math.sqrt(2) / size_bought
    return mean / size - bought / size_bought, np.sqrt(noise**2 + drawing)


def visit_of(schema: Schema, cell: Cell) -> str:
    """The visit's name; empty for what is known once for a participant."""
    return schema.visit_names[cell.visit] if schema.at_visits[cell.row] else ""


def between(schema: Schema, label: int) -> str:
    """A class and the first one, as in a difference."""
    return f"{schema.label.classes[label].name} less {schema.label.classes[0].name}"


def _categories(cell: Cell) -> range:
    """Those whose shares say all: of a binary measure the second."""
    return range(cell.measure.kind == "binary", len(cell.measure.categories))


def _one(place: int, known: np.ndarray) -> np.ndarray:
    which: np.ndarray = np.arange(len(known)) == place
    return which.astype(float)


def tables(measured: Measured, release: Participants, but: Set[str]) -> Iterator[Comparison]:
    """How far two-way tables are from those that were bought: half the sum of absolute differences of their shares.

    That is the share of participants who would have to be in another part. Arguments as those of ``associations``.
    """
    if not measured.tables:
        return
    scores = NormalScores(release.schema, measured.histograms)
    parts, participants = Parts(scores, measured.tables[0].parts), sum(each.participants for each in measured.products)
    counts = parts.counts(parts.of(release.values, release.labels))
    for each in measured.tables:
        one, other = (scores.cells[number] for number in each.cells)
        if but & {one.measure.name, other.measure.name}:
            continue
        shares = parts.table(counts, *each.cells) / len(release)
        variances = each.noise_sd**2 + shares * (1 - shares) * (1 / len(release) + 1 / participants)
        released = float(np.abs(shares - each.shares).sum()) / 2
        explained = float(np.sqrt(variances * 2 / math.pi).sum()) / 2  # means and variances of absolute normal numbers
        sd = math.sqrt((1 - 2 / math.pi) * float(variances.sum())) / 2
        detail = f"share in another part of its table with {_named(release.schema, other)}"
        yield Comparison("table", one.measure.name, visit_of(release.schema, one), ALL, detail, released, explained, sd)


def pairs_in_tables(measured: Measured, schema: Schema) -> tuple[str, ...]:
    """Names of the pairs of which two-way tables were bought: nodes with chemotherapy."""
    cells = Encoding(schema).cells
    return tuple(" with ".join(_named(schema, cells[number]) for number in each.cells) for each in measured.tables)


def _named(schema: Schema, cell: Cell) -> str:
    return " ".join(part for part in (cell.measure.name, visit_of(schema, cell)) if part)
