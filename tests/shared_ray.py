"""One Ray for many tests of a process, because starting one takes longer than most of them.

It has one core, so trials on it have one pack and one scorer; studies by the command alone have a Ray of their own.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import pytest
import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

from tests import forks
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
        worker: the command that begins one of its workers.
    """

    address: str
    token: str
    worker: str

    @contextmanager
    def let_in(self) -> Iterator[str]:
        """Whoever connects in this block, here or in a child, has the token; yields the address."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_AUTH_TOKEN", self.token)
            for name, value in with_workers(self.worker).items():
                patch.setenv(name, value)
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
    """A Ray in a child of this process, as long as the block lasts, and another child that its workers are forks of.

    Args:
        data: where what runs on it finds split keys.
    """
    token = secrets.token_hex(32)
    environment = {**os.environ, "DPGAN_TUNE_DATA": str(data), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    with ExitStack() as running, TemporaryDirectory() as folder:
        worker = running.enter_context(forking(f"{folder}/forks", forks.OF_WORKERS, environment))
        address = running.enter_context(_child(["-c", PROGRAM], environment)).readline().strip()
        assert address, "Ray did not start"
        yield SharedRay(address, token, shlex.join(worker))


def with_workers(command: str) -> dict[str, str]:
    """Variables for whoever connects to a Ray, or starts one: a command that begins its workers."""
    return {RAY_JOB_CONFIG_JSON_ENV_VAR: json.dumps({"runtime_env": {"py_executable": command}})}


@contextmanager
def forking(address: str, modules: Sequence[str], environment: Mapping[str, str]) -> Iterator[list[str]]:
    """The command that runs a program as a fork of a process that has imported some modules, while the block lasts."""
    with _child(["-m", forks.__name__, "serve", address, *modules], environment) as said:
        assert said.readline(), "the process that others are forks of did not start"
        yield [sys.executable, "-S", "-E", str(forks.__file__), "ask", address]


@contextmanager
def _child(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[IO[str]]:
    """What a Python says that ends when its standard input does, and takes with it what it started."""
    child = subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdin and child.stdout
    try:
        yield child.stdout
    finally:
        child.stdin.close()
        try:
            child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
