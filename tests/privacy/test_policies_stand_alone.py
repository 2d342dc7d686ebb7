"""A policy is one object in one file: nothing else knows its name or asks which one it is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacy.policies import policies

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("analysis", "cohorts", "privacy", "search_spaces", "trainables", "tuner")
NAMES = {policy.name for policy in policies()}
CLASSES = {type(policy).__name__ for policy in policies()}


def asks(code: str) -> Iterator[int]:
    """Lines at which code compares something with a policy's name, or asks whether something is a certain policy."""
    for node in ast.walk(ast.parse(code)):
        sides: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            sides = node.args[1:]
        listed = [each.elts if isinstance(each, ast.Tuple | ast.List | ast.Set) else [each] for each in sides]
        if any(_names_a_policy(each) for those in listed for each in those):
            yield node.lineno


def _names_a_policy(said: ast.expr) -> bool:
    if isinstance(said, ast.Attribute) and said.attr == "name":
        said = said.value
    if isinstance(said, ast.Name):
        return said.id in CLASSES
    return isinstance(said, ast.Constant) and said.value in NAMES


def test_no_code_outside_its_own_file_compares_a_policys_name():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    others = [path for path in files if path.parent != ROOT / "privacy" / "policies"]
    assert len(others) > 200
    assert [f"{path.relative_to(ROOT)}:{line}" for path in others for line in asks(path.read_text())] == []


@pytest.mark.parametrize(
    "code",
    [
        'plan.policy == "selection"',
        'plan.policy in ("composed", "surrogate")',
        'match policy:\n  case "measured":\n    pass',
        "isinstance(policy, Composed)",
        "plan.policy != Unaccounted.name",
    ],
)
def test_such_code_is_found(code):
    assert list(asks(code))
