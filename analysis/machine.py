"""What a full disk does to work, and other failures of a machine, said in a paragraph: nobody made a mistake."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from privacy.ledger.database import PASSING, PASSING_ERRORS, PRIMARY

SHORT_OF = {"OutOfMemoryError": "memory", "ObjectStoreFullError": "memory", "OutOfDiskError": "room on its disk"}
"""What a machine lacks, by the name of Ray's error, so that Ray is not imported for it."""


class MachineError(RuntimeError):
    """A machine that cannot do the work now, through nobody's mistake: one paragraph, and what to try."""


@contextmanager
def machine_errors() -> Iterator[None]:
    """Have what any library makes of a full disk, say, leave this block as a paragraph.

    Raises:
        MachineError: in place of such an error.
    """
    try:
        yield
    except (MachineError, ValueError):  # errors of our own are ValueErrors, and have said it better
        raise
    except Exception as error:
        said = machine_error(error)
        if said is None:
            raise
        raise said from error


def machine_error(error: BaseException | None) -> MachineError | None:
    """What to say of an error that the machine caused; None of any other."""
    for each in causes(error):
        if isinstance(each, MemoryError):
            return _cannot_go_on("there is no memory left")
        if type(each).__module__ == "ray.exceptions" and type(each).__name__ in SHORT_OF:
            return _cannot_go_on(f"there is no {SHORT_OF[type(each).__name__]} left")
        if isinstance(each, OSError) and each.errno in PASSING_ERRORS:
            return _cannot_go_on(f"{each.strerror}{f' ({each.filename})' if each.filename else ''}")
        if isinstance(each, sqlite3.OperationalError) and getattr(each, "sqlite_errorcode", 0) & PRIMARY in PASSING:
            return _cannot_go_on(f"the database of the study cannot be used ({each})")
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was caused by, in however many processes in between."""
    while error is not None:
        yield error
        before = None if error.__suppress_context__ else error.__context__
        error = getattr(error, "cause", None) or error.__cause__ or before


def _cannot_go_on(reason: str) -> MachineError:
    return MachineError(
        f"This machine cannot go on with the study: {reason}. Look at the room on its disks (df -h), the limit of open "
        "files (ulimit -n) and its memory (free -h), mend what is short, then go on: nothing that was done is lost."
    )
