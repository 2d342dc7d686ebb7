"""What a schema says is true of every participant, and draws made to keep to it; nothing here reads a participant."""

from cohorts.constraints.constraints import Constraints
from cohorts.constraints.vocabulary import Vocabulary

__all__ = ["Constraints", "Vocabulary"]
