"""YAML files that name hyperparameters and their ranges, and their loader."""

from search_spaces.domain import Domain
from search_spaces.errors import SearchSpaceError
from search_spaces.loader import SHIPPED, load_search_space
from search_spaces.space import SearchSpace

__all__ = ["SHIPPED", "Domain", "SearchSpace", "SearchSpaceError", "load_search_space"]
