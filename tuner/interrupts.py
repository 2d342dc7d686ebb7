"""Ctrl-C, and what a machine that shuts down sends, end a search where it can be gone on from."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OWN_HANDLER = "TUNE_DISABLE_SIGINT_HANDLER"  # Tune acts on SIGUSR1 all the same
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupted_by(signals: tuple[signal.Signals, ...] = STOPPING) -> Iterator[None]:
    """Each of these raises KeyboardInterrupt in this block, as Ctrl-C does; one that is ignored (nohup) stays so."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    with _handled(signals, interrupt):
        yield


class Interruption:
    """Whether somebody wanted a search to end.

    Ray Tune ends a search in good order when it is told to, but tells nobody: if all trials have just ended, what comes
    next would begin as if nothing had been said.
    """

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have Tune end its search at the first signal in this block; the second raises KeyboardInterrupt."""

        def pass_on(number: int, frame: Any) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            signal.raise_signal(signal.SIGUSR1)

        before = os.environ.get(OWN_HANDLER)
        os.environ[OWN_HANDLER] = "1"
        try:
            with interrupted_by((signal.SIGUSR1,)), _handled(STOPPING, pass_on):
                yield
        finally:
            os.environ.pop(OWN_HANDLER)
            if before is not None:
                os.environ[OWN_HANDLER] = before


@contextmanager
def _handled(signals: tuple[signal.Signals, ...], handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python handles signals nowhere else
        yield
        return
    before = {each: signal.getsignal(each) for each in signals}
    for each, handled in before.items():
        if handled is not signal.SIG_IGN:
            signal.signal(each, handler)
    try:
        yield
    finally:
        for each, handled in before.items():
            signal.signal(each, handled)
