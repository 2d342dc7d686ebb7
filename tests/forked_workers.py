"""Ray's workers as forks of a process that has imported what they need: most of what they do in tests is to import.

Ray starts a worker by a command that a job may name (``py_executable``): this file, with a socket. It asks the server
there for a fork that runs Ray's own worker program, and stays in between: it ends when the worker does, and the worker
when it does.
"""

from __future__ import annotations

import array
import fcntl
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path

# Not Ray itself, nor what imports it: it keeps what the environment said when it was imported.
HEAVY = ("torch", "sklearn.ensemble", "sklearn.linear_model", "sklearn.svm", "opendp.prelude", "privacy")


def serve(address: str) -> None:
    """Fork for whoever asks at a socket, until standard input ends."""
    for module in HEAVY:
        importlib.import_module(module)
    assert "ray" not in sys.modules
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        print("ready", flush=True)
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            asking, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                become(asking)
            asking.close()


def become(asking: socket.socket) -> None:
    """Run what somebody asks for, with its arguments, environment, folder and streams, and end when it is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    head, rights, _, _ = asking.recvmsg(8, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i")
    streams.frombytes(rights[0][2])
    asked = b""
    while len(asked) < int.from_bytes(head, "big"):
        asked += asking.recv(1 << 20)
    arguments, environment, folder = json.loads(asked)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    fcntl.fcntl(asking, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(asking, fcntl.F_SETSIG, signal.SIGKILL)  # what comes when the other end is closed
    fcntl.fcntl(asking, fcntl.F_SETFL, fcntl.fcntl(asking, fcntl.F_GETFL) | os.O_ASYNC)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = arguments[next(number for number, each in enumerate(arguments) if not each.startswith("-")) :]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
    os._exit(0)


def ask(address: str, arguments: list[str]) -> None:
    """Have a fork of the server run a program, and wait until it ends."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
    asked = json.dumps([arguments, dict(os.environ), str(Path.cwd())]).encode()
    streams = array.array("i", [0, 1, 2])
    server.sendmsg([len(asked).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    server.sendall(asked)
    server.recv(1)


if __name__ == "__main__":
    ask(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 2 else serve(sys.argv[1])
