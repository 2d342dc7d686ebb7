"""What another account of the machine gets of a private study while it runs: nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import psutil
import pytest

from tests.tuner import somebody_else
from tests.tuner.running_study import Ground, kill, processes_of

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may become another account")
LINES = 8  # so that trials were scored, and saved


@dataclass(frozen=True)
class Surface:
    """What there is to be tried.

    Args:
        files: and folders.
        sockets: of the file system, and abstract ones.
        ports: on which something listens.
    """

    files: list[str]
    sockets: list[str]
    ports: list[int]

    def got_by_nobody(self) -> list[str]:
        """What another account is not refused."""
        tried = subprocess.run(
            [sys.executable, somebody_else.__file__],
            input=json.dumps(vars(self)),
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert tried.returncode == 0, tried.stderr
        return tried.stdout.splitlines()


@pytest.fixture(scope="module")
def surface_and_finds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Surface, list[str]]]:
    """All of a study that is training, and what of it another account got."""
    with TemporaryDirectory(dir="/tmp") as short:  # that of a socket may have 107 characters
        everybodys = Path(short)
        everybodys.chmod(0o755)
        ground = Ground(everybodys / "study", public=False, environment={"RAY_TMPDIR": short})
        ground.folder.mkdir()
        ground.prepare()
        endless = ("--new-ledger", "--dashboard", "--trials", "40")
        study = ground.begin(*endless, under=("sh", "-c", 'umask 022; exec "$@"', "sh"))
        try:
            assert ground.wait_until_executed(study, LINES), ground.said
            found = surface(study, [ground.study, ground.data, everybodys / f"dpgan-tune-{os.getuid()}"])
            yield found, found.got_by_nobody()
        finally:
            kill("driver", study)


def surface(study: subprocess.Popen[str], folders: list[Path]) -> Surface:
    """What a study shows to the machine."""
    files = [str(each) for folder in folders for each in (folder, *folder.rglob("*")) if not each.is_socket()]
    ports, sockets = set(), set()
    for process in [psutil.Process(study.pid), *processes_of(study)]:
        for each in process.net_connections("all"):
            if each.status == psutil.CONN_LISTEN:
                ports.add(each.laddr.port)
            elif isinstance(each.laddr, str) and each.laddr:
                sockets.add(each.laddr)
    return Surface(files, sorted(sockets), sorted(ports))


def test_what_is_open_would_be_found():
    with (
        TemporaryDirectory(dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX) as listening,
        HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server,
    ):
        Path(folder).chmod(0o755)
        (Path(folder) / "open").touch(mode=0o644)
        (Path(folder) / "closed").touch(mode=0o600)
        listening.bind(f"{folder}/socket")
        listening.listen()
        Path(listening.getsockname()).chmod(0o777)
        (Path(folder) / "metrics").touch()
        server.RequestHandlerClass = partial(SimpleHTTPRequestHandler, directory=folder)
        Thread(target=server.serve_forever, daemon=True).start()
        files = [f"{folder}/{name}" for name in ("open", "closed")]
        found = Surface(files, [listening.getsockname()], [server.server_port]).got_by_nobody()
        server.shutdown()
    assert found[:2] == [f"file {folder}/open", f"socket {folder}/socket"]
    assert len(found) == 3 and "/metrics is answered with 200" in found[2]


@pytest.mark.slow
def test_the_whole_study_was_tried(surface_and_finds):
    found, _ = surface_and_finds
    for part in ("study.db", "ledger.db", "split.key", "trial.pt", "raylet.out"):
        assert any(part in each for each in found.files), part
    assert any("raylet" in each for each in found.sockets) and len(found.ports) >= 5


@pytest.mark.slow
def test_another_account_is_refused_everything(surface_and_finds):
    _, finds = surface_and_finds
    assert not finds, "\n".join(finds)
