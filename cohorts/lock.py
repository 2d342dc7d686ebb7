"""One process for each study, or other folder of results."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_FILE = "lock"


@contextmanager
def only_one(study: Path, refusal: type[Exception]) -> Iterator[None]:
    """Hold a study's folder, which is made if it is missing, and removed if nothing was written there.

    The system lets go of it when this process ends, however it does.

    Args:
        study: its folder.
        refusal: the error to raise where another process holds it.
    """
    first_here = not study.parent.exists()
    try:
        study.mkdir(parents=True, exist_ok=True)
    except (FileNotFoundError, NotADirectoryError, PermissionError, FileExistsError) as error:
        raise refusal(
            f"The folder {study} cannot be made ({error.strerror}). Name another folder for results, one where you may "
            "write."
        ) from None
    file = study / LOCK_FILE
    with file.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.seek(0)
            raise refusal(
                f"The study {study.name} is being run by {held.read().strip() or 'another process'}. Wait until it "
                "has ended, or stop it; or begin another study under another name."
            ) from None
        held.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=held, flush=True)
        try:
            yield
        finally:
            file.unlink()
            with suppress(OSError):  # it holds something
                study.rmdir()
                if first_here:
                    study.parent.rmdir()
