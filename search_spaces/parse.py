"""From what a search space file says to entries, every mistake named."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from search_spaces.domain import Domain, Scalar
from search_spaces.entry import Categorical, Conditional, Entry, Fixed, Integer, Uniform
from search_spaces.errors import SearchSpaceError

KINDS = ("uniform", "log_uniform", "integer", "categorical", "fixed")
OPTIONS = ("log", "when", "otherwise")
HOW_TO_SEARCH = {
    "float": "{uniform: [low, high]} or {log_uniform: [low, high]}",
    "integer": "{integer: [low, high]}",
    "choice": "{categorical: [value, ...]}",
}


def parse_entries(
    content: Mapping[Any, Any], domains: Mapping[str, Domain], path: Path
) -> tuple[tuple[str, Entry], ...]:
    """Turn a file's mapping into entries.

    Args:
        content: what the file says, in its order.
        domains: every hyperparameter there is.
        path: the file, for error messages.

    Returns:
        (hyperparameter, entry) pairs in the file's order.

    Raises:
        SearchSpaceError: names the file and the key of the first mistake.

    Example:
        >>> domains = {"rate": Domain("float", low=0, low_open=True), "layers": Domain("integer", low=1, high=4)}
        >>> dict(parse_entries({"rate": {"log_uniform": [0.001, 0.1]}, "layers": 2}, domains, Path("mine.yaml")))
        {'rate': Uniform(low=0.001, high=0.1, log=True), 'layers': Fixed(value=2)}
        >>> parse_entries({"layers": {"integer": [2, 8]}}, domains, Path("mine.yaml"))
        Traceback (most recent call last):
        search_spaces.errors.SearchSpaceError: Search space mine.yaml, key 'layers': 8 is above 4. 'layers' takes a
        whole number of at least 1 and of at most 4; a search over it is written {integer: [low, high]}.
    """
    parsed: dict[str, Entry] = {}
    for name, spec in content.items():
        if name not in domains:
            raise SearchSpaceError(
                f"Search space {path}, key '{name}': there is no such hyperparameter.{closest(name, domains)} "
                f"Hyperparameters are {', '.join(domains)}."
            )
        parsed[name] = _Key(path, name, domains, parsed, list(content)).parse(spec)
    return tuple(parsed.items())


def closest(name: object, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """A clause " Did you mean …?" if some known name looks like this one, else nothing."""
    matches = get_close_matches(str(name), list(known), n=1)
    return f" Did you mean '{matches[0]}'?" if matches else ""


class _Key:
    """One line of a search space file, with what is needed to judge it."""

    def __init__(
        self,
        path: Path,
        name: str,
        domains: Mapping[str, Domain],
        earlier: Mapping[str, Entry],
        names: list[Any],
    ) -> None:
        self.path, self.name, self.domains, self.earlier, self.names = path, name, domains, earlier, names
        self.domain = domains[name]

    def fail(self, what: str, remedy: str = "") -> NoReturn:
        raise SearchSpaceError(f"Search space {self.path}, key '{self.name}': {what}.{remedy and ' ' + remedy}")

    @property
    def remedy(self) -> str:
        how = HOW_TO_SEARCH[self.domain.kind]
        return f"'{self.name}' takes {self.domain.description}; a search over it is written {how}."

    def parse(self, spec: Any) -> Entry:
        if not isinstance(spec, dict):
            return Fixed(self.legal(spec))
        for option in spec:
            if option not in KINDS + OPTIONS:
                self.fail(
                    f"'{option}' is not a kind of entry", (closest(option, KINDS + OPTIONS) + " " + self.remedy).strip()
                )
        kinds = [kind for kind in KINDS if kind in spec]
        if len(kinds) != 1:
            self.fail(f"it is given as {' and '.join(kinds)}" if kinds else "it has no range and no value", self.remedy)
        entry = self.ranged(kinds[0], spec[kinds[0]], spec.get("log", False))
        if "when" not in spec and "otherwise" not in spec:
            return entry
        return self.conditional(entry, spec)

    def legal(self, value: Any) -> Scalar:
        problem = self.domain.problem(value)
        if problem:
            self.fail(problem, self.remedy)
        legal: Scalar = value
        return legal

    def ranged(self, kind: str, given: Any, log: Any) -> Fixed | Uniform | Integer | Categorical:
        if not isinstance(log, bool) or (log and kind != "integer"):
            self.fail("'log' is true or false and belongs to an integer range", "For a real number use log_uniform.")
        if kind == "fixed":
            return Fixed(self.legal(given))
        if kind == "categorical":
            return self.categorical(given)
        low, high = self.bounds(kind, given)
        if (kind == "log_uniform" or log) and low <= 0:
            self.fail(f"a logarithmic range cannot begin at {low:g}", "Begin above 0, or use a uniform range.")
        return Integer(int(low), int(high), log) if kind == "integer" else Uniform(low, high, kind == "log_uniform")

    def bounds(self, kind: str, given: Any) -> tuple[float, float]:
        if (self.domain.kind == "integer") != (kind == "integer") or self.domain.kind == "choice":
            self.fail(f"it has no {kind} range", self.remedy)
        if not isinstance(given, list) or len(given) != 2:
            self.fail(f"{kind} needs [low, high], not {given!r}")
        low, high = (self.legal(bound) for bound in given)
        assert not isinstance(low, str) and not isinstance(high, str)
        if low > high:
            self.fail(f"low {low:g} is above high {high:g}", f"Write [{high:g}, {low:g}] if you meant that range.")
        if low < self.domain.gap and low < high:
            self.fail(f"a range cannot begin at {low:g}", self.remedy)
        return (low, high) if kind == "integer" else (float(low), float(high))

    def categorical(self, given: Any) -> Categorical:
        if not isinstance(given, list) or not given:
            self.fail(f"categorical needs a list of values, not {given!r}")
        choices = tuple(self.legal(value) for value in given)
        if len(set(choices)) < len(choices):
            self.fail(f"a value is given twice in {given!r}")
        return Categorical(choices)

    def conditional(self, entry: Fixed | Uniform | Integer | Categorical, spec: dict[str, Any]) -> Conditional:
        missing = next((option for option in ("when", "otherwise") if option not in spec), None)
        if missing:
            self.fail(
                f"a conditional entry needs '{missing}' too",
                "Write for example {integer: [1, 3], when: {network: compact}, otherwise: 2}.",
            )
        when = spec["when"]
        if not isinstance(when, dict) or not when:
            self.fail(f"'when' needs {{hyperparameter: value}}, not {when!r}")
        for other, value in when.items():
            self.condition(other, value)
        return Conditional(entry, tuple(when.items()), self.legal(spec["otherwise"]))

    def condition(self, other: Any, value: Any) -> None:
        if other not in self.domains:
            self.fail(f"'when' names '{other}', which is not a hyperparameter", closest(other, self.domains).strip())
        if other not in self.earlier:
            where = "is below this entry" if other in self.names else "is not in the file"
            if other == self.name:
                where = "is this entry itself"
            self.fail(f"'when' names '{other}', which {where}", "Name a hyperparameter above this one.")
        if self.domains[other].problem(value) or not self.earlier[other].may_be(value):
            self.fail(
                f"'when' requires {other} to be {value!r}, which it never is", f"Correct it, or the entry of '{other}'."
            )
