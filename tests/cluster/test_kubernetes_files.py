"""The cluster on Kubernetes is that of cluster.yaml: same code, settings and shut doors; and its store outlives it."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.cluster.machines import CHECKOUT

CLUSTERS = CHECKOUT / "clusters"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for name in ("kuberay-store.yaml", "kuberay.yaml")
    for document in yaml.safe_load_all((CLUSTERS / name).read_text())
]
(CLUSTER,) = (each["spec"] for each in DOCUMENTS if each["kind"] == "RayCluster")
(CLAIM,) = (each for each in DOCUMENTS if each["kind"] == "PersistentVolumeClaim")
POLICIES = [each["spec"] for each in DOCUMENTS if each["kind"] == "NetworkPolicy"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
PODS = {"head": CLUSTER["headGroupSpec"]["template"]["spec"], "worker": WORKERS["template"]["spec"]}
AWS = yaml.safe_load((CHECKOUT / "cluster.yaml").read_text())


def ray(pod: str) -> dict[str, Any]:
    """The pod's one container."""
    (container,) = PODS[pod]["containers"]
    return container


@pytest.fixture(params=["head", "worker", "autoscaler"])
def container(request) -> dict[str, Any]:
    return CLUSTER["autoscalerOptions"] if request.param == "autoscaler" else ray(request.param)


def test_every_container_has_the_settings_of_a_node_and_the_token_of_a_secret(container):
    shell = f"source {CLUSTERS / 'node.sh'}; env"
    clean = {"PATH": "/usr/bin:/bin"}
    printed = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, check=True, env=clean | {"HOME": "/"}
    )
    node = dict(line.split("=", 1) for line in printed.stdout.splitlines())
    settings = {name: value for name, value in node.items() if "RAY" in name or "METRIC" in name if "TLS" not in name}
    assert settings["RAY_AUTH_MODE"] == "token"
    said = {each["name"]: each.get("value") for each in container["env"]}
    assert {name: said.pop(name) for name in settings} == settings
    ledger = {"DPGAN_TUNE_DATA": "/srv/dpgan-tune/private"} if container is ray("head") else {}
    assert said == {"RAY_AUTH_TOKEN": None, "RAY_USAGE_STATS_ENABLED": "0"} | ledger
    (token,) = (each["valueFrom"] for each in container["env"] if each["name"] == "RAY_AUTH_TOKEN")
    assert token == {"secretKeyRef": {"name": "dpgan-tune-token", "key": "auth_token"}}


def test_no_secret_stands_in_a_file():
    assert {each["kind"] for each in DOCUMENTS} == {"PersistentVolumeClaim", "NetworkPolicy", "RayCluster"}
    for file in (*CLUSTERS.glob("kuberay*"), *CLUSTERS.glob("Dockerfile*"), *CLUSTERS.glob("aws*")):
        assert not re.search(r"[0-9a-f]{32}|PRIVATE KEY|AKIA", file.read_text()), file


def test_no_container_is_root_or_can_become_it(container):
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    for pod in PODS.values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not [volume for volume in pod["volumes"] if set(volume) != {"name", "persistentVolumeClaim"}]
        assert pod["securityContext"]["runAsUser"] == 1000
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert PODS["worker"]["automountServiceAccountToken"] is False
    dockerfile = (CLUSTERS / "Dockerfile").read_text()
    assert dockerfile.rstrip().endswith("USER 1000:1000")
    assert "--uid 1000" in dockerfile


def test_pods_of_the_cluster_are_reached_by_each_other_alone():
    pods = {"podSelector": {"matchLabels": {"ray.io/cluster": "dpgan-tune"}}}
    assert next(each for each in DOCUMENTS if each["kind"] == "RayCluster")["metadata"]["name"] == "dpgan-tune"
    all_pods, head = POLICIES
    assert all_pods["podSelector"] == pods["podSelector"]
    assert set(all_pods["policyTypes"]) == {"Ingress", "Egress"}
    assert all_pods["ingress"] == [{"from": [pods]}]
    assert [rule for rule in all_pods["egress"] if "ports" not in rule] == [{"to": [pods]}]
    assert {port["port"] for rule in all_pods["egress"] for port in rule.get("ports", [])} == {53}
    assert head["podSelector"]["matchLabels"]["ray.io/node-type"] == "head"
    assert "ingress" not in head


def test_trials_run_on_workers_that_come_and_go_as_on_aws():
    assert CLUSTER["headGroupSpec"]["rayStartParams"] == {
        "num-cpus": "0",
        "num-gpus": "0",
        "dashboard-host": "127.0.0.1",
    }
    assert AWS["available_node_types"]["head"]["resources"] == {"CPU": 0, "GPU": 0}
    assert CLUSTER["enableInTreeAutoscaling"]
    assert CLUSTER["autoscalerOptions"]["idleTimeoutSeconds"] == 60 * AWS["idle_timeout_minutes"]
    assert (WORKERS["minReplicas"], WORKERS["maxReplicas"]) == (0, AWS["max_workers"])
    assert ray("worker")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in ray("head")["resources"]["limits"]


def test_the_head_has_the_store_which_the_clusters_own_file_does_not_hold_and_workers_its_trials_alone():
    """So that who deletes what kuberay.yaml made still has the ledger, and a worker never has it."""
    assert CLAIM not in list(yaml.safe_load_all((CLUSTERS / "kuberay.yaml").read_text()))
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in PODS.values():
        assert pod["volumes"] == [
            {"name": "store", "persistentVolumeClaim": {"claimName": CLAIM["metadata"]["name"]}},
        ]
    assert ray("head")["volumeMounts"] == [{"name": "store", "mountPath": "/srv/dpgan-tune"}]
    trials = {"name": "store", "mountPath": "/srv/dpgan-tune/trials", "subPath": "trials"}
    assert ray("worker")["volumeMounts"] == [trials]


KUBECTL = """#!/bin/bash
while [ "$1" != -- ]; do shift; done
cd "$POD/home/dpgan/dpgan-tune" && shift && exec "$@"
"""


def test_the_documented_commands_bring_the_cohort_to_the_head_and_results_home_with_their_modes(tmp_path):
    """Against a stand-in for kubectl, which runs in a folder what would run in the head's pod."""
    pod, desk, path = tmp_path / "pod", tmp_path / "desk", tmp_path / "bin"
    at, results = pod / "home/dpgan/dpgan-tune/data", pod / "srv/results/first/internal"
    for folder in (at, results, desk / "data/mine", path):
        folder.mkdir(parents=True)
    (desk / "data/mine/participants.csv").write_text("id\n")
    (results / "transfer.json").write_text("{}")
    results.chmod(0o700)
    (results / "transfer.json").chmod(0o600)
    (path / "kubectl").write_text(KUBECTL)
    (path / "kubectl").chmod(0o755)
    documented = (CHECKOUT / "docs" / "cluster.md").read_text()
    there, back = re.findall(r"^.*\btar -C.*$", documented, re.MULTILINE)
    script = f"umask 022; head=pod/it\n{there}\n{back}".replace("/srv/dpgan-tune", str(pod / "srv"))
    environment = {"PATH": f"{path}:/usr/bin:/bin", "POD": str(pod)}
    subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], cwd=desk, env=environment, check=True)
    assert (at / "mine/participants.csv").read_text() == "id\n"
    brought = desk / "results/first/internal"
    assert brought.stat().st_mode & 0o777 == 0o700
    assert (brought / "transfer.json").stat().st_mode & 0o777 == 0o600


def test_the_account_of_the_image_can_write_where_the_cohort_goes():
    dockerfile = (CLUSTERS / "Dockerfile").read_text()
    assert "WORKDIR /home/dpgan/dpgan-tune\n" in dockerfile
    assert "RUN install -d -o 1000 -g 1000 -m 700 data\n" in dockerfile


def test_trials_are_stored_where_workers_see_them():
    documented = (CHECKOUT / "docs" / "cluster.md").read_text()
    (mount,) = ray("worker")["volumeMounts"]
    assert f"--storage {mount['mountPath']} " in documented
    assert "mkdir -p /srv/dpgan-tune/{private,trials};" in documented


def test_all_run_the_ray_that_is_locked():
    (locked,) = re.findall(r"^ray==(\S+)", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE)
    assert CLUSTER["rayVersion"] == locked
    assert ray("head")["image"] == ray("worker")["image"]


def test_the_image_holds_what_travels_to_a_machine_and_nothing_else():
    travels = {
        local
        for remote, local in AWS["file_mounts"].items()
        if local not in {"~/.ray/auth_token", "clusters/node.sh", "clusters/tls"}
    }
    dockerfile = (CLUSTERS / "Dockerfile").read_text()
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE) for name in line.split()}
    assert copied == travels
    everything, *allowed, caches = (CLUSTERS / "Dockerfile.dockerignore").read_text().split()
    assert (everything, caches) == ("*", "**/__pycache__")
    assert {line.removeprefix("!") for line in allowed} == travels


def test_the_image_installs_as_a_machine_does():
    dockerfile = (CLUSTERS / "Dockerfile").read_text()
    for command in (command for command in AWS["setup_commands"] if "pip install" in command):
        options = command.split("pip install")[1].replace("~/dpgan-tune/", "").replace("~/dpgan-tune", ".").strip()
        assert f"pip install --no-cache-dir {options}\n" in dockerfile
