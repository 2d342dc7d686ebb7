"""Search policies by name: what a search may read, what that costs, and what may be said of it.

Each is one object in one file, and nothing else compares its name. ``register`` adds another.
"""

from privacy.errors import PlanError
from privacy.policies.composed import Composed
from privacy.policies.measured import MeasuredOnce
from privacy.policies.policy import Access, Door, Judge, Policy, Stage
from privacy.policies.selection import Selection
from privacy.policies.surrogate import Surrogate
from privacy.policies.unaccounted import Unaccounted

__all__ = ["DEFAULT", "Access", "Door", "Judge", "Policy", "Stage", "policies", "policy_named", "register"]

_known: dict[str, Policy] = {}


def register(policy: Policy) -> None:
    """Make a policy known by its name."""
    _known[policy.name] = policy


def policies() -> tuple[Policy, ...]:
    """Every known policy, in the order they were registered."""
    return tuple(_known.values())


def policy_named(name: str) -> Policy:
    """The policy of a name.

    Raises:
        PlanError: there is none.
    """
    if name not in _known:
        raise PlanError(f"There is no search policy called {name}. Choose one of {', '.join(_known)}.")
    return _known[name]


for each in (MeasuredOnce(), Surrogate(), Composed(), Selection(), Unaccounted()):
    register(each)

DEFAULT = MeasuredOnce.name
"""What is meant where nobody says how to search."""
