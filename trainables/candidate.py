"""Candidates: what turns what was paid for into a generator that draws participants.

The AC-GAN is one, noisy moments of each class another. A trial of a study trains one of them; search space, scores,
charges, early stopping, checkpoints and releases are the same for all. Installed packages add others by entry points,
and ``register`` adds one for the processes of this driver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint
from inspect import getattr_static
from typing import Any, ClassVar, Protocol

import torch
from pydantic import BaseModel

from cohorts import Participants, Schema
from privacy.mechanisms.mechanism import Mechanism
from privacy.planning.allocation import Allocation
from privacy.policies.policy import Access
from trainables.extensions import CANDIDATES, ExtensionError, added, loaded, unusable
from trainables.segment import Segment

CANDIDATE, DEFAULT = "candidate", "gan"
START = "start"
"""In a configuration: the trial whose end is this one's beginning."""


@dataclass(frozen=True)
class Setting:
    """What every trial of a study is told, beside its configuration. Every field is public.

    Args:
        schema: of the cohort.
        train_share: expected share of participants that train.
        engine: what does the arithmetic of GANs: ``packed`` or ``opacus``.
        device: where it happens.
    """

    schema: Schema
    train_share: float
    engine: str
    device: torch.device


class SharedTraining(Protocol):
    """Where trials train together, in this process or in others."""

    device: torch.device

    def train(self, segment: Segment[Any], settings: Any, state: Any) -> tuple[Any, str]:
        """Pay for a segment and train it; returns where the trial stands and the receipt of the charge."""


@dataclass(frozen=True)
class Workplace:
    """Where a trial's work is done.

    Args:
        access: what it pays through.
        shared: where trials train together; None has each train by itself.
        losses: is told the mean losses of a candidate's networks, by name, where those may be shown.
    """

    access: Access
    shared: SharedTraining | None
    losses: Callable[[Mapping[str, float]], None] | None = None


class Generator(Protocol):
    """Draws participants; made from released numbers alone, so it may draw any number of them."""

    def generate(self, participants: int, randomness: torch.Generator) -> Participants:
        """A synthetic cohort in the trial's own units.

        Args:
            participants: how many to make, n.
            randomness: to draw from.

        Returns:
            n participants with ids S000001 and so on, classes in the shares that were measured or that the schema has.
        """

    def content(self) -> dict[str, Any]:
        """Everything needed to draw participants later: tensors, numbers and names."""


class Candidate(Protocol):
    """One configuration, from its beginning to its end. It keeps no participants between two segments."""

    name: ClassVar[str]
    hyperparameters: ClassVar[type[BaseModel]]
    """Names, types and legal ranges of what a configuration may say."""
    decided_by_budget: ClassVar[frozenset[str]]
    """Hyperparameters that ``priced`` settles under a declared budget, whatever the search space says."""
    one_of: ClassVar[frozenset[str]]
    """Hyperparameters of which a search space may name one under a declared budget: the others follow from it."""

    @classmethod
    def of(cls, config: Mapping[str, Any], setting: Setting) -> Candidate:
        """A fresh one."""

    @classmethod
    def priced(cls, config: Mapping[str, Any], allocation: Allocation) -> dict[str, Any]:
        """A configuration as it was drawn, with what its price settles."""

    @classmethod
    def mechanism(
        cls, config: Mapping[str, Any], setting: Setting, epochs: int, pretraining: bool = False
    ) -> Mechanism:
        """What so many epochs run on participants.

        Args:
            config: its hyperparameters.
            setting: of the study.
            epochs: how many.
            pretraining: without noise, on a surrogate's participants.
        """

    @classmethod
    def longest(cls, config: Mapping[str, Any], epochs: int, epsilon: float, delta: float) -> int:
        """Epochs until it ends if nothing stops it: at most so many, and at most what one trial may cost."""

    @classmethod
    def restored(cls, content: Mapping[str, Any], schema: Schema) -> Generator:
        """The generator of what its ``content`` said."""

    def train(self, segment: Segment[Any], workplace: Workplace) -> str:
        """Pay for a segment and do it; returns the receipt of the charge, empty where nothing was charged.

        Raises:
            BudgetExhausted: it does not fit any more; nobody was read.
        """

    def generator(self) -> Generator:
        """What participants can be made with, as of now."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""


OWN = {
    "gan": "trainables.gan.candidate:GAN",
    "measured": "trainables.measured.candidate:MeasuredNetwork",
    "copula": "trainables.measured.copula:Copula",
    "moments": "trainables.measured.moments:Moments",
}
"""Where those of the project are found: a process that never trains a GAN does without its networks."""

_known: dict[str, type[Candidate] | str | EntryPoint] = {**OWN}


def register(candidate: type[Candidate]) -> None:
    """Make a candidate known by its name, in place of another that a script registered under it.

    Raises:
        ExtensionError: it is no candidate, or has the name of one of the project's.
    """
    name = getattr(candidate, "name", None)
    why = _unlike_a_candidate(candidate, name)
    if why is None and name in OWN and OWN[name] != f"{candidate.__module__}:{candidate.__qualname__}":
        why = f"whose name is {name!r}, which the project has itself"
    if why is not None:
        raise ExtensionError(f"{candidate!r:.100} cannot be registered, {why}. docs/extending.md says what is asked.")
    _known[candidate.name] = candidate


def registered() -> tuple[type[Candidate], ...]:
    """Candidates as they are known here; for another process to ``register``."""
    return tuple(each for each in _known.values() if not isinstance(each, str | EntryPoint))


def candidate_names() -> tuple[str, ...]:
    """Every known candidate's name."""
    return tuple(_all_known())


def _all_known() -> dict[str, type[Candidate] | str | EntryPoint]:
    """Those of installed packages, too, except where a name is taken already.

    Raises:
        ExtensionError: two packages add the same name.
    """
    for name, entry in added(CANDIDATES).items():
        _known.setdefault(name, entry)
    return _known


def candidate_named(name: str) -> type[Candidate]:
    """The candidate of a name.

    Raises:
        ExtensionError: it is of a package that is not installed here, or that cannot be used.
    """
    known = _all_known()
    if name not in known:
        raise ExtensionError(
            f"There is no candidate named {name} here. A package added it where the study was run; install it "
            f"here, too. Known are {', '.join(known)}."
        )
    found = known[name]
    if isinstance(found, EntryPoint):
        found = known[name] = _checked(found, loaded(found))
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        found = known[name] = getattr(import_module(module), attribute)
    return found


def _checked(entry: EntryPoint, found: Any) -> type[Candidate]:
    """What an entry point stands for, if it can be a candidate: a study finds out before it pays for anything.

    Raises:
        ExtensionError: it cannot.
    """
    why = _unlike_a_candidate(found, entry.name)
    if why is not None:
        raise unusable(entry, why)
    return found  # type: ignore[no-any-return]


def _unlike_a_candidate(found: Any, name: Any) -> str | None:
    """Why something cannot be the candidate of a name, as a clause; None where it can."""
    if not isinstance(found, type):
        return "which is not a class"
    own = vars(Candidate)  # a class may inherit from the protocol, but what that only describes it must have itself
    asked = (*Candidate.__annotations__, *(each for each in own if not each.startswith("_")))
    missing = [each for each in asked if getattr_static(found, each, None) is own.get(each)]
    if missing:
        return f"which lacks {', '.join(missing)} of trainables.candidate.Candidate"
    kind: Any = found
    if kind.name != name or not isinstance(name, str) or not name:
        return f"whose name is {kind.name!r}: releases would name a candidate that nobody finds"
    if not (isinstance(kind.hyperparameters, type) and issubclass(kind.hyperparameters, BaseModel)):
        return "whose hyperparameters are not a model of pydantic"
    for each in ("decided_by_budget", "one_of"):
        if not isinstance(getattr(kind, each), Set):
            return f"whose {each} is not a set of names"
    return None


def decided_by_budget() -> tuple[str, ...]:
    """Hyperparameters of any candidate that a declared budget settles, whatever a search space says."""
    decided = (candidate_named(name).decided_by_budget for name in candidate_names())
    return tuple(sorted(frozenset().union(*decided)))


def one_of() -> tuple[frozenset[str], ...]:
    """Hyperparameters of any candidate of which a declared budget leaves one to the search space."""
    return tuple(frozenset(each) for name in candidate_names() if (each := candidate_named(name).one_of))


def candidate_of(config: Mapping[str, Any]) -> type[Candidate]:
    """The candidate that a configuration is of."""
    return candidate_named(str(config.get(CANDIDATE, DEFAULT)))


def hyperparameters_of(config: Mapping[str, Any], model: type[BaseModel] | None = None) -> dict[str, Any]:
    """What a configuration says of a candidate's hyperparameters, without anything else.

    Args:
        config: a trial's.
        model: of the hyperparameters; by default that of the candidate which the configuration is of.
    """
    known = (model or candidate_of(config).hyperparameters).model_fields
    return {name: value for name, value in config.items() if name in known}
