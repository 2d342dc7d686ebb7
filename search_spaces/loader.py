"""Finding a search space by name or path, and loading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from search_spaces.domain import Domain
from search_spaces.errors import SearchSpaceError
from search_spaces.parse import closest, parse_entries
from search_spaces.space import SearchSpace
from search_spaces.yaml_file import read_mapping

FOLDER = Path(__file__).parent
SHIPPED = tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def load_search_space(name_or_path: str | Path, domains: Mapping[str, Domain]) -> SearchSpace:
    """Load a search space and check every line of it.

    Args:
        name_or_path: one of ``SHIPPED``, or the path of a YAML file (it ends in .yaml or .yml).
        domains: every hyperparameter that a search space may mention, with its legal values.

    Returns:
        The search space.

    Raises:
        SearchSpaceError: one paragraph naming the file and the key that is wrong, and what to do.
    """
    path = _find(name_or_path)
    return SearchSpace(path.stem, path, parse_entries(read_mapping(path), domains, path))


def _find(name_or_path: str | Path) -> Path:
    if str(name_or_path) in SHIPPED:
        return FOLDER / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        raise SearchSpaceError(
            f"There is no search space named '{name_or_path}'.{closest(name_or_path, SHIPPED)} Those that come with "
            f"the project are {', '.join(SHIPPED)}; one of your own is given as the path of a .yaml file."
        )
    if not path.is_file():
        raise SearchSpaceError(
            f"There is no search space file {path}. Check the path; those that come with the project are named "
            f"without .yaml: {', '.join(SHIPPED)}."
        )
    return path
