"""The Ray that a study runs on: a cluster that is there, or one of this user's own on this machine."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants

from analysis.epochs import first_line
from cohorts.interrupts import interrupted_by
from tuner.dashboards import LOCAL_ONLY, local_ray_auth, ray_token
from tuner.errors import MachineError, StudyError
from tuner.quiet import quiet_ray

CONNECT_TIMEOUT_S = 10
ATTEMPTS = 2
# Ray would nice its workers by 15, which leaves a study 4 % of a core that another program of the same user keeps busy.
FULL_WEIGHT = {"worker_niceness": 0}


@contextmanager
def ray_cluster(address: str | None) -> Iterator[dict[str, Any]]:
    """A running Ray while the block runs: the cluster at ``address``, or one started on this machine.

    What the latter needs of the environment is taken back at the end, so that the next may be a cluster's.

    Args:
        address: ``auto``, ``HOST:PORT``, or None to start Ray here, whatever RAY_ADDRESS says.

    Yields:
        What ``ray.init`` tells of it.

    Raises:
        StudyError: no cluster answers at the address.
        MachineError: Ray does not start here.
        KeyboardInterrupt: SIGTERM came while it started, or any of ``STOPPING`` in the block.
    """
    # Its handler in C++ would end this process with a stack dump at SIGTERM.
    ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER = True
    before, clusters = {name: os.environ.get(name) for name in LOCAL_ONLY}, ray_constants.ENABLE_RAY_CLUSTER
    try:
        context = _started() if address is None else _joined(address)
        with interrupted_by():  # once more, because Ray put a handler of its own in place
            yield dict(context.address_info)
    except SystemExit:  # what that one raises
        raise KeyboardInterrupt from None
    finally:
        ray.shutdown()
        ray_constants.ENABLE_RAY_CLUSTER = clusters
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _joined(address: str) -> Any:
    ray_token()
    try:
        _knock(address)
        return ray.init(address=address, **quiet_ray())
    except (OSError, RuntimeError, ValueError) as error:
        raise StudyError(
            f"No Ray cluster answers at --address {address}: {first_line(error)}. docs/cluster.md says how to start "
            "one; leave --address out to run on this machine alone."
        ) from error


def _started() -> Any:
    local_ray_auth()
    options = {
        "include_dashboard": True,
        "dashboard_host": "127.0.0.1",
        "_temp_dir": str(ray_folder()),
        "_system_config": FULL_WEIGHT,
        **quiet_ray(),
    }
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ray.init(address="local", **options)
        except Exception as error:  # a busy machine, a full disk: Ray raises whatever comes of it
            ray.shutdown()
            if attempt == ATTEMPTS:
                raise MachineError(
                    f"Ray did not start on this machine, though it was tried {ATTEMPTS} times: {first_line(error)}. "
                    f"The machine may be too busy, or its disk full: look at free -h and df -h {options['_temp_dir']}, "
                    "and try again. No participant was read."
                ) from error
    raise AssertionError("unreachable")


def ray_folder() -> Path:
    """Where Ray of this user keeps sockets and logs. Ray opens it to every account, so it lies in a folder that is not.

    Its path is short, since that of a socket may have 107 characters.

    Raises:
        StudyError: somebody else's is in its place.
    """
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / f"dpgan-tune-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StudyError(
            f"Ray's files cannot be kept in {folder} ({error.strerror}). Make that place writable, or name another "
            "folder in the environment variable RAY_TMPDIR."
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StudyError(
            f"{folder} is not a folder of yours, and Ray's files, which tell of the trials, would be kept there. Have "
            "it removed, or name another folder in the environment variable RAY_TMPDIR."
        )
    folder.chmod(0o700)
    return folder / "ray"


def _knock(address: str) -> None:
    """Fail at once where nothing listens: Ray itself would go on trying for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
