"""Ctrl-C, and what a machine that shuts down sends, end work where it can be gone on from."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupted_by(signals: tuple[signal.Signals, ...] = STOPPING) -> Iterator[None]:
    """Each of these raises KeyboardInterrupt in this block, as Ctrl-C does; one that is ignored (nohup) stays so.

    Where a library's code was interrupted that lets nothing out (a finaliser, a callback from C), it is raised once
    more at the end of the block, so that nothing goes on that somebody wanted to end.
    """
    asked = False

    def interrupt(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    with _handled(signals, interrupt):
        yield
    if asked:
        raise KeyboardInterrupt


@contextmanager
def finished_first() -> Iterator[None]:
    """A signal in this block raises KeyboardInterrupt at its end: seconds of work that would else be lost for good."""
    asked = False

    def note(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True

    with _handled(STOPPING, note):
        yield
    if asked:
        raise KeyboardInterrupt


class Interruption:
    """Whether somebody wanted work to end."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def noted(self, tell: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Note the first signal in this block, and tell whoever works; the second raises KeyboardInterrupt."""

        def note(number: int, frame: Any) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            tell()

        with _handled(STOPPING, note):
            yield


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
