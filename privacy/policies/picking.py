"""How many epochs are picked where a budget allowed only few to be scored, and that in words."""

from __future__ import annotations

from collections.abc import Sequence

from privacy.statements.statement import Chosen

MOST = 5
ONE_IN = 4


def among_few(scored: int) -> int:
    """Epochs that each classifier picks of so many scored ones: one in four, at least one and at most five."""
    return min(MOST, max(1, scored // ONE_IN))


def picking(chosen: Chosen) -> str:
    """How the released epochs were picked, where each classifier picked its own."""
    epochs, trials = counted(chosen.epochs, "epoch"), counted(chosen.trials, "trial")
    best = "the one" if chosen.epochs == 1 else "those"
    made_by = f" ({_made_by(chosen.candidates)})" if chosen.candidates else ""
    ranked = "each classifier scored best" if chosen.labelled else "came nearest to these numbers"
    return f"The release is made by {epochs} of {trials}{made_by}: {best} that {ranked}."


def _made_by(candidates: Sequence[str]) -> str:
    *others, last = candidates
    return f"of the candidates {', '.join(others)} and {last}" if others else f"of the candidate {last}"


def counted(number: int, what: str) -> str:
    """A number of things in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
