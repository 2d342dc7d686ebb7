"""Two hosts become a cluster that outsiders cannot use, run a study together, hand over its results and are left clean.

The commands are those of docs/cluster.md. Set DPGAN_TUNE_WHEELHOUSE to a folder of wheels to have the hosts install
themselves from it, as in a closed network; by default each comes with its own copy of this Python environment.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.cluster.machines import CHECKOUT, HEAD, SHARED, WORKER, Machine, Network, missing, network

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

WRONG_TOKEN = "0" * 64
UP_TIMEOUT_S = JOIN_TIMEOUT_S = 600
TRIALS = 4
# A trial takes all cores of a host, so the next one goes to the other host. That one's process needs some ten seconds
# to start, and Ray Tune gives its trial away if another ends meanwhile: hence an epoch of 5,000 short steps.
SEARCH_SPACE = """
network: compact
generator_learning_rate: {log_uniform: [1e-3, 1e-2]}
sampling_rate: 0.0002
noise_multiplier: 1
latent_size: 4
width: 8
depth: 1
"""
STUDY = (
    f"python tuner/run.py --cohort sprint-simulated --search-space {SHARED}/long-epochs.yaml --trials {TRIALS} "
    f"--max-epochs 1 --policy unaccounted --study shared --cpus-per-trial {os.cpu_count()} --address auto "
    f"--storage {SHARED}"
)
HELPERS = {"ray::DashboardA", "ray::RuntimeEnv"}  # idle without a raylet, and gone a minute after it
GET_WITHOUT_TOKEN = """
import sys, urllib.error, urllib.request
for port in sys.argv[2:]:
    for path in ("/", "/metrics"):
        try:
            print(port, path, urllib.request.urlopen(f"http://{sys.argv[1]}:{port}{path}", timeout=5).status)
        except urllib.error.HTTPError as error:
            print(port, path, error.code)
        except Exception as error:
            print(port, path, type(error).__name__)
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    machines: Network

    def ray(self, command: str, *, check: bool = True, **environment: str) -> str:
        """A `ray` command typed on the laptop, and what it prints."""
        return self.machines.laptop.run(f"ray {command}", check=check, **environment).stdout

    def on_head(self, command: str) -> str:
        """A command on the head, by `ray exec` from the laptop."""
        return self.ray(f"exec ~/onprem.yaml '{command}'")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    reason = missing()
    if reason:
        pytest.skip(reason)
    wheelhouse = os.environ.get("DPGAN_TUNE_WHEELHOUSE")
    folder = tmp_path_factory.mktemp("machines")
    with network(folder, Path(wheelhouse) if wheelhouse else None) as machines:
        configuration = yaml.safe_load((CHECKOUT / "clusters" / "onprem.yaml").read_text())
        configuration["provider"] |= {"head_ip": HEAD, "worker_ips": [WORKER]}
        configuration["auth"]["ssh_user"] = "root"
        machines.laptop.run("printenv CONFIGURATION > ~/onprem.yaml", CONFIGURATION=yaml.safe_dump(configuration))
        started = Cluster(machines)
        started.ray("get-auth-token --generate")
        machines.laptop.run("ray up -y ~/onprem.yaml", timeout_s=UP_TIMEOUT_S)
        wait_for_both_hosts(started)
        yield started


def wait_for_both_hosts(cluster: Cluster) -> None:
    deadline = time.monotonic() + JOIN_TIMEOUT_S
    while "2 local.cluster.node" not in (status := cluster.on_head("ray status")):
        assert time.monotonic() < deadline, f"the second host did not join:\n{status}"


def test_the_hosts_share_the_storage_and_nothing_else(cluster):
    head, worker = cluster.machines.head, cluster.machines.worker
    for folder in ("/tmp", "/root", "/dev/shm", "/var/tmp"):
        head.run(f"touch {folder}/only-here")
        assert worker.run(f"test -e {folder}/only-here", check=False).returncode == 1
    head.run(f"touch {SHARED}/seen-everywhere")
    worker.run(f"rm {SHARED}/seen-everywhere")


@pytest.mark.parametrize(
    "stranger",
    [
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": WRONG_TOKEN},
    ],
    ids=["no token", "wrong token"],
)
def test_a_client_without_the_token_is_refused(cluster, stranger):
    refused = cluster.machines.laptop.run(f"ray status --address {HEAD}:6379", check=False, **stranger)
    assert refused.returncode != 0
    assert "InvalidAuthToken" in refused.stdout
    assert "local.cluster.node" not in refused.stdout


def test_a_client_with_the_token_is_served(cluster):
    assert "2 local.cluster.node" in cluster.ray(f"status --address {HEAD}:6379", RAY_AUTH_MODE="token")


def test_a_machine_without_the_token_cannot_join(cluster):
    refused = cluster.machines.laptop.run(f"ray start --address {HEAD}:6379", check=False, RAY_AUTH_MODE="disabled")
    assert refused.returncode != 0
    assert "InvalidAuthToken" in refused.stdout
    assert "2 local.cluster.node" in cluster.on_head("ray status")


def test_no_open_port_answers_without_the_token(cluster):
    laptop = cluster.machines.laptop
    for host in (cluster.machines.head, cluster.machines.worker):
        listening = {line.split()[3].rsplit(":", 1)[1] for line in host.run("ss -ltnH").stdout.splitlines()}
        ports = sorted(listening - {"22"})
        assert "52365" in ports, "Ray's own agent should be among the ports tried"
        answers = laptop.run(f'python -c "$PROGRAM" {host.address} {" ".join(ports)}', PROGRAM=GET_WITHOUT_TOKEN).stdout
        assert len(answers.splitlines()) == 2 * len(ports)
        assert [line for line in answers.splitlines() if line.endswith(" 200")] == []
        assert "52365 / 401" in answers


def test_the_dashboard_is_served_on_the_head_itself_only(cluster):
    from_head = "curl -s -m 10 -o /dev/null -w '%{http_code}' http://127.0.0.1:8265/api/cluster_status"
    assert cluster.machines.head.run(from_head).stdout == "401"
    for stranger in (cluster.machines.laptop, cluster.machines.worker):
        refused = stranger.run(f"curl -s -m 10 http://{HEAD}:8265/", check=False)
        assert refused.returncode == 7, "curl says 7 where nothing listens"


@pytest.fixture(scope="module")
def study(cluster) -> list[dict]:
    """A study run on the cluster: every result that a trial reported."""
    (cluster.machines.shared / "long-epochs.yaml").write_text(SEARCH_SPACE)
    cluster.on_head(f". ~/dpgan-tune/node.sh && cd ~/dpgan-tune && {STUDY}")
    files = cluster.machines.shared.rglob("result.json")
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_study_uses_both_hosts(study):
    assert {result["hostname"] for result in study} == {"head-host", "worker-host"}
    assert {result["node_ip"] for result in study} == {HEAD, WORKER}
    assert len({result["trial_id"] for result in study}) == TRIALS


def test_its_results_come_back(cluster, study):
    cluster.ray("rsync-down ~/onprem.yaml '~/dpgan-tune/results/' ~/results/")
    laptop = cluster.machines.laptop
    manifest = json.loads(laptop.run("cat ~/results/shared/release/manifest.json").stdout)
    assert manifest["study"] == "shared"
    laptop.run("ls ~/results/shared/study.db ~/results/shared/internal/transfer.json")


def test_only_the_head_has_the_participants_files(cluster, study):
    machines = cluster.machines
    machines.laptop.run("mkdir -p ~/data/mine && touch ~/data/mine/participants.csv")
    cluster.ray("rsync-up ~/onprem.yaml ~/data/ '~/dpgan-tune/data/'")
    find = r"find / -xdev -path '*/data/*' \( -name participants.csv -o -name baseline.csv \) -printf '%h\n'"
    found = machines.head.run(find).stdout.split()
    assert sorted(found) == ["/root/dpgan-tune/data/mine", "/root/dpgan-tune/data/sprint-simulated"]
    assert machines.worker.run(find).stdout == ""


def test_ray_down_ends_ray_on_both_hosts(cluster):
    cluster.ray("down -y ~/onprem.yaml")
    assert ray_processes(cluster.machines.head) == []
    deadline = time.monotonic() + 60  # a worker ends its trials by itself, half a minute after its head has gone
    while left := [name for name in ray_processes(cluster.machines.worker) if name not in HELPERS]:
        assert time.monotonic() < deadline, left
        time.sleep(1)


def ray_processes(machine: Machine) -> list[str]:
    return machine.run("ps -eo comm | grep -E '^(raylet|gcs_server|ray::)'", check=False).stdout.splitlines()
