"""Lines of YAML with comments, whatever names and labels hold."""

from __future__ import annotations

import yaml

COMMENT_AT = 30
"""Column at which comments begin, where the line leaves room."""


def line(content: str, said: str = "") -> str:
    """A line of YAML with a comment."""
    return f"{content.ljust(COMMENT_AT - 2)}  {comment(said)}" if said else content


def comment(said: str) -> str:
    """A text as a comment of one line, whatever characters a label holds."""
    return "# " + " ".join("".join(letter if letter.isprintable() else " " for letter in said).split())


def quoted(value: object) -> str:
    """A scalar as YAML, in quotes where it needs them, on one line."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    text: str = yaml.safe_dump([value], default_flow_style=True, default_style=style, width=10**9, allow_unicode=True)
    return text.strip()[1:-1]
