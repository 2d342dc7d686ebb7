"""What is raised when participants may not be read, and why."""

from __future__ import annotations


class LedgerError(ValueError):
    """The ledger is not what it should be, or was asked for something it cannot do.

    The message is one paragraph: what is wrong and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class LedgerUnavailable(LedgerError):
    """The ledger cannot be read or written just now, through nobody's mistake: its disk is full, say.

    A study that stops at this can be resumed.
    """


class Misnamed(LedgerError):
    """What was named is not there or something else than was asked for, so there is nothing to say of a ledger."""


class BudgetExhausted(ValueError):
    """The declared budget does not allow a request. Nothing was charged and nothing may be read."""


class PlanError(ValueError):
    """No study as asked for fits in the budget in a useful way: one paragraph saying why and what would."""
