"""Processes that charge a ledger until they are killed, forked from one that has the imports done.

Reads commands from standard input, one a line: ``write FILE`` forks a writer, ``stop`` ends. For each writer it says
the process id, then the writer itself says the count of every charge it was acknowledged, one a line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from privacy.accounting.rdp import ORDERS, rdp_at
from privacy.ledger.ledger import Ledger
from tests.privacy.ledgers import EPOCH, epoch


def write(file: Path) -> None:
    ledger = Ledger.open(file)
    while True:
        receipt = ledger.charge(epoch())
        os.write(1, f"{receipt.count}\n".encode())


def warm_up() -> None:
    """Import and compute everything once, so that a writer spends its short life writing."""
    for order in ORDERS:
        rdp_at(EPOCH, order)


def main() -> None:
    warm_up()
    os.write(1, b"ready\n")
    for line in sys.stdin:
        command, _, file = line.strip().partition(" ")
        if command == "stop":
            return
        child = os.fork()
        if not child:
            write(Path(file))
        os.write(1, f"pid {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main()
