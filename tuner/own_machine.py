"""A search whose own machine Ray has lost could run nothing there any more, and would wait for ever."""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.tune import Callback

from analysis.machine import MachineError

LOOK_EVERY_S = 5.0


def require_own_machine() -> None:
    """Raise MachineError where Ray's process of this machine has died, and with it the ledger's and the trials'."""
    here = ray.get_runtime_context().get_node_id()
    if not any(node["Alive"] for node in ray.nodes() if node["NodeID"] == here):
        raise MachineError(
            "Ray's own process on this machine, the raylet, has died, and with it everything that trained. Perhaps the "
            "machine was short of memory: look at free -h and at the end of dmesg. Nothing that was saved is lost; "
            "resume the study."
        )


class EndsWithMachine(Callback):
    """Ends a search when Ray has lost this machine."""

    def __init__(self) -> None:
        self._looked = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look, not too often."""
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._looked = time.monotonic()
            require_own_machine()
