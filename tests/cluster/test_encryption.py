"""Who has the cluster's certificate talks to its machines, and nobody else; who made none runs without encryption."""

from __future__ import annotations

import runpy
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import yaml

from tests.cluster.machines import CHECKOUT

FILES = ("ca.crt", "node.crt", "node.key")
TLS = ("RAY_USE_TLS", "RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")


@pytest.fixture
def clusters(tmp_path) -> Path:
    """A copy of the folder that the script writes into."""
    (tmp_path / "clusters" / "tls").mkdir(parents=True)
    for name in ("encrypt.py", "node.sh", "onprem.yaml"):
        shutil.copy(CHECKOUT / "clusters" / name, tmp_path / "clusters")
    return tmp_path / "clusters"


def encrypt(clusters: Path, *machines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, clusters / "encrypt.py", *machines], capture_output=True, text=True)


def sourced(clusters: Path) -> dict[str, str]:
    """What node.sh exports, beginning from nothing."""
    shell = f"source {clusters / 'node.sh'}; env"
    printed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True, env={"HOME": "/home/x"})
    return dict(line.split("=", 1) for line in printed.stdout.splitlines())


def test_a_certificate_turns_encryption_on_and_without_one_it_is_off(clusters):
    assert not set(sourced(clusters)) & set(TLS)
    assert encrypt(clusters, "192.0.2.1").returncode == 0
    environment = sourced(clusters)
    assert environment["RAY_USE_TLS"] == "1"
    assert [Path(environment[name]) for name in TLS[1:]] == [clusters / "tls" / name for name in FILES]


def test_nobody_else_on_the_machine_may_read_the_key_and_the_authoritys_is_kept_nowhere(clusters):
    assert encrypt(clusters, "192.0.2.1").returncode == 0
    assert stat.S_IMODE((clusters / "tls" / "node.key").stat().st_mode) == 0o600
    keys = [file for file in clusters.rglob("*") if file.is_file() and b"PRIVATE KEY" in file.read_bytes()]
    assert keys == [clusters / "tls" / "node.key"]
    assert keys[0].read_bytes().count(b"BEGIN PRIVATE KEY") == 1


def test_what_is_made_is_never_committed():
    made = [f"clusters/tls/{name}" for name in FILES]
    ignored = subprocess.run(["git", "check-ignore", *made], cwd=CHECKOUT, capture_output=True, text=True)
    if ignored.returncode == 128:
        pytest.skip("not a checkout of git")
    assert ignored.stdout.split() == made


@contextmanager
def server(folder: Path, address: str) -> Iterator[int]:
    """A gRPC server as Ray sets one up, which asks its clients for a certificate; yields its port."""
    authority, certificate, key = ((folder / name).read_bytes() for name in FILES)
    credentials = grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)
    answer = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    running = grpc.server(ThreadPoolExecutor(1), [grpc.method_handlers_generic_handler("a", {"question": answer})])
    port = running.add_secure_port(f"{address}:0", credentials)
    running.start()
    try:
        yield port
    finally:
        running.stop(None)


def answered(address: str, port: int, credentials: grpc.ChannelCredentials | None) -> bool:
    """Whether a client gets an answer."""
    target = f"{address}:{port}"
    with grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target) as channel:
        try:
            return channel.unary_unary("/a/question")(b"x", timeout=20) == b"x"
        except grpc.RpcError as refused:
            assert refused.code() is grpc.StatusCode.UNAVAILABLE
            return False


def of(folder: Path) -> grpc.ChannelCredentials:
    authority, certificate, key = ((folder / name).read_bytes() for name in FILES)
    return grpc.ssl_channel_credentials(authority, key, certificate)


@pytest.mark.parametrize("named", ["127.0.0.0/22", "127.0.0.9"], ids=["as many as allowed", "one address"])
def test_a_machine_is_answered_with_the_certificate_and_not_otherwise(clusters, tmp_path, named):
    assert encrypt(clusters, named).returncode == 0
    folder = clusters / "tls"
    strangers = shutil.copytree(clusters, tmp_path / "stranger" / "clusters")
    assert encrypt(strangers, named).returncode == 0
    with server(folder, "127.0.0.9") as port:
        assert answered("127.0.0.9", port, of(folder))
        assert not answered("127.0.0.9", port, None)
        assert not answered("127.0.0.9", port, grpc.ssl_channel_credentials((folder / "ca.crt").read_bytes()))
        assert not answered("127.0.0.9", port, of(strangers / "tls"))


def test_a_machine_at_an_address_that_was_not_named_is_not_believed(clusters):
    assert encrypt(clusters, "127.0.0.9").returncode == 0
    with server(clusters / "tls", "127.0.0.10") as port:
        assert not answered("127.0.0.10", port, of(clusters / "tls"))


def test_a_machine_may_be_named_by_name_and_by_either_kind_of_address(clusters):
    machine_names = runpy.run_path(str(clusters / "encrypt.py"))["machine_names"]
    named = ["gpu-2.example.org", "node1", "192.0.2.7", "2001:db8::7"]
    assert {str(name.value) for name in machine_names(named)} == {"localhost", "127.0.0.1", *named}


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ("head_ip: 10.0.0.1, worker_ips: 10.0.0.2", "must have a list as `worker_ips`"),
        ("head_ip: 10.0.0.1, worker_ips: [10.0.0.300]", "'10.0.0.300' is neither an address nor"),
        ("worker_ips: [10.0.0.2]", "must name `head_ip` and `worker_ips`"),
    ],
)
def test_a_cluster_file_with_a_slip_is_refused(clusters, provider, reason):
    file = clusters / "slip.yaml"
    file.write_text(f"provider: {{type: local, {provider}}}\n")
    refused = encrypt(clusters, str(file))
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert list((clusters / "tls").iterdir()) == []


def test_the_addresses_are_those_of_the_cluster_file(clusters):
    machine_names = runpy.run_path(str(clusters / "encrypt.py"))["machine_names"]
    said = yaml.safe_load((clusters / "onprem.yaml").read_text())["provider"]
    names = {str(name.value) for name in machine_names([str(clusters / "onprem.yaml")])}
    assert names == {"localhost", "127.0.0.1", said["head_ip"], *said["worker_ips"]}


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (str(CHECKOUT / "cluster.yaml"), "does not name its machines"),
        ("nowhere.yaml", "nowhere.yaml is not a cluster file"),
        ("10.0.0.0/8", "10.0.0.0/8 has 16,777,216 addresses"),
        ("10.0.0.1/24", "10.0.0.1/24 is not a network"),
        *(
            (typed, f"{typed!r} is neither an address nor the name of a machine")
            for typed in ("machine é", "10.0.0.300", "192.168.1", "*", "*.example.org", "a_b", "10.0.0.1,10.0.0.2", "")
        ),
    ],
)
def test_what_no_addresses_can_be_taken_from_is_refused(clusters, machine, reason):
    refused = encrypt(clusters, machine)
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list((clusters / "tls").iterdir()) == []
