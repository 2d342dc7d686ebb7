"""Waiting for the processes of packs and scorers, which may die and come back meanwhile."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import ray
from ray.exceptions import ActorUnavailableError, RayActorError

PATIENCE_S = 120.0
PAUSE_S = 0.2
LOST = "The process that trained or scored this trial died; the trial resumes from its checkpoint."

Answer = TypeVar("Answer")


class PackLost(RuntimeError):
    """The process that trained or scored a trial died. What it did is lost; the trial goes on from its checkpoint."""


def answer(actor: Any, reference: ray.ObjectRef[Answer]) -> Answer:
    """What an actor answers.

    Args:
        actor: that was asked; it comes back when it dies.
        reference: of the answer.

    Raises:
        PackLost: its process died; it is back, but what it did is lost and was perhaps paid for.
        RayActorError: it cannot be started at all, and the error says why.
    """
    try:
        return ray.get(reference)
    except RayActorError as error:
        if error.actor_init_failed:
            raise
        _wait_until_back(actor)
        raise PackLost(LOST) from error


def _wait_until_back(actor: Any) -> None:
    """Wait for a process that is being started again, for a while."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            ray.get(actor.__ray_ready__.remote())
            return
        except ActorUnavailableError:
            time.sleep(PAUSE_S)
        except RayActorError:  # gone with its machine
            return
