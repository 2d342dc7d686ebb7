"""A search that ends in Ray Tune's own way when somebody wants it to, and is known to have been told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from cohorts.interrupts import Interruption, interrupted_by

OWN_HANDLER = "TUNE_DISABLE_SIGINT_HANDLER"  # Tune acts on SIGUSR1 all the same


@contextmanager
def ends_tune(interruption: Interruption) -> Iterator[None]:
    """Have Tune end its search at the first signal in this block; the second raises KeyboardInterrupt.

    Tune ends a search in good order when it is told to, but tells nobody: if all trials have just ended, what comes
    next would begin as if nothing had been said.
    """
    before = os.environ.get(OWN_HANDLER)
    os.environ[OWN_HANDLER] = "1"
    try:
        with interrupted_by((signal.SIGUSR1,)), interruption.noted(lambda: signal.raise_signal(signal.SIGUSR1)):
            yield
    finally:
        os.environ.pop(OWN_HANDLER)
        if before is not None:
            os.environ[OWN_HANDLER] = before
