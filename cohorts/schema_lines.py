"""Where each part of a schema stands in its YAML file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from cohorts.schema_yaml import SchemaLoader

Location = Sequence[str | int]


@dataclass(frozen=True)
class Place:
    """A part of the file: its value's node, its key's node where it has one, and what of a location led there."""

    node: yaml.Node
    key: yaml.Node | None
    path: tuple[str | int, ...]
    rest: tuple[str | int, ...]
    """What is left of the location: a missing key, or words of the validator that nobody wrote."""
    item: str
    """The nearest list item around it that has a name, as `measures[2] (SBP)`; empty where there is none."""
    item_depth: int

    @property
    def line(self) -> int:
        """Its line, from 1: the key's, so that an empty value is looked for where it belongs."""
        return int((self.key or self.node).start_mark.line) + 1

    @property
    def written(self) -> str | None:
        """A scalar's text as it stands in the file; None for a list or a mapping."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else None

    @property
    def empty(self) -> bool:
        """Whether nothing is written there, or a list or mapping without items."""
        return not self.node.value or self.node.tag == "tag:yaml.org,2002:null"


class SchemaLines:
    """The lines of a schema's YAML text.

    Args:
        text: a schema that YAML can read.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._loader = SchemaLoader(text)
        self._root = self._loader.get_single_node() or yaml.ScalarNode("tag:yaml.org,2002:null", "")

    def find(self, location: Location) -> Place:
        """The innermost part of the file on the way to a location of the validator.

        Steps that the file does not have are skipped: the validator also names the type that it tried, and parts that
        were filled in.
        """
        node, key, item, item_depth = self._root, None, "", 0
        path: list[str | int] = []
        rest: list[str | int] = []
        for part in location:
            step = self._step(node, part)
            if step is None:
                rest.append(part)
                continue
            key, node = step
            path.append(part)
            name = self.name_of(node) if isinstance(part, int) else None
            if name is not None:
                item, item_depth = f"{dotted(path)} ({name})", len(path)
        return Place(node, key, tuple(path), tuple(rest), item, item_depth)

    def mentioned(self, place: Place, message: str) -> int:
        """The line that a message about a whole part speaks of, or where the part begins.

        A rule of several keys is reported for the mapping that holds them. Its message quotes a value, names a
        measure, or begins with one of the keys.
        """
        keys: dict[str, int] = {}
        if isinstance(place.node, yaml.MappingNode):
            keys = {str(key.value): key.start_mark.line + 1 for key, _ in place.node.value}
        quoted = [line for text, line in _scalars(place.node, set()) if repr(text) in message]
        if quoted:
            return quoted[-1]
        named = [(len(name), line) for name, line in self._names(place.node, set()) if _names_it(message, name)]
        if named:
            return max(named)[1]
        return next((keys[word] for word in re.findall(r"\w+", message) if word in keys), place.line)

    def todo(self, line: int) -> str | None:
        """What a comment on a line says that is left to do, in one line; None where there is no such comment."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        found = re.search(r"#\s*TODO:?\s*(.*)", text)
        return found.group(1).strip() if found else None

    def empty_at(self, line: int) -> bool:
        """Whether a line holds a key without value (or with an empty list), comments aside."""
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        return bool(re.fullmatch(r"[^#]*:\s*(\[\s*\]|\{\s*\}|~|null)?\s*(#.*)?", text))

    def _step(self, node: yaml.Node, part: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            return None, node.value[part]
        if isinstance(node, yaml.MappingNode):
            self._loader.flatten_mapping(node)
            for key, value in reversed(node.value):
                if self._same(key, part):
                    return key, value
        return None

    def _same(self, key: yaml.Node, part: str | int) -> bool:
        if key.value == part:
            return True
        read: Any = self._loader.construct_object(key, deep=True)
        return bool(read == part or str(read) == str(part))

    @staticmethod
    def name_of(node: yaml.Node) -> str | None:
        """What an item of a list calls itself."""
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == "name" and isinstance(value, yaml.ScalarNode) and value.value:
                    return str(value.value)
        return None

    def _names(self, node: yaml.Node, seen: set[int]) -> Iterator[tuple[str, int]]:
        if id(node) in seen:
            return
        seen.add(id(node))
        name = self.name_of(node)
        if name is not None:
            yield name, node.start_mark.line + 1
        for child in _children(node):
            yield from self._names(child, seen)


def dotted(location: Location) -> str:
    """A location as people write it: `label.classes[0].share`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _names_it(message: str, name: str) -> bool:
    return re.search(rf"\b(?:measure|covariate|window|label) {re.escape(name)}(?!\w)", message) is not None


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _scalars(node: yaml.Node, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield str(node.value), node.start_mark.line + 1
    for child in _children(node):
        yield from _scalars(child, seen)
