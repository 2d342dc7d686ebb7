"""An outcome that is a time to an event, perhaps censored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from cohorts.labels.outcome_label import OutcomeLabel
from cohorts.labels.stretches import Stretch, Stretches
from cohorts.measure import Measure
from cohorts.parts import Category, Frozen, Name
from cohorts.spelling import require_distinct, typed
from cohorts.value_columns import in_units


class Status(Frozen):
    """The column that says how the follow-up of a participant ended.

    Args:
        column: its name.
        event: values that mean that the event happened; a cohort is written back with the first.
        censored: values that mean that it had not happened when the follow-up ended; likewise.
    """

    column: Name
    event: tuple[Category, ...] = Field(default=(1,), min_length=1)
    censored: tuple[Category, ...] = Field(default=(0,), min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Status:
        require_distinct("status", (*self.event, *self.censored))
        return self


class SurvivalLabel(OutcomeLabel):
    """Time to an event, of which the status at public landmarks makes the classes.

    The classes are: event before the first landmark, event from there to before the second and so on, no event before
    the last. With a share more than that, those whose follow-up ended before the last landmark without event are a
    class of their own, the last. From the horizon on nobody is followed: a longer follow-up is censored at the horizon,
    where nobody has the event.

    Args:
        time: column of the time from which the follow-up is counted to event or censoring, 0 or more.
        status: column that says which.
        horizon: public end of the follow-up, in the unit of the time.
        landmarks: times, ascending.
        by: covariate of categories by which survival is drawn and compared, such as the arm.
    """

    kind: Literal["survival"]
    time: Name
    status: Status
    horizon: float = Field(gt=0)
    landmarks: tuple[float, ...] = Field(min_length=1)
    by: Name | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SurvivalLabel:
        if any(one >= next for one, next in pairwise((0.0, *self.landmarks))):
            listed = ", ".join(f"{each:g}" for each in self.landmarks)
            raise ValueError(f"landmarks {listed} do not ascend from above 0; write them in order")
        if self.landmarks[-1] > self.horizon:
            raise ValueError(f"landmarks: {self.landmarks[-1]:g} is after the horizon {self.horizon:g}")
        self.check_scale(("horizon", self.horizon), *(("landmarks", each) for each in self.landmarks))
        self.check_shares(len(self.landmarks) + 1, len(self.landmarks) + 2)
        return self

    def check_curves(self, covariates: Sequence[Measure]) -> None:
        """Raise ValueError where curves are to be drawn by what is none of a trial's covariates of categories."""
        groups = [covariate.name for covariate in covariates if covariate.discrete]
        if self.by is not None and self.by not in groups:
            meant = next((each.name for each in covariates if each.column == self.by), None)
            remedy = (
                f"say by: {meant}, the name of the covariate, not its column" if meant in groups else "name one of them"
            )
            raise ValueError(
                f"label {self.name}: by names {self.by}, which is not a covariate of categories "
                f"({', '.join(groups) or 'there is none'}); curves are drawn by one: {remedy}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (self.time, self.status.column)

    @property
    def texts(self) -> tuple[Category, ...]:
        """What may stand in these columns besides numbers."""
        return (*self.status.event, *self.status.censored)

    @property
    def censored_apart(self) -> bool:
        """Whether those who were censored before the last landmark are a class of their own."""
        return len(self.shares) > len(self.landmarks) + 1

    @property
    def number(self) -> Measure:
        """The time, as a measure that stands in the file."""
        return self.on_scale(self.time, 0, self.horizon)

    @property
    def stretches(self) -> Stretches:
        """What each class has of the time."""
        points = [self.in_steps(each) for each in (0, *self.landmarks)]
        last, end = points[-1], self.in_steps(self.horizon)
        classes = [[Stretch(one, next - one, event=True)] for one, next in pairwise(points)]
        later = [Stretch(last, end - last, event=True)] if last < end else []
        censored = last if self.censored_apart else 0
        later += [Stretch(censored, end - censored)] if censored < end else []
        classes.append([*later, Stretch(end, 1)])
        if self.censored_apart:
            classes.append([Stretch(0, last)])
        return Stretches(classes, self.decimals)

    @property
    def usual_names(self) -> tuple[str, ...]:
        """Names of the classes that say what they are."""
        between = [f"event from {one:g} to before {next:g}" for one, next in pairwise(self.landmarks)]
        last = f"{self.landmarks[-1]:g}"
        end = [f"followed to {last}", f"censored before {last}"] if self.censored_apart else [f"no event before {last}"]
        return tuple(self.with_unit(each) for each in (f"event before {self.landmarks[0]:g}", *between, *end))

    def followed(self, times: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Times (n,) and events (n,) as they are known within the horizon, times rounded to the scale."""
        rounded = np.round(times, self.decimals)
        return np.minimum(rounded, self.horizon), events & (rounded < self.horizon)

    def written(self, labels: np.ndarray, positions: np.ndarray) -> dict[str, Any]:
        """Columns of the file, (n,) each, from classes (n,) and positions within them (n,)."""
        times, events = self.stretches.at(labels, positions)
        codes = typed([self.status.censored[0], self.status.event[0]])
        return {self.time: in_units(self.number, times), self.status.column: codes[events.astype(int)]}
