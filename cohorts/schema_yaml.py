"""A schema's text as YAML, and what is wrong with it in words that need no knowledge of YAML."""

from __future__ import annotations

import re
from typing import Any

import yaml

HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


class SchemaProblem(yaml.constructor.ConstructorError):
    """Valid YAML that no schema holds; the problem is already in our words."""


class SchemaLoader(yaml.SafeLoader):
    """YAML that does not let a key given twice silently replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As YAML does it, but a second key of one name is an error."""
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for index, key in enumerate(scalars):
            if any(key.value == earlier.value for earlier in scalars[:index]):
                raise SchemaProblem(None, None, f"key {key.value} is given twice", key.start_mark)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As YAML does it, but 2020-13-45, and numbers that mean another one to people, are errors of their line."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, KeyError, OverflowError, IndexError, AttributeError, TypeError):
            problem = f"{node.value} looks like a date or a number and is none; put it in quotes if it is text"
            raise SchemaProblem(None, None, problem, node.start_mark) from None
        if isinstance(value, int | float) and _means_another_number(node.value, value):
            problem = f"YAML reads {node.value} as {value}; put it in quotes if it is text"
            raise SchemaProblem(None, None, problem, node.start_mark)
        if isinstance(value, str) and HALF_A_CHARACTER.search(value):
            problem = r"an escape such as \uD83D stands for half a character; write the character itself"
            raise SchemaProblem(None, None, problem, node.start_mark)
        return value


def _means_another_number(written: str, value: float) -> bool:
    """Whether YAML read 010 as eight, or 12:30 as minutes."""
    octal = re.fullmatch(r"[-+]?0[0-9_]+", written) is not None
    return ":" in written or (octal and int(written.replace("_", "")) != value)


_SPECIAL = "text that begins with one of ! & * % @ ` means something else to YAML; put it in quotes"
_IN_WORDS = (
    (r"found character '\\t'", "there is a tab where spaces belong; indent with spaces only"),
    (
        r"mapping values are not allowed",
        "there is a colon where no key can stand; indent the line as its neighbours are, and put text that contains "
        "a colon in quotes",
    ),
    (
        r"expected <block end>|expected the node content|did not find expected|expected <document start>",
        "the line does not fit those above it; keys of one part, and the dashes of one list, begin in the same column",
    ),
    (r"could not find expected ':'", "a key is not followed by a colon; write `key: value`"),
    (r"expected ',' or '\]'", "a list is not finished; write a comma between its items and ] at its end"),
    (r"expected ',' or '\}'", "a mapping is not finished; write a comma between its keys and } at its end"),
    (
        r"unexpected end of stream|found unexpected document",
        "a quotation mark was opened and not closed; close it on the same line",
    ),
    (r"unknown escape character", "there is a backslash inside double quotes; use single quotes"),
    (r"undefined alias|undefined tag|determine a constructor|expected alphabetic|anchor|alias|the tag", _SPECIAL),
    (r"that cannot start any token|unexpected end of directive", _SPECIAL),
    (r"unhashable key", "a key is a list or a mapping; a key is a word"),
    (r"but found another document", "a second document begins; remove the line that consists of ---"),
)


def yaml_problem(text: str, error: yaml.YAMLError) -> tuple[int | None, str]:
    """What is wrong with a text that YAML cannot read.

    Returns:
        The line, from 1 (None where nobody knows), and what is wrong there.
    """
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return line, f"the character #x{ord(text[error.position]):04x} may not stand in a text; remove it"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    for pattern, words in () if isinstance(error, SchemaProblem) else _IN_WORDS:
        if re.search(pattern, problem):
            problem = words
            if "not finished" in words or "not closed" in words:
                mark = getattr(error, "context_mark", None) or mark
            break
    return None if mark is None else mark.line + 1, problem
