"""Reading a YAML mapping the way its author meant it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from search_spaces.errors import SearchSpaceError

# What PyYAML lets out where a date or a number is none, or one that Python cannot hold.
NO_VALUE = (ValueError, IndexError, AttributeError, TypeError, OverflowError, KeyError)


class _Loader(yaml.SafeLoader):
    """YAML, but 1e-3 is a number (YAML 1.1 asks for 1.0e-3) and no key may stand twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key_node for key_node, _ in node.value if isinstance(key_node, yaml.ScalarNode)]
        for earlier, key in enumerate(keys):
            if any(key.value == other.value for other in keys[:earlier]):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is given twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_mapping(path: Path) -> dict[Any, Any]:
    """Read a YAML file whose top level is a mapping.

    Args:
        path: the file.

    Returns:
        The mapping, in the file's order.

    Raises:
        SearchSpaceError: no such file, not YAML, empty, or not a mapping.
    """
    try:
        # _Loader is a SafeLoader: it builds plain values only.
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SearchSpaceError(f"Search space {path} cannot be read: {reason}.") from error
    except RecursionError:
        raise SearchSpaceError(f"Search space {path} is nested too deeply to be one. Write it out flat.") from None
    except (yaml.YAMLError, *NO_VALUE) as error:
        raise SearchSpaceError(f"Search space {path} is not valid YAML: {_where(error)}. Correct that line.") from error
    if content is None:
        raise SearchSpaceError(
            f"Search space {path} is empty. Name at least one hyperparameter, for example "
            "'generator_learning_rate: {log_uniform: [5e-4, 5e-3]}'."
        )
    if not isinstance(content, dict):
        raise SearchSpaceError(
            f"Search space {path} holds a {type(content).__name__}, not a mapping. Write one 'hyperparameter: entry' "
            "per line, for example 'generator_learning_rate: {log_uniform: [5e-4, 5e-3]}'."
        )
    return content


def _where(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
