"""Machines that are Linux namespaces: each with its own address, processes, host name, home, /tmp and /dev.

They see the base system and Python read-only and share one folder, as real machines share what they mount. The network
between them is theirs alone: a bridge inside the first machine, with no way out. Nothing is set up outside the
namespaces, so when their first processes end, which they do at the latest with this process, everything is gone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = "/srv/dpgan-tune"
LAPTOP, HEAD, WORKER = "10.77.0.1", "10.77.0.2", "10.77.0.3"
TOOLS = ("ip", "nsenter", "pivot_root", "rsync", "ssh", "ssh-keygen", "sshd", "unshare")
PR_SET_PDEATHSIG = 1
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ROOT_FILE_SYSTEM = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=0755 "$NAME" "$ROOT"
cd "$ROOT"
mkdir -p dev etc/ssh old proc root run/sshd sys usr var/empty var/log var/tmp ".$SHARED"
mkdir -m 1777 tmp

read_only() { mkdir -p ".$1"; mount --rbind "$1" ".$1"; mount -o remount,ro,bind ".$1"; }
for folder in bin lib lib32 lib64 sbin; do
  if [ -L "/$folder" ]; then cp -a "/$folder" "$folder"; elif [ -d "/$folder" ]; then read_only "/$folder"; fi
done
read_only /usr
case "$PYTHON" in /usr|/usr/*) ;; *) read_only "$PYTHON" ;; esac
mount --bind "$SHARED_FOLDER" ".$SHARED"

for name in alternatives bash.bashrc fonts ld.so.cache ld.so.conf ld.so.conf.d localtime nsswitch.conf os-release \
            profile protocols services ssl; do
  if [ -e "/etc/$name" ]; then cp -a "/etc/$name" etc/; fi
done
printf '%s\n' root:x:0:0:root:/root:/bin/bash sshd:x:74:65534::/run/sshd:/usr/sbin/nologin \
  nobody:x:65534:65534::/:/usr/sbin/nologin > etc/passwd
echo 'root:NP:20000::::::' > etc/shadow
printf '%s\n' root:x:0: tty:x:5: nogroup:x:65534: > etc/group
echo 'case $- in *i*) ;; *) return ;; esac' > root/.bashrc
touch var/log/lastlog
printf '127.0.0.1 localhost\n%s %s\n' "$ADDRESS" "$NAME" > etc/hosts

mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=0755 dev dev
mkdir dev/pts
mkdir -m 1777 dev/shm
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
for node in full null random tty urandom zero; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
"""

# A laptop has the checkout as it lies there. A host has a virtual environment that nobody else sees the changes of.
LAPTOP_FOLDERS = r"""
read_only "$CHECKOUT"
case "$VENV" in "$CHECKOUT"/*) ;; *) read_only "$VENV" ;; esac
"""
HOST_FOLDERS = r"""
printf '[global]\nno-index = true\ndisable-pip-version-check = true\n' > etc/pip.conf
mkdir -p run/venv/upper run/venv/work ".$VENV" root/dpgan-tune
mount -t overlay -o "lowerdir=$VENV,upperdir=$ROOT/run/venv/upper,workdir=$ROOT/run/venv/work" venv ".$VENV"
ln -s "$VENV" root/dpgan-tune/.venv
"""
WHEELHOUSE_FOLDERS = r"""
printf '[global]\nno-index = true\nfind-links = /srv/wheels\ndisable-pip-version-check = true\n' > etc/pip.conf
mkdir srv/wheels
mount --bind "$WHEELHOUSE" srv/wheels
"""

PROBE = """
set -e
ip link add probe0 type bridge
ip link add probe1 type veth
mount -t tmpfs none /mnt
mkdir /mnt/lower /mnt/upper /mnt/work /mnt/merged
mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/merged
"""

FIRST_PROCESS = r"""
pivot_root . old
cd /
umount -l /old
rmdir /old
echo "$NAME" > /proc/sys/kernel/hostname
export HOME=/root
if [ -n "$AUTHORIZED_KEY" ]; then
  ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/host_key
  mkdir -m 700 /root/.ssh
  echo "$AUTHORIZED_KEY" > /root/.ssh/authorized_keys
  printf '%s\n' 'HostKey /etc/ssh/host_key' 'UsePAM no' 'UseDNS no' 'PasswordAuthentication no' \
    'PermitRootLogin prohibit-password' 'MaxStartups 50' "SetEnv PATH=$SSH_PATH" > /etc/ssh/sshd_config
  /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config &
fi
echo ready
while :; do sleep 3600 & wait $! || true; done
"""


def missing() -> str | None:
    """Why machines cannot be made here; None where they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux, to make namespaces"
    lacking = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if lacking:
        return f"needs {', '.join(lacking)} (Debian: apt install openssh-server openssh-client iproute2 rsync)"
    command = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "bash", "-c", PROBE]
    tried = subprocess.run(command, capture_output=True, text=True)
    return f"cannot make namespaces here: {tried.stderr.strip()}" if tried.returncode else None


@dataclass(frozen=True)
class Machine:
    """One running machine.

    Args:
        name: its host name.
        address: its address.
        folder: where commands are typed.
        pid: its first process, as this process sees it.
        log: what its first process and its SSH server said.
    """

    name: str
    address: str
    folder: str
    pid: int
    log: Path

    def run(
        self, command: str, *, check: bool = True, timeout_s: float = 300, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command on the machine, in the folder where a person there would type it."""
        known = {"HOME": "/root", "PATH": f"{sys.prefix}/bin:{PATH}", "USER": "root", "TERM": "dumb", "LANG": "C.UTF-8"}
        assignments = [f"{name}={value}" for name, value in (known | environment).items()]
        entered = f"nsenter --target {self.pid} --mount --net --pid --uts --ipc --root".split()
        ran = subprocess.run(
            [*entered, "env", "-i", "--chdir", self.folder, *assignments, "bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        if check and ran.returncode:
            raise AssertionError(f"{self.name}: {command!r} ended with {ran.returncode}:\n{ran.stdout[-6000:]}")
        return ran


@dataclass(frozen=True)
class Network:
    """A laptop and two hosts that it reaches by SSH.

    Args:
        laptop: where a person types commands; has the checkout, read-only, and the SSH key.
        head: the first host.
        worker: the second host.
        shared: the folder that all three see as ``SHARED``, from outside.
    """

    laptop: Machine
    head: Machine
    worker: Machine
    shared: Path


@contextmanager
def network(folder: Path, wheelhouse: Path | None = None) -> Iterator[Network]:
    """Start the three machines, and end every process on them afterwards.

    Args:
        folder: an empty folder for their roots, logs and shared storage.
        wheelhouse: install the hosts from these wheels; by default they come with this Python's environment.
    """
    shared = folder / "shared"
    shared.mkdir()
    with ExitStack() as stack:
        laptop = stack.enter_context(_machine(folder, "laptop", LAPTOP, LAPTOP_FOLDERS, shared))
        key = "~/.ssh/dpgan-tune"
        laptop.run(f"mkdir -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f {key}")
        public_key = laptop.run(f"cat {key}.pub").stdout.strip()
        folders = WHEELHOUSE_FOLDERS if wheelhouse else HOST_FOLDERS
        hosts = [
            stack.enter_context(_machine(folder, name, address, folders, shared, public_key, wheelhouse))
            for name, address in (("head-host", HEAD), ("worker-host", WORKER))
        ]
        _connect(laptop, hosts)
        yield Network(laptop, *hosts, shared)


@contextmanager
def _machine(
    folder: Path,
    name: str,
    address: str,
    folders: str,
    shared: Path,
    authorized_key: str = "",
    wheelhouse: Path | None = None,
) -> Iterator[Machine]:
    """Start a machine; killing its first process ends all others in its process namespace."""
    root = folder / name
    root.mkdir()
    log = folder / f"{name}.log"
    environment = {
        "PATH": PATH,
        "NAME": name,
        "ADDRESS": address,
        "ROOT": str(root),
        "CHECKOUT": str(CHECKOUT),
        "VENV": sys.prefix,
        "PYTHON": sys.base_prefix,
        "SHARED": SHARED,
        "SHARED_FOLDER": str(shared),
        "AUTHORIZED_KEY": authorized_key,
        "SSH_PATH": f"{sys.base_prefix}/bin:{PATH}",
        "WHEELHOUSE": str(wheelhouse or ""),
    }
    script = folder / f"{name}.sh"
    script.write_text(ROOT_FILE_SYSTEM + folders + FIRST_PROCESS)
    with log.open("w") as output:
        unshare = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "bash", script],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    try:
        typed_in = "/root" if authorized_key else str(CHECKOUT)
        yield Machine(name, address, typed_in, _first_process(unshare, log), log)
    finally:
        unshare.kill()
        unshare.wait()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _first_process(unshare: subprocess.Popen[bytes], log: Path) -> int:
    """The machine's first process, once it is ready."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and unshare.poll() is None:
        if "ready" in log.read_text().split():
            return int(Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()[0])
        time.sleep(0.05)
    raise RuntimeError(f"a machine did not start:\n{log.read_text()}")


def _connect(laptop: Machine, hosts: list[Machine]) -> None:
    """Join the machines by a bridge that lies inside the laptop."""
    _ip(laptop, "link set lo up")
    _ip(laptop, "link add bridge type bridge")
    _ip(laptop, f"address add {laptop.address}/24 dev bridge")
    _ip(laptop, "link set bridge up")
    for host in hosts:
        _ip(laptop, f"link add {host.name} type veth peer name eth0 netns {host.pid}")
        _ip(laptop, f"link set {host.name} master bridge up")
        _ip(host, "link set lo up")
        _ip(host, f"address add {host.address}/24 dev eth0")
        _ip(host, "link set eth0 up")
        _ip(host, f"route add default via {laptop.address}")


def _ip(machine: Machine, command: str) -> None:
    subprocess.run(["nsenter", "--target", str(machine.pid), "--net", "ip", *command.split()], check=True)
