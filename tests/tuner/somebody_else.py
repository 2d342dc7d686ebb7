"""Tries, as the account nobody, to get at what is named on standard input; prints what it got. Run by root.

Standard input holds JSON with lists of ``files``, ``sockets`` (paths; abstract ones begin with @) and ``ports``; each
line printed is one thing that was not refused.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc

NOBODY = 65534
PATIENCE_S = 10
CLOSED_PORT = 1
# What Ray's services and pages would tell whoever asks.
PAGES = ("/metrics", "/nodes?view=summary", "/api/v0/tasks", "/api/v0/logs", "/api/cluster_status", "/api/jobs/")
CALLS = (
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "/ray.rpc.InternalKVGcsService/InternalKVKeys",
    "/ray.rpc.ActorInfoGcsService/GetAllActorInfo",
    "/ray.rpc.NodeManagerService/GetNodeStats",
    "/ray.rpc.NodeManagerService/GetObjectsInfo",
    "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
    "/ray.rpc.LogService/ListLogs",
    "/ray.rpc.ReporterService/GetTraceback",
    "/ray.rpc.RuntimeEnvService/GetRuntimeEnvsInfo",
)
REFUSED = (401, 403, 404, 405)


def files(paths: list[str]) -> Iterator[str]:
    for path in paths:
        try:
            if Path(path).is_dir():
                next(Path(path).iterdir(), None)
            else:
                Path(path).open("rb").close()
            yield f"file {path}"
        except OSError:
            continue


def sockets(paths: list[str]) -> Iterator[str]:
    for path in paths:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(path.replace("@", "\0", 1) if path.startswith("@") else path)
                yield f"socket {path}"
            except OSError:
                continue


def pages(port: int) -> Iterator[str]:
    """Whatever is answered over HTTP with more than a refusal."""
    for page in PAGES:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            connection.request("GET", page)
            answer = connection.getresponse()
            if answer.status not in REFUSED:
                yield f"port {port}: {page} is answered with {answer.status}, {answer.read(100)!r}"
        except (OSError, http.client.HTTPException):  # it does not speak HTTP
            return
        finally:
            connection.close()


def calls(port: int) -> Iterator[str]:
    """Whatever is answered over gRPC."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for call in CALLS:
            try:
                answer = channel.unary_unary(call)(b"", timeout=PATIENCE_S)
                yield f"port {port}: {call} is answered with {answer[:100]!r}"
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:  # it does not speak gRPC
                    return


def main() -> None:
    asked = json.load(sys.stdin)
    for ask in (pages, calls):  # what Python loads for it later, nobody may perhaps not read
        assert not list(ask(CLOSED_PORT))
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    got = [*files(asked["files"]), *sockets(asked["sockets"])]
    got += [each for port in asked["ports"] for ask in (pages, calls) for each in ask(port)]
    for each in got:
        print(each)


if __name__ == "__main__":
    main()
