"""The kinds of entry a search space may have; each draws one hyperparameter's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from optuna import Trial

from search_spaces.domain import Scalar


class Entry(Protocol):
    """How one hyperparameter gets its value."""

    def draw(self, name: str, trial: Trial, drawn: Mapping[str, Scalar]) -> Scalar:
        """Give the value, asking ``trial`` where it is searched; ``drawn`` are the entries before this one."""

    def may_be(self, value: Scalar) -> bool:
        """Whether some trial could draw ``value``."""

    def may_suggest(self, value: Scalar) -> bool:
        """Whether Optuna could suggest ``value``."""

    def values(self) -> tuple[Scalar, ...]:
        """The values listed for it; empty for a range."""

    def least(self) -> float:
        """The least number it may give; only of an entry that gives numbers."""

    def greatest(self) -> float:
        """The greatest number it may give; likewise."""

    def spec(self) -> Any:
        """The entry as a search space file says it."""


@dataclass(frozen=True)
class Fixed:
    """The same value in every trial."""

    value: Scalar

    def draw(self, name: str, trial: Trial, drawn: Mapping[str, Scalar]) -> Scalar:
        """Give the value."""
        return self.value

    def may_be(self, value: Scalar) -> bool:
        """Whether it is the value."""
        return value == self.value

    def may_suggest(self, value: Scalar) -> bool:
        """No: Optuna suggests nothing."""
        return False

    def values(self) -> tuple[Scalar, ...]:
        """The value."""
        return (self.value,)

    def least(self) -> float:
        """The value."""
        return float(self.value)

    def greatest(self) -> float:
        """The value."""
        return float(self.value)

    def spec(self) -> Any:
        """The bare value."""
        return self.value


@dataclass(frozen=True)
class Uniform:
    """A real number from ``low`` to ``high``, even on the line or, with ``log``, in its logarithm."""

    low: float
    high: float
    log: bool = False

    def draw(self, name: str, trial: Trial, drawn: Mapping[str, Scalar]) -> Scalar:
        """Ask the trial for a number."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def may_be(self, value: Scalar) -> bool:
        """Whether a number lies in the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    may_suggest = may_be

    def values(self) -> tuple[Scalar, ...]:
        """Nothing: a range lists no values."""
        return ()

    def least(self) -> float:
        """Where the range begins."""
        return self.low

    def greatest(self) -> float:
        """Where the range ends."""
        return self.high

    def spec(self) -> Any:
        """``{uniform: [low, high]}`` or ``{log_uniform: [low, high]}``."""
        return {"log_uniform" if self.log else "uniform": [self.low, self.high]}


@dataclass(frozen=True)
class Integer:
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int
    log: bool = False

    def draw(self, name: str, trial: Trial, drawn: Mapping[str, Scalar]) -> Scalar:
        """Ask the trial for a whole number."""
        return trial.suggest_int(name, self.low, self.high, log=self.log)

    def may_be(self, value: Scalar) -> bool:
        """Whether a whole number lies in the range."""
        return isinstance(value, int) and self.low <= value <= self.high

    may_suggest = may_be

    def values(self) -> tuple[Scalar, ...]:
        """Nothing: a range lists no values."""
        return ()

    def least(self) -> float:
        """Where the range begins."""
        return self.low

    def greatest(self) -> float:
        """Where the range ends."""
        return self.high

    def spec(self) -> Any:
        """``{integer: [low, high]}``, with ``log: true`` where it applies."""
        return {"integer": [self.low, self.high], **({"log": True} if self.log else {})}


@dataclass(frozen=True)
class Categorical:
    """One of a few values."""

    choices: tuple[Scalar, ...]

    def draw(self, name: str, trial: Trial, drawn: Mapping[str, Scalar]) -> Scalar:
        """Ask the trial for one of the values."""
        choice = trial.suggest_categorical(name, self.choices)
        assert choice is not None
        return choice

    def may_be(self, value: Scalar) -> bool:
        """Whether it is one of the values."""
        return value in self.choices

    may_suggest = may_be

    def values(self) -> tuple[Scalar, ...]:
        """The choices."""
        return self.choices

    def least(self) -> float:
        """The smallest choice."""
        return min(map(float, self.choices))

    def greatest(self) -> float:
        """The largest choice."""
        return max(map(float, self.choices))

    def spec(self) -> Any:
        """``{categorical: [...]}``."""
        return {"categorical": list(self.choices)}


@dataclass(frozen=True)
class Conditional:
    """Another entry where earlier hyperparameters have given values, a fixed value elsewhere."""

    entry: Fixed | Uniform | Integer | Categorical
    when: tuple[tuple[str, Scalar], ...]
    otherwise: Scalar

    def draw(self, name: str, trial: Trial, drawn: Mapping[str, Scalar]) -> Scalar:
        """Draw from the entry if every condition holds."""
        if all(drawn[other] == value for other, value in self.when):
            return self.entry.draw(name, trial, drawn)
        return self.otherwise

    def may_be(self, value: Scalar) -> bool:
        """Whether either branch could draw it."""
        return value == self.otherwise or self.entry.may_be(value)

    def may_suggest(self, value: Scalar) -> bool:
        """Whether the branch that is searched could."""
        return self.entry.may_suggest(value)

    def values(self) -> tuple[Scalar, ...]:
        """The values listed for either branch."""
        return (*self.entry.values(), self.otherwise)

    def least(self) -> float:
        """The smaller one of both branches."""
        return min(self.entry.least(), float(self.otherwise))

    def greatest(self) -> float:
        """The larger one of both branches."""
        return max(self.entry.greatest(), float(self.otherwise))

    def spec(self) -> Any:
        """The entry with ``when`` and ``otherwise`` beside it."""
        inner = {"fixed": self.entry.value} if isinstance(self.entry, Fixed) else self.entry.spec()
        return {**inner, "when": dict(self.when), "otherwise": self.otherwise}
