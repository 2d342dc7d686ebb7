"""Make the certificate with which the machines of a cluster encrypt what Ray sends between them.

python clusters/encrypt.py clusters/onprem.yaml        # the addresses that the file names
python clusters/encrypt.py 172.31.96.0/24              # every address of a subnet, on AWS for instance

Then `ray up` again: the folder clusters/tls travels to every machine, and clusters/node.sh turns encryption on where it
finds a certificate in it. docs/cluster.md says what is encrypted and what is not.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

FOLDER = Path(__file__).parent / "tls"
AUTHORITY, CERTIFICATE, KEY = "ca.crt", "node.crt", "node.key"
VALID = timedelta(days=365)
# Both sides of every connection send the certificate, and gRPC 1.85 drops the connection where it names 2,048.
MOST_NAMES = 1024
# A name that a machine can have. One of digits and dots alone is an address with a typing error.
NAME = re.compile(r"(?=.*[A-Za-z-])[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class Refused(Exception):
    """What was asked for cannot be done; the message says why, and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the certificate of a cluster's machines; 0, or 2 where that cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machines", nargs="+", help="a cluster file, addresses, names, or subnets such as 10.0.0.0/24")
    try:
        names = machine_names(parser.parse_args(arguments).machines)
        end = write(names, FOLDER)
    except (Refused, OSError) as error:
        print(f"encrypt.py: {error}", file=sys.stderr)
        return 2
    print(
        f"{FOLDER} has a certificate for {len(names)} addresses and names, valid until {end:%Y-%m-%d}. Now `ray up` "
        "once more; it restarts Ray on every machine, so let no study run. Run both commands again before that date."
    )
    return 0


def machine_names(machines: Iterable[str]) -> list[x509.GeneralName]:
    """What the certificate is to be valid for: this machine's own loopback, and each machine that is named.

    Args:
        machines: cluster files, IP addresses, networks in CIDR notation, or host names.

    Raises:
        Refused: a file or a network is not one that addresses can be taken from.
    """
    names: dict[x509.GeneralName, None] = dict.fromkeys(_names("127.0.0.1"))
    names[x509.DNSName("localhost")] = None
    for machine in machines:
        for each in _machines_of(Path(machine)) if machine.endswith((".yaml", ".yml")) else [machine]:
            names |= dict.fromkeys(_names(each))
    if len(names) > MOST_NAMES + 2:
        raise Refused(_too_many("The machines have", len(names)))
    return list(names)


def _machines_of(file: Path) -> list[str]:
    """The addresses that a cluster file names, as the older of Ray's autoscalers reads them."""
    try:
        said = yaml.safe_load(file.read_text())
        provider = said["provider"]
        kind = provider["type"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise Refused(f"{file} is not a cluster file that can be read ({type(error).__name__}).") from None
    if kind != "local":
        raise Refused(
            f"{file} does not name its machines: they get addresses when they are launched. Have all of them in one "
            "subnet (SubnetIds, in both node_config), and name that subnet here, such as 172.31.96.0/24."
        )
    workers = provider.get("worker_ips") or []
    if not isinstance(workers, list):
        raise Refused(f"{file} must have a list as `worker_ips`, each address on a line of its own after a dash.")
    addresses = [provider.get("head_ip"), *workers]
    if not all(isinstance(each, str) and each for each in addresses):
        raise Refused(f"{file} must name `head_ip` and `worker_ips` in `provider`.")
    return addresses


def _names(machine: str) -> list[x509.GeneralName]:
    """One machine, or every address of a network, as a certificate names it."""
    if "/" not in machine:
        try:
            return [x509.IPAddress(ipaddress.ip_address(machine))]
        except ValueError:
            pass
        if not NAME.fullmatch(machine):
            raise Refused(f"{machine!r} is neither an address nor the name of a machine. Mend it, and run this again.")
        return [x509.DNSName(machine)]
    try:
        network = ipaddress.ip_network(machine)
    except ValueError as error:
        raise Refused(f"{machine} is not a network: {error}.") from None
    if network.num_addresses > MOST_NAMES:
        raise Refused(_too_many(f"{machine} has", network.num_addresses))
    return [x509.IPAddress(address) for address in network]


def _too_many(what_has: str, addresses: int) -> str:
    return (
        f"{what_has} {addresses:,} addresses, and a certificate can name {MOST_NAMES:,}. Make a subnet of that size or "
        "smaller for these machines (a /24 has 256), let them be in no other (on AWS by SubnetIds, in both "
        "node_config), and name it here."
    )


def write(names: Sequence[x509.GeneralName], folder: Path) -> datetime:
    """Write a new authority's certificate, one that it signed for ``names``, and the key of the latter.

    The authority's own key is kept nowhere, so nobody can have it sign for other machines, and a new run takes the
    place of everything: what was signed before is worth nothing once all machines have what is written now.

    Args:
        names: what the machines' certificate is valid for.
        folder: where the three files go. The key can be read by its owner alone.

    Returns:
        Until when both certificates are valid.

    Raises:
        OSError: a file cannot be written.
    """
    signing, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"dpgan-tune {os.urandom(8).hex()}")])
    machine = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dpgan-tune machine")])
    end = datetime.now(UTC) + VALID

    def signed(
        subject: x509.Name, of: ec.EllipticCurvePrivateKey, extensions: Iterable[tuple[x509.ExtensionType, bool]]
    ):
        builder = x509.CertificateBuilder().issuer_name(authority).subject_name(subject).public_key(of.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(end - VALID - timedelta(hours=1)).not_valid_after(end)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signing, SHA256()).public_bytes(Encoding.PEM)

    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuing = x509.BasicConstraints(ca=True, path_length=0)
    leaf = x509.BasicConstraints(ca=False, path_length=None)
    folder.mkdir(parents=True, exist_ok=True)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(folder / KEY, private, 0o600)
    _write(
        folder / CERTIFICATE,
        signed(machine, key, [(leaf, True), (usages, False), (x509.SubjectAlternativeName(names), False)]),
        0o644,
    )
    _write(folder / AUTHORITY, signed(authority, signing, [(issuing, True)]), 0o644)
    return end


def _write(file: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole, with its mode from the first byte on."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(content)
    draft.replace(file)


if __name__ == "__main__":
    sys.exit(main())
