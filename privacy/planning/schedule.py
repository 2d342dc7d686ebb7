"""How much a search trains and scores, foretold from public numbers."""

from __future__ import annotations

import itertools
import math

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Schedule(BaseModel):
    """Trials that are scored at the same epochs, where the poor ones may be stopped.

    Args:
        trials: how many begin; 0 where there is no such search.
        rungs: epochs after which a trial is scored, ascending; 0 scores it as it begins.
        reduction_factor: one in so many goes on past a rung; 1 where none is stopped.

    Example:
        ASHA trains 27 trials for about a sixth of the 27 * 27 epochs that they ask for.

        >>> schedule = Schedule(trials=27, rungs=(1, 3, 9, 27), reduction_factor=3)
        >>> [round(trials, 1) for trials in schedule.reaching]
        [27.0, 10.6, 5.0, 2.7]
        >>> round(schedule.epochs)
        127
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int = Field(ge=0)
    rungs: tuple[int, ...] = Field(min_length=1)
    reduction_factor: int = Field(default=1, ge=1)

    @classmethod
    def nothing(cls) -> Schedule:
        """No trial, no epoch, no score."""
        return cls(trials=0, rungs=(0,))

    @model_validator(mode="after")
    def _ascending(self) -> Schedule:
        if self.rungs[0] < 0 or any(later <= earlier for earlier, later in itertools.pairwise(self.rungs)):
            raise ValueError(f"the rungs {self.rungs} must ascend, the first being 0 or more")
        return self

    @property
    def reaching(self) -> tuple[float, ...]:
        """How many trials are expected to be scored at each rung.

        A trial is compared with those that reached the rung before it, and goes on if it is among the best
        ceil(k / reduction_factor) of the k so far. That is a chance of ceil(k / reduction_factor) / k where all are
        alike, so a few more go on than one in ``reduction_factor``.

        Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2.
        """
        counts = [float(self.trials)]
        for _ in self.rungs[1:]:
            arriving = round(counts[-1])
            counts.append(
                max(
                    min(1.0, counts[0]),
                    math.fsum(math.ceil(k / self.reduction_factor) / k for k in range(1, arriving + 1)),
                )
            )
        return tuple(counts)

    @property
    def epochs(self) -> float:
        """Epochs that all trials together are expected to train."""
        lengths = (later - earlier for earlier, later in itertools.pairwise((0, *self.rungs)))
        return math.fsum(trials * length for trials, length in zip(self.reaching, lengths, strict=True))

    @property
    def scores(self) -> float:
        """Releases of scores that are expected."""
        return math.fsum(self.reaching)
