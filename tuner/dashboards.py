"""What a person can watch while a study runs on this machine: Ray's dashboard and Optuna's, on this machine only.

Ray starts six kinds of server for a local study. By default all but the dashboard listen on every interface, and the
Prometheus metrics among them answer without a token. ``local_ray_auth`` puts every one of them on the loopback
address, and closes those that show metrics.

``python -m tuner.dashboards STUDY.db`` is the child process that serves Optuna's dashboard.
"""

from __future__ import annotations

import os
import secrets
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tuner.guard import Guard

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Dashboards:
    """Where to look.

    Args:
        optuna: address of Optuna's dashboard, with its token; None where there is none.
        ray: address of Ray's dashboard; None where Ray serves none.
        token_file: file with the token that Ray's dashboard asks for; None where the token is in the environment.
        wanted: whether Optuna's was to be served.
    """

    optuna: str | None
    ray: str | None
    token_file: Path | None
    wanted: bool = True

    def lines(self) -> list[str]:
        """The same for a terminal."""
        said = []
        if self.optuna:
            said.append(f"trials   {self.optuna}")
        elif self.wanted:
            said.append("trials   Optuna's dashboard did not start; the study goes on without it")
        else:
            said.append("trials   not shown, as of a private cohort or by --no-dashboard; --dashboard shows them here")
        if self.ray:
            token = f"paste the token in {self.token_file}" if self.token_file else "paste the token in RAY_AUTH_TOKEN"
            said.append(f"machines {self.ray}  ({token})")
        return said


NO_METRICS = {
    "RAY_enable_metrics_collection": "0",
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}
"""Ray's three Prometheus servers ask for no token. One has a switch; a port that cannot be opened keeps two shut."""

TLS, CLUSTERS = "RAY_USE_TLS", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
LOCAL_ONLY = (TLS, CLUSTERS, *NO_METRICS)
"""What a Ray of this machine alone has in its environment, and the client of a cluster must not."""


def local_ray_auth() -> Path | None:
    """Make the Ray that ``ray.init`` will start here ask for a token, and listen on the loopback address only.

    It serves no metrics, which it would show to whoever asks. It encrypts nothing, since nothing leaves the machine: a
    cluster's certificate, where the shell has one, need not be valid for the addresses of this machine.

    Call it before ``ray.init``; processes started later inherit these settings. A token is made where there is none,
    readable by its owner alone.

    Returns:
        The file that holds the token, or None where the environment holds it.
    """
    os.environ[TLS] = "0"
    token_file = ray_token()
    # Ray has no documented switch for this one. It takes the loopback address as its own on systems where it runs on
    # one machine only, and this variable says which those are.
    os.environ[CLUSTERS] = "0"
    os.environ.update(NO_METRICS)
    if "ray" in sys.modules:
        from ray._private import ray_constants

        ray_constants.ENABLE_RAY_CLUSTER = False
    return token_file


def ray_token() -> Path | None:
    """Turn Ray's token authentication on for this process and its children, with a token made where there is none.

    Returns:
        The file that holds the token, or None where the environment holds it.
    """
    os.environ["RAY_AUTH_MODE"] = "token"
    token_file = None
    if not os.environ.get("RAY_AUTH_TOKEN"):
        token_file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
        _make_token(token_file)
    if "ray" in sys.modules:
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

        Config.initialize("")  # an imported Ray has read the environment already
        AuthenticationTokenLoader.instance().reset_cache()
    return token_file


def _make_token(token_file: Path) -> None:
    """Write a token nobody else can read, unless there is one; Ray itself would leave it readable by everyone."""
    token_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        token_file.chmod(0o600)
        return
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))


@contextmanager
def dashboards(database: Path | None, ray_context: Mapping[str, Any] | None) -> Iterator[Dashboards]:
    """Serve Optuna's dashboard while the block runs, and say where both dashboards are.

    Args:
        database: the study's ``study.db``; None where Optuna's dashboard is not wanted.
        ray_context: what ``ray.init`` gave back; None where Ray serves no dashboard.
    """
    ray_url = ray_context.get("webui_url") if ray_context else None
    default_token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    token_file = None if os.environ.get("RAY_AUTH_TOKEN") else default_token
    with optuna_dashboard(database) if database else nullcontext() as optuna_url:
        yield Dashboards(optuna_url, f"http://{ray_url}" if ray_url else None, token_file, wanted=database is not None)


@contextmanager
def optuna_dashboard(database: Path) -> Iterator[str | None]:
    """Serve Optuna's dashboard of one database on a free port of the loopback address while the block runs.

    The child ends when its standard input closes, so it does not outlive this process however that ends.

    Yields:
        The address, or None where it could not start; a study needs no dashboard.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "tuner.dashboards", str(database.resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is for the study, which ends its dashboard itself
    )
    try:
        yield _first_line(child)
    finally:
        child.kill()
        child.communicate()


def _first_line(child: subprocess.Popen[str]) -> str | None:
    """The address that the child prints once it listens; None if it ends or stays silent."""
    assert child.stdout is not None
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(child.stdout.readline()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    reader.join(START_TIMEOUT_S)
    return said[0].strip() or None if said else None


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def _serve(database: str) -> None:
    """Serve a database, read-only, until standard input closes."""
    import optuna_dashboard as optuna_pages  # type: ignore[import-untyped]
    from optuna.storages import RDBStorage

    RDBStorage(f"sqlite:///{database}")  # makes the tables where the study has not begun
    url = f"sqlite:///file:{quote(database)}?mode=ro&uri=true"
    application = optuna_pages.wsgi(RDBStorage(url, skip_compatibility_check=True, skip_table_creation=True))
    with make_server(LOOPBACK, 0, application, server_class=_Server, handler_class=_Quiet) as server:
        guard = Guard(application, [f"{host}:{server.server_port}" for host in (LOOPBACK, "localhost")])
        server.set_app(guard)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://{LOOPBACK}:{server.server_port}/dashboard?token={guard.token}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1])
