"""What values a hyperparameter may take, whoever declares it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Literal

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Domain:
    """The legal values of one hyperparameter.

    Args:
        kind: a real number, a whole number, or one of ``choices``.
        low: smallest legal number, None for no limit.
        high: largest legal number, None for no limit.
        choices: the legal values of kind ``choice``.
        low_open: ``low`` itself is not legal.
        high_open: ``high`` itself is not legal.
        gap: of numbers above 0 only those from here on are legal.
    """

    kind: Literal["float", "integer", "choice"]
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    low_open: bool = False
    high_open: bool = False
    gap: float = 0.0

    @property
    def description(self) -> str:
        """What is legal, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.gap:
            return f"0 or {replace(self, low=self.gap, gap=0.0).description}"
        limits = []
        if self.low is not None:
            limits.append(f"{'above' if self.low_open else 'of at least'} {self.low:g}")
        if self.high is not None:
            limits.append(f"{'below' if self.high_open else 'of at most'} {self.high:g}")
        number = "a whole number" if self.kind == "integer" else "a number"
        return " ".join([number, " and ".join(limits)]).strip()

    def problem(self, value: object) -> str | None:
        """Say in words why a value is not legal.

        Returns:
            A clause such as "-1 is below 0", or None for a legal value.
        """
        if self.kind == "choice":
            return None if value in self.choices else f"{value!r} is not one of {', '.join(self.choices)}"
        # bool is an int to Python; nobody means a number by `true`.
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{value!r} is not a number"
        if not abs(value) <= sys.float_info.max:
            return f"{value} is not a finite number"
        if self.kind == "integer" and not isinstance(value, int):
            return f"{value} is not a whole number"
        return self._outside(value)

    def _outside(self, value: float) -> str | None:
        if self.low is not None and (value <= self.low if self.low_open else value < self.low):
            return f"{value:g} is not above {self.low:g}" if self.low_open else f"{value:g} is below {self.low:g}"
        if self.high is not None and (value >= self.high if self.high_open else value > self.high):
            return f"{value:g} is not below {self.high:g}" if self.high_open else f"{value:g} is above {self.high:g}"
        if 0 < value < self.gap:
            return f"{value:g} is above 0 and below {self.gap:g}"
        return None
