"""The policies of clusters/aws-*.json allow what Ray asks of AWS for this cluster, no more, and for no other cluster.

Ray runs against an imitation of AWS, every call is noted, and the policies are asked about each as AWS would ask them:
one question for every resource that a call touches (Service Authorization Reference, Amazon EC2).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml

from tests.cluster.machines import CHECKOUT

moto = pytest.importorskip("moto", reason="needs moto and boto3: make test-aws")
boto3 = pytest.importorskip("boto3")

CLUSTER, ROLE = "dpgan-tune", "dpgan-tune-head"
TAG = "ray-cluster-name"
POLICIES = {"person": "aws-policy.json", "head": "aws-head-policy.json"}


@dataclass(frozen=True)
class Question:
    """What AWS asks a policy before it does something: the action, on what, and under which conditions."""

    action: str
    resource: str
    context: Mapping[str, str]


@dataclass(frozen=True)
class Asked:
    """What a person's `ray up` and `ray down` asked of AWS, and what the head's autoscaler did."""

    person: list[Question]
    head: list[Question]


def questions(service: str, operation: str, request: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[Question]:
    """What AWS asks of policies on one call.

    Args:
        service: as boto3 names it.
        operation: the call.
        request: its arguments.
        tags: the cluster that each thing with an identifier was tagged with.
    """
    action = f"{service}:{operation}"
    specifications = request.get("TagSpecifications", [])
    requested = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for each in specifications for tag in each["Tags"]}
    for each in specifications:
        yield Question("ec2:CreateTags", arn(each["ResourceType"]), requested | {"ec2:CreateAction": operation})
    if operation.startswith("Describe"):
        yield Question(action, "*", {})
    elif operation == "RunInstances":
        yield Question(action, arn("instance"), requested)
        yield Question(action, f"arn:aws:ec2:us-east-1::image/{request['ImageId']}", {})
        yield Question(action, arn("key-pair", request["KeyName"]), {})
        spot = request.get("InstanceMarketOptions", {}).get("MarketType") == "spot"
        for kind in ("network-interface", "subnet", "volume", *["spot-instances-request"] * spot):
            yield Question(action, arn(kind), {})
        interfaces = request.get("NetworkInterfaces", [])
        for group in request.get("SecurityGroupIds") or [each for one in interfaces for each in one["Groups"]]:
            yield Question(action, arn("security-group", group), {f"aws:ResourceTag/{TAG}": tags.get(group, "")})
        if "IamInstanceProfile" in request:
            passed = {"iam:PassedToService": "ec2.amazonaws.com"}
            yield Question(
                "iam:PassRole", f"arn:aws:iam::123456789012:role/{request['IamInstanceProfile']['Name']}", passed
            )
    elif operation == "CreateKeyPair":
        yield Question(action, arn("key-pair", request["KeyName"]), {})
    elif operation == "CreateSecurityGroup":
        yield Question(action, arn("security-group"), requested)
        yield Question(action, arn("vpc"), {})
    elif operation == "AuthorizeSecurityGroupIngress":
        yield Question(action, arn("security-group"), {f"aws:ResourceTag/{TAG}": tags[request["GroupId"]]})
    else:
        for identifier in request.get("InstanceIds") or request["Resources"]:
            yield Question(action, arn("instance", identifier), {f"aws:ResourceTag/{TAG}": tags[identifier]})


def arn(kind: str, name: str = "0123") -> str:
    return f"arn:aws:ec2:us-east-1:123456789012:{kind}/{name}"


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def allows(policy: Mapping[str, Any], question: Question) -> bool:
    """Whether a policy, of which every statement allows and every condition is StringEquals, says yes."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        conditions = statement.get("Condition", {"StringEquals": {}})
        (kind,) = conditions
        assert kind == "StringEquals"
        if (
            question.action in listed(statement["Action"])
            and any(fnmatchcase(question.resource, each) for each in listed(statement["Resource"]))
            and all(question.context.get(key) in listed(value) for key, value in conditions[kind].items())
        ):
            return True
    return False


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> Iterator[Asked]:
    import botocore.client
    from ray.autoscaler._private.commands import _bootstrap_config
    from ray.autoscaler._private.providers import _get_node_provider

    calls: list[tuple[str, str, Mapping[str, Any]]] = []
    call = botocore.client.BaseClient._make_api_call

    def noted(client, operation, request):
        calls.append((client.meta.service_model.service_name, operation, request))
        return call(client, operation, request)

    configuration = yaml.safe_load((CHECKOUT / "cluster.yaml").read_text())
    with pytest.MonkeyPatch.context() as patch, moto.mock_aws():
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # Ray keeps the key pair it makes in ~/.ssh
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "imitation")
        client = boto3.client("ec2", region_name=configuration["provider"]["region"])
        kinds = configuration["available_node_types"]
        for kind in kinds.values():
            kind["node_config"]["ImageId"] = client.describe_images()["Images"][0]["ImageId"]
        kinds["head"]["node_config"]["IamInstanceProfile"] = {"Name": ROLE}
        boto3.client("iam").create_instance_profile(InstanceProfileName=ROLE)

        patch.setattr(botocore.client.BaseClient, "_make_api_call", noted)
        bootstrapped = _bootstrap_config(configuration, no_config_cache=True)
        nodes = {kind: each["node_config"] for kind, each in bootstrapped["available_node_types"].items()}
        provider = _get_node_provider(bootstrapped["provider"], CLUSTER, use_cache=False)

        def lives(kind: str) -> None:
            provider.create_node(dict(nodes[kind]), {"ray-node-type": kind}, 1)
            (node,) = provider.non_terminated_nodes({"ray-node-type": kind})
            provider.set_node_tags(node, {"ray-node-status": "up-to-date"})
            provider.external_ip(node), provider.internal_ip(node)

        lives("head")
        by_person, calls[:] = list(calls), []
        lives("worker")
        provider.terminate_nodes(provider.non_terminated_nodes({"ray-node-type": "worker"}))
        by_head, calls[:] = list(calls), []
        provider.terminate_nodes(provider.non_terminated_nodes({"ray-node-type": "head"}))
        by_person += calls
        tags = {
            each["ResourceId"]: each["Value"]
            for each in client.describe_tags(Filters=[{"Name": "key", "Values": [TAG]}])["Tags"]
        }
    yield Asked(*([each for one in of for each in questions(*one, tags)] for of in (by_person, by_head)))


def policy(of: str) -> dict[str, Any]:
    return json.loads((CHECKOUT / "clusters" / POLICIES[of]).read_text())


@pytest.mark.parametrize("who", POLICIES)
def test_all_that_ray_asks_is_allowed(asked, who):
    assert [each for each in getattr(asked, who) if not allows(policy(who), each)] == []


@pytest.mark.parametrize("who", POLICIES)
def test_no_action_is_allowed_that_ray_does_not_ask_for(asked, who):
    allowed = {action for statement in policy(who)["Statement"] for action in listed(statement["Action"])}
    assert allowed == {each.action for each in getattr(asked, who)}


@pytest.mark.parametrize("who", POLICIES)
def test_what_belongs_to_another_cluster_cannot_be_changed(asked, who):
    """The same calls with another cluster's tag, or none, where what is touched carries one."""
    changing = [each for each in getattr(asked, who) if CLUSTER in each.context.values()]
    changing = [each for each in changing if "ec2:CreateAction" not in each.context]
    assert {"ec2:RunInstances", "ec2:CreateTags", "ec2:TerminateInstances"} <= {each.action for each in changing}
    for each in changing:
        for other in ("another", ""):
            context = {key: other if value == CLUSTER else value for key, value in each.context.items()}
            assert not allows(policy(who), replace(each, context=context)), each


@pytest.mark.parametrize("who", POLICIES)
def test_machines_get_the_clusters_security_group_and_no_other(asked, who):
    groups = [e for e in getattr(asked, who) if e.action == "ec2:RunInstances" and ":security-group/" in e.resource]
    assert groups
    assert not [each for each in groups if allows(policy(who), replace(each, context={}))]


def test_the_head_can_give_its_workers_no_role_and_a_person_no_other_than_the_heads(asked):
    (passed,) = (each for each in asked.person if each.action == "iam:PassRole")
    assert not allows(policy("head"), passed)
    assert not allows(policy("person"), replace(passed, resource="arn:aws:iam::123456789012:role/administrator"))
    assert not allows(policy("person"), replace(passed, context={"iam:PassedToService": "lambda.amazonaws.com"}))
