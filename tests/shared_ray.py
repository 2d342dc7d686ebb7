"""One Ray for many tests of a process, because starting one takes longer than most of them.

It has one core, so trials on it have one pack and one scorer; studies by the command alone have a Ray of their own.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from tuner.dashboards import ray_token

PROGRAM = """
import sys, ray
from tuner.ray_cluster import FULL_WEIGHT
started = ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _system_config=FULL_WEIGHT)
print(started.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class SharedRay:
    """A Ray that outlives those who use it, one after another.

    Args:
        address: where it listens.
        token: that it asks for.
    """

    address: str
    token: str

    @contextmanager
    def let_in(self) -> Iterator[str]:
        """Whoever connects in this block, here or in a child, has the token; yields the address."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_AUTH_TOKEN", self.token)
            ray_token()
            yield self.address

    @contextmanager
    def connected(self) -> Iterator[None]:
        """This process is connected in this block."""
        with self.let_in() as address:
            ray.init(address, log_to_driver=False, logging_level="ERROR")
            try:
                yield
            finally:
                ray.shutdown()


@contextmanager
def started(data: Path) -> Iterator[SharedRay]:
    """A Ray in a child of this process, as long as the block lasts.

    Args:
        data: where what runs on it finds split keys.
    """
    token = secrets.token_hex(32)
    head = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "DPGAN_TUNE_DATA": str(data),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert head.stdin and head.stdout
    try:
        address = head.stdout.readline().strip()
        assert address, "Ray did not start"
        yield SharedRay(address, token)
    finally:
        head.stdin.close()  # it was waiting for this, and takes Ray down with it
        try:
            head.wait(timeout=60)
        except subprocess.TimeoutExpired:
            head.kill()
