"""What was published of a bundled trial's files: for a steward to see whether theirs are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Counts of participants that anybody can read in a paper.

    Args:
        source: of the figures.
        enrolled: participants in the files.
        complete: those that are complete by the schema's rules.
        classes: how many of these are in each class of the label, in the schema's order.
    """

    source: str
    enrolled: int
    complete: int
    classes: tuple[int, ...]

    def compared(self, enrolled: int, classes: Sequence[int], rounded: Callable[[int], int]) -> str:
        """Say whether files hold as many.

        Args:
            enrolled: participants in the files.
            classes: complete ones of each class.
            rounded: what of a count may be shown; counts are equal where these are.
        """
        ours, theirs = (enrolled, sum(classes), *classes), (self.enrolled, self.complete, *self.classes)
        of_classes = "/".join(f"{each:,}" for each in self.classes)
        published = f"{self.source}: {self.enrolled:,} enrolled, {self.complete:,} complete ({of_classes})"
        if [rounded(each) for each in ours] == [rounded(each) for each in theirs]:
            return f"These files have the published counts ({published})."
        return (
            f"WARNING: these are not the published counts ({published}). They may be another edition, cut short or "
            "filtered; figures that are made of them need not agree with the paper's."
        )


PUBLISHED = {"sprint": Published("Beaulieu-Jones et al. 2019", 9361, 6502, (3236, 3266))}
"""By the name of the schema."""
