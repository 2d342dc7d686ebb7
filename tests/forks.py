"""Programs as forks of a process that has imported what they need: most of what they do in tests is to import.

``python forks.py ask SOCKET PROGRAM ...`` stands for ``python PROGRAM ...``: it asks the server at the socket for a
fork that runs the program, and stays in between. It ends when the program does, as that did, and the program when it
does. So do Ray's workers, which Ray starts by a command that a job may name (``py_executable``).
"""

from __future__ import annotations

import array
import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

# For Ray's workers: not Ray itself, nor what imports it, which keeps what the environment said when it was imported.
OF_WORKERS = ("torch", "sklearn.ensemble", "sklearn.linear_model", "sklearn.svm", "opendp.prelude", "privacy")


def serve(address: str, modules: Sequence[str]) -> None:
    """Import modules and fork for whoever asks at a socket, until standard input ends."""
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # a collection in a fork would copy all of it
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
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    status = 1
    try:
        run(arguments)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    asking.sendall(bytes([status]))
    os._exit(status)  # without taking down, one by one, all that was imported


def run(arguments: list[str]) -> None:
    """What Python does with a script and its arguments, or with ``-c``; other options are left out."""
    if arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        exec(arguments[1], {"__name__": "__main__"})
    else:
        sys.argv = arguments[next(number for number, each in enumerate(arguments) if not each.startswith("-")) :]
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


def ask(address: str, arguments: list[str]) -> int:
    """Have a fork of the server run a program, and wait until it ends; returns its exit status."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
    asked = json.dumps([arguments, dict(os.environ), str(Path.cwd())]).encode()
    streams = array.array("i", [0, 1, 2])
    server.sendmsg([len(asked).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    server.sendall(asked)
    said = server.recv(1)
    return said[0] if said else 1


if __name__ == "__main__":
    what, where, *others = sys.argv[1:]
    sys.exit(serve(where, others) if what == "serve" else ask(where, others))
