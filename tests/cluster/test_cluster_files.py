"""The cluster files are what Ray accepts, carry the code and nothing private, and open nothing to the outside."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.cluster.machines import CHECKOUT

FILES = ("cluster.yaml", "clusters/onprem.yaml")
LOCKS = ("requirements.lock", "requirements-torch.lock")


@pytest.fixture(params=FILES)
def configuration(request) -> dict:
    return yaml.safe_load((CHECKOUT / request.param).read_text())


def all_commands(configuration: dict) -> list[str]:
    return [command for key, value in configuration.items() if key.endswith("commands") for command in value]


def test_rays_own_schema_accepts_it(configuration):
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(configuration)
    validate_config(prepared)
    assert prepared["head_start_ray_commands"] == configuration["head_start_ray_commands"]
    assert prepared["head_setup_commands"][: len(configuration["setup_commands"])] == configuration["setup_commands"]


def test_rays_own_schema_refuses_a_slip(configuration):
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(ValidationError):
        validate_config(prepare_config(configuration | {"setup_comands": []}))


def test_every_package_travels_and_nothing_private_does(configuration):
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    packages = set(project["tool"]["importlinter"]["root_packages"])
    sources = {remote: local for remote, local in configuration["file_mounts"].items() if local != "~/.ray/auth_token"}
    assert packages <= set(sources.values())
    needed_to_install = {"pyproject.toml", *LOCKS, project["project"]["readme"]}
    assert needed_to_install | set(project["project"]["license-files"]) <= set(sources.values())
    assert not {"data", "results", ".", ".venv", ".git"} & set(sources.values())
    assert all((CHECKOUT / local).exists() for local in sources.values())


def test_the_token_travels_to_every_node_and_is_asked_for_there(configuration):
    assert configuration["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert any("~/dpgan-tune/node.sh" in command and "~/.bashrc" in command for command in all_commands(configuration))
    shell = f"source {CHECKOUT / configuration['file_mounts']['~/dpgan-tune/node.sh']}; env"
    printed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True, env={"HOME": "/home/x"})
    environment = dict(line.split("=", 1) for line in printed.stdout.splitlines())
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["PATH"].startswith("/home/x/dpgan-tune/.venv/bin:")
    assert not [command for command in all_commands(configuration) if "RAY_AUTH_MODE" in command]


def test_only_the_head_itself_reaches_the_dashboard(configuration):
    (start,) = [command for command in configuration["head_start_ray_commands"] if "ray start" in command]
    assert re.search(r"--dashboard-host=(\S+)", start).group(1) == "127.0.0.1"
    assert "--disable-usage-stats" in start


def test_nodes_install_what_the_lock_file_says(configuration):
    installing = [command for command in all_commands(configuration) if "pip install" in command]
    for lock in LOCKS:
        assert any(f"--requirement ~/dpgan-tune/{lock}" in command for command in installing)
    assert all("requirements" in c or "--no-deps" in c or "==" in c for c in installing)


def test_both_files_differ_only_in_where_the_machines_come_from():
    aws, onprem = (yaml.safe_load((CHECKOUT / name).read_text()) for name in FILES)
    assert aws["file_mounts"] == onprem["file_mounts"]
    assert aws["rsync_exclude"] == onprem["rsync_exclude"]
    installing, also = ([c for c in file["setup_commands"] if "~/dpgan-tune" in c] for file in (aws, onprem))
    assert installing == also


METADATA = """#!/bin/bash
case "${@: -1}" in
  */api/token) [[ "$*" == *"-X PUT"* ]] && echo a-token ;;
  */meta-data/mac) [[ "$*" == *"token: a-token"* ]] && echo 0e:00 ;;
  */macs/0e:00/vpc-ipv4-cidr-block) [[ "$*" == *"token: a-token"* ]] && echo 172.31.0.0/16 ;;
esac
"""


@pytest.mark.parametrize("answers", [True, False])
def test_the_heads_disk_is_shared_with_the_clusters_own_network_or_with_nobody(tmp_path, answers):
    """Against an imitation of AWS's metadata service, which may also not answer."""
    for name, text in (
        ("curl", METADATA if answers else "#!/bin/false\n"),
        ("sudo", f"#!/bin/bash\ntee {tmp_path}/exports"),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    configuration = yaml.safe_load((CHECKOUT / "cluster.yaml").read_text())
    (share,) = [each for each in configuration["head_setup_commands"] if "/etc/exports.d" in each]
    done = subprocess.run(["bash", "-c", share], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True)
    exports = tmp_path / "exports"
    said = exports.read_text() if exports.exists() else ""
    assert said == ("/srv/dpgan-tune 172.31.0.0/16(rw,no_subtree_check)\n" if answers else "")
    assert (done.returncode == 0) is answers


def test_only_programs_that_can_ask_for_a_token_learn_a_machines_keys():
    kinds = yaml.safe_load((CHECKOUT / "cluster.yaml").read_text())["available_node_types"].values()
    assert {kind["node_config"]["MetadataOptions"]["HttpTokens"] for kind in kinds} == {"required"}


def test_aws_opens_ssh_and_the_nodes_to_each_other_and_nothing_else(monkeypatch, tmp_path):
    """Against an imitation of AWS: what Ray would ask of the real one."""
    moto = pytest.importorskip("moto", reason="needs moto and boto3: make test-aws")
    boto3 = pytest.importorskip("boto3")
    from ray.autoscaler._private.commands import _bootstrap_config

    monkeypatch.setenv("HOME", str(tmp_path))  # Ray keeps the key pair it makes in ~/.ssh
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "imitation")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    configuration = yaml.safe_load((CHECKOUT / "cluster.yaml").read_text())
    with moto.mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        client = boto3.client("ec2", region_name=configuration["provider"]["region"])
        for kind in configuration["available_node_types"].values():
            kind["node_config"]["ImageId"] = client.describe_images()["Images"][0]["ImageId"]
        bootstrapped = _bootstrap_config(configuration, no_config_cache=True)
        groups = {
            group
            for kind in bootstrapped["available_node_types"].values()
            for group in kind["node_config"]["SecurityGroupIds"]
        }
        (group,) = client.describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
    assert bootstrapped["available_node_types"]["worker"]["resources"]["GPU"] == 1
    from_outside = [rule for rule in group["IpPermissions"] if rule["IpRanges"]]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in from_outside] == [("tcp", 22, 22)]
    among_nodes = [rule for rule in group["IpPermissions"] if rule["UserIdGroupPairs"]]
    assert [pair["GroupId"] for rule in among_nodes for pair in rule["UserIdGroupPairs"]] == list(groups)


@pytest.fixture
def with_a_store() -> dict:
    """cluster.yaml where the marks were taken off the lines about a store."""
    text = (CHECKOUT / "cluster.yaml").read_text()
    begin = text.index("    # - >-\n    #     store=")
    end = text.index("\n\n", begin)
    return yaml.safe_load(text[:begin] + re.sub(r"^    # ", "    ", text[begin:end], flags=re.MULTILINE) + text[end:])


LOCAL_DISK = "LABEL=cloudimg-rootfs / ext4 discard,errors=remount-ro 0 1\n"
STORE = "fs-CHANGE-ME.efs.us-east-1.amazonaws.com:/"
SUDO = f"""#!/bin/bash
case "$1" in
  tee) cat >> "$FOLDER/fstab" ;;
  sed) "$@" ;;
  mount) echo "$@" >> "$FOLDER/as-root"; echo {STORE} > "$FOLDER/mounted" ;;
  umount) echo "$@" >> "$FOLDER/as-root"; rm "$FOLDER/mounted" ;;
esac
"""


@dataclass(frozen=True)
class StoreSetup:
    """The command that mounts a store, as it stands but for its paths, and a machine that it is run on.

    Args:
        command: the command.
        home: the account's home.
        store: where the store is mounted.
        folder: where stand-ins keep what is mounted and what was done as root.
    """

    command: str
    home: Path
    store: Path
    folder: Path

    def run(self) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(self.home), "FOLDER": str(self.folder), "PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        return subprocess.run(["bash", "-c", self.command], env=environment, capture_output=True, text=True)

    def as_root(self) -> list[str]:
        """What was mounted and unmounted."""
        done = self.folder / "as-root"
        return done.read_text().splitlines() if done.exists() else []


@pytest.fixture
def store_setup(with_a_store, tmp_path) -> StoreSetup:
    (command,) = [each for each in with_a_store["setup_commands"] if "nfs4" in each]
    home, store, path = tmp_path / "home", tmp_path / "store", tmp_path / "bin"
    for folder in (home / "dpgan-tune", store, path):
        folder.mkdir(parents=True)
    (tmp_path / "fstab").write_text(LOCAL_DISK)
    stand_ins(path, sudo=SUDO, findmnt='#!/bin/bash\ncat "$FOLDER/mounted" 2> /dev/null\n')
    command = command.replace("at=/srv/dpgan-tune;", f"at={store};").replace("/etc/fstab", f"{tmp_path}/fstab")
    return StoreSetup(command, home, store, tmp_path)


def stand_ins(path: Path, **programs: str) -> None:
    """Programs by name, in a folder that is looked in first."""
    for name, text in programs.items():
        (path / name).write_text(text)
        (path / name).chmod(0o755)


def test_with_a_store_results_and_ledger_outlive_the_machines(with_a_store, store_setup):
    """Twice, as `ray up` runs it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(with_a_store))
    home, store = store_setup.home, store_setup.store
    for _ in range(2):
        done = store_setup.run()
        assert done.returncode == 0, done.stderr
    local, line = (store_setup.folder / "fstab").read_text().splitlines()
    assert local == LOCAL_DISK.strip()
    assert line.split()[:3] == [STORE, str(store), "nfs4"]
    assert store_setup.as_root() == [f"mount {store}"]
    assert (home / "dpgan-tune" / "store").read_text() == f"{store}/private\n"
    assert {(store / name).stat().st_mode & 0o777 for name in ("private", "results")} == {0o700}
    (home / "dpgan-tune" / "results" / "first").mkdir()
    assert (store / "results" / "first").is_dir()


def test_a_store_at_another_address_takes_the_place_of_the_one_before(store_setup):
    before = f"fs-before.efs.us-east-1.amazonaws.com:/ {store_setup.store} nfs4 nfsvers=4.1 0 0\n"
    (store_setup.folder / "fstab").write_text(LOCAL_DISK + before)
    (store_setup.folder / "mounted").write_text("fs-before.efs.us-east-1.amazonaws.com:/\n")
    done = store_setup.run()
    assert done.returncode == 0, done.stderr
    local, line = (store_setup.folder / "fstab").read_text().splitlines()
    assert local == LOCAL_DISK.strip()
    assert line.split()[:3] == [STORE, str(store_setup.store), "nfs4"]
    assert store_setup.as_root() == [f"umount {store_setup.store}", f"mount {store_setup.store}"]


@pytest.mark.parametrize("own", ["dpgan-tune/results", ".local/share/dpgan-tune/cohorts"])
def test_a_head_with_results_or_ledgers_of_its_own_is_refused_before_the_store_hides_them(store_setup, own):
    (store_setup.home / own).mkdir(parents=True)
    refused = store_setup.run()
    assert refused.returncode == 1
    assert f"{store_setup.home / own} lies on this machine's own disk" in refused.stderr
    assert store_setup.as_root() == []
    assert not (store_setup.home / "dpgan-tune" / "store").exists()


def test_a_worker_that_has_the_heads_disk_mounted_gets_the_store_in_its_place(store_setup):
    (store_setup.folder / "mounted").write_text("192.0.2.1:/srv/dpgan-tune\n")
    assert store_setup.run().returncode == 0
    assert store_setup.as_root() == [f"umount {store_setup.store}", f"mount {store_setup.store}"]


def test_with_a_store_the_heads_disk_is_shared_with_nobody_any_more(with_a_store, tmp_path):
    exports = tmp_path / "dpgan-tune.exports"
    exports.write_text("/srv/dpgan-tune 172.31.0.0/16(rw,no_subtree_check)\n")
    noted = "#!/bin/bash\necho $(basename $0) >> $FOLDER/ran\n"
    stand_ins(tmp_path, curl=noted, mountpoint=noted, sudo='#!/bin/bash\necho "$1" >> $FOLDER/ran; exec "$@"\n')
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RAY_HEAD_IP": "192.0.2.1", "FOLDER": str(tmp_path)}
    shares = [each for each in with_a_store["head_setup_commands"] if "/etc/exports.d" in each]
    mounts = [each for each in with_a_store["worker_start_ray_commands"] if "mount" in each]
    for command in [*shares, *mounts]:
        command = command.replace("/etc/exports.d", str(tmp_path))
        subprocess.run(["bash", "-c", command], env=environment, check=True)
    assert (tmp_path / "ran").read_text().split() == ["mountpoint", "rm", "mountpoint"]
    assert not exports.exists()


def documented(page: str) -> str:
    """The command that a page has a study started with, in tmux."""
    (command,) = re.findall(r"ray exec \S+ --tmux '(.*)'", (CHECKOUT / page).read_text())
    return command


def test_a_study_in_an_old_tmux_has_the_store_and_the_certificate_of_now(tmp_path):
    """`ray exec --tmux` runs `bash -c` in the environment that the first tmux of the head was started in."""
    folder = tmp_path / "dpgan-tune"
    path = folder / ".venv" / "bin"
    for each in (path, folder / "tls"):
        each.mkdir(parents=True)
    shutil.copy(CHECKOUT / "clusters" / "node.sh", folder)
    stand_ins(path, python="#!/bin/bash\nenv > ~/environment\n")

    def seen(**old: str) -> dict[str, str]:
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"} | old
        subprocess.run(["bash", "-c", documented("docs/cluster.md")], env=environment, check=True)
        return dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())

    before = seen()
    assert not {"DPGAN_TUNE_DATA", "RAY_USE_TLS"} & set(before)
    (folder / "store").write_text("/srv/dpgan-tune/private\n")
    (folder / "tls" / "node.crt").touch()
    now = seen(**before)
    assert now["DPGAN_TUNE_DATA"] == "/srv/dpgan-tune/private"
    assert now["RAY_USE_TLS"] == "1"
    (folder / "tls" / "node.crt").unlink()
    assert "RAY_USE_TLS" not in seen(**now)
