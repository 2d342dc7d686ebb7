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
    assert said == {
        "RAY_AUTH_TOKEN": None,
        "RAY_USAGE_STATS_ENABLED": "0",
        "DPGAN_TUNE_DATA": "/srv/dpgan-tune/private",
    }
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


def test_every_pod_has_the_store_which_the_clusters_own_file_does_not_hold():
    """So that who deletes what kuberay.yaml made still has the ledger."""
    assert CLAIM not in list(yaml.safe_load_all((CLUSTERS / "kuberay.yaml").read_text()))
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]
    for name, pod in PODS.items():
        (volume,) = pod["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
        assert ray(name)["volumeMounts"] == [{"name": volume["name"], "mountPath": "/srv/dpgan-tune"}]


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
