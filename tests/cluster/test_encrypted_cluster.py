"""Two commands encrypt a running cluster; then, who reads its network or lacks the certificate learns nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.cluster.machines import CHECKOUT, HEAD, SHARED, WORKER, Network, missing, network

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

TIMEOUT_S = 600
# A task on the worker gives the head a megabyte of one sentence, which is larger than what Ray sends within a reply.
SENTENCE = "systolic 120 mmHg at week 12;"
TASK = f"""
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
ray.init("auto", log_to_driver=False)
(worker,) = (node["NodeID"] for node in ray.nodes() if node["Alive"] and node["NodeManagerAddress"] == "{WORKER}")
there = ray.remote(scheduling_strategy=NodeAffinitySchedulingStrategy(worker, soft=False), num_cpus=0)
text = ray.get(there(lambda: {SENTENCE!r} * 40000).remote())
print("the head has", len(text), "characters")
"""
# What the laptop sees on the worker's end of the network, which is a bridge inside it.
LISTENER = f"""
import pathlib, socket
listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
listening.bind(("worker-host", 0))
pathlib.Path("/root/listening").touch()
while True:
    if {SENTENCE.encode()!r} in listening.recv(1 << 17):
        pathlib.Path("/root/overheard").touch()
"""


@dataclass(frozen=True)
class Encrypted:
    """A running cluster that was encrypted, and whether the laptop overheard a task's result before."""

    machines: Network
    overheard_before: bool


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Encrypted]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    with network(tmp_path_factory.mktemp("machines")) as machines:
        configuration = yaml.safe_load((CHECKOUT / "clusters" / "onprem.yaml").read_text())
        configuration["provider"] |= {"head_ip": HEAD, "worker_ips": [WORKER]}
        configuration["auth"]["ssh_user"] = "root"
        configuration["file_mounts"]["~/dpgan-tune/tls"] = "~/clusters/tls"  # the checkout cannot be written to here
        (machines.shared / "task.py").write_text(TASK)
        laptop = machines.laptop
        laptop.run("printenv CONFIGURATION > ~/onprem.yaml", CONFIGURATION=yaml.safe_dump(configuration))
        laptop.run("mkdir -p ~/clusters/tls && cp clusters/encrypt.py clusters/node.sh ~/clusters")
        laptop.run("cp clusters/tls/.gitignore ~/clusters/tls")  # which must not keep the certificate from travelling
        laptop.run("ray get-auth-token --generate")
        up(machines)
        before = overheard(machines)
        laptop.run("python ~/clusters/encrypt.py ~/onprem.yaml")
        up(machines)
        yield Encrypted(machines, before)


def up(machines: Network) -> None:
    machines.laptop.run("ray up -y ~/onprem.yaml", timeout_s=TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    while "2 local.cluster.node" not in (said := status(machines)):
        assert time.monotonic() < deadline, f"the second host did not join:\n{said}"
        time.sleep(2)


def status(machines: Network) -> str:
    return machines.laptop.run("ray exec ~/onprem.yaml 'ray status'", check=False).stdout


def overheard(machines: Network) -> bool:
    """Whether somebody who reads the network sees what a task on the worker gives to the head."""
    laptop = machines.laptop
    laptop.run("rm -f ~/listening ~/overheard")
    done = laptop.run(
        'python -c "$LISTENER" & listener=$!; trap "kill $listener" EXIT; '
        "while [ ! -e ~/listening ]; do sleep 0.1; done; "
        f"ray exec ~/onprem.yaml 'python {SHARED}/task.py'",
        LISTENER=LISTENER,
    )
    assert f"the head has {40000 * len(SENTENCE)} characters" in done.stdout
    return laptop.run("test -e ~/overheard", check=False).returncode == 0


def test_who_reads_the_network_sees_participants_values_before_and_not_after(cluster):
    assert cluster.overheard_before
    assert not overheard(cluster.machines)


def test_every_node_has_the_certificate_with_a_key_that_its_owner_alone_can_read(cluster):
    for host in (cluster.machines.head, cluster.machines.worker):
        found = host.run("cd ~/dpgan-tune/tls && stat -c '%a %n' *.crt *.key").stdout.split("\n")
        assert found[:3] == ["644 ca.crt", "644 node.crt", "600 node.key"]


@pytest.mark.parametrize("command", ["ray status", "ray start"], ids=["a client", "a machine"])
def test_who_has_the_token_and_not_the_certificate_is_kept_out(cluster, command):
    shown = {"RAY_AUTH_MODE": "token", "RAY_gcs_rpc_server_connect_timeout_s": "2"}
    refused = cluster.machines.laptop.run(f"timeout 120 {command} --address {HEAD}:6379", check=False, **shown)
    assert refused.returncode != 0
    assert "local.cluster.node" not in refused.stdout
    assert "2 local.cluster.node" in status(cluster.machines)


def test_a_client_with_both_is_served(cluster):
    served = cluster.machines.laptop.run(f"source ~/clusters/node.sh && ray status --address {HEAD}:6379")
    assert "2 local.cluster.node" in served.stdout


def test_a_study_on_one_machine_starts_all_the_same(cluster):
    """The certificate need not be valid for the laptop, and nothing leaves the laptop."""
    start = "from tuner.dashboards import local_ray_auth; local_ray_auth(); import ray; ray.init(num_cpus=1)"
    laptop = cluster.machines.laptop
    laptop.run(f'source ~/clusters/node.sh && timeout 120 python -c "{start}"', PYTHONPATH=str(CHECKOUT))
