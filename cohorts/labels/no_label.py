"""Trials of which nothing is to be predicted: one arm, and no outcome that stands out."""

from __future__ import annotations

from typing import Literal

import numpy as np

from cohorts.labels.label_class import LabelClass, NamedLabel
from cohorts.parts import Name

EVERYBODY = LabelClass.model_construct(name="everybody", share=1.0)


class NoLabel(NamedLabel):
    """What stands for the label where there is none: everybody is of one class.

    Args:
        table: that lists who is enrolled.
    """

    kind: Literal["none"]
    name: Name = "group"

    @property
    def randomised(self) -> bool:
        """There is nothing to randomise."""
        return False

    @property
    def columns(self) -> tuple[str, ...]:
        """None is read."""
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Nothing stands in no columns."""
        return ()

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The one."""
        return (EVERYBODY,)

    def written(self, labels: np.ndarray) -> dict[str, np.ndarray]:
        """No columns of the file."""
        return {}
