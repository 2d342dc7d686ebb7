"""The one exception a data steward meets, and whether it may quote participants."""

from __future__ import annotations


class CohortError(ValueError):
    """A trial's files or its schema are not usable; the message says what, where and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # a file's own line breaks must not break the paragraph


class _Setting:
    shown = False


def show_values(show: bool) -> None:
    """Whether messages of this process may quote cells and ids of participants; at first they may not.

    Messages end in logs and terminals, where more people look than may see the file. A data steward who looks for a
    mistake in a file turns it on with `--show-values`.
    """
    _Setting.shown = show


def values_are_shown() -> bool:
    """Whether `show_values` allowed it."""
    return _Setting.shown


def details(value: object) -> str:
    """What a file says, as the end of a clause; nothing where values are not shown."""
    return f": {value}" if _Setting.shown else ""


def quoted(value: object, otherwise: str) -> str:
    """A participant's value or id, or another word for it where values are not shown."""
    return str(value) if _Setting.shown else otherwise


def about(number: int) -> str:
    """A count of cells or participants: exact where values are shown, else to the nearest ten."""
    if _Setting.shown:
        return str(number)
    return "fewer than 10" if number < 10 else f"about {round(number / 10) * 10}"
