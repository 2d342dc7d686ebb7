"""Writers are killed at any moment; what they were told stays, and at most the charge in flight is too much."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from privacy.accounting.budget import Budget
from tests.privacy.ledgers import EPOCH, ledger_of, private_cohort

PLENTY = Budget(1e5, 1e-5)
KILLS_PER_FILE = 25


@pytest.fixture(autouse=True)
def data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))


@pytest.fixture
def writers():
    """The process that forks writers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.privacy.crash_writers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.write("stop\n")
    process.stdin.close()
    process.wait(10)


def killed_writer(writers, file, moments):
    """Let one writer charge, kill it at any moment, and give back the last count it was told; None for nothing.

    One in four is killed while it opens the ledger or writes its first charge, the others in the midst of writing.
    """
    writers.stdin.write(f"write {file}\n")
    pid = int(writers.stdout.readline().split()[1])
    acknowledgements = moments.choice([0, 1, 2, 4])
    told = None
    for _ in range(acknowledgements):
        told = int(writers.stdout.readline())
    killer = threading.Thread(target=kill_later, args=(pid, moments.uniform(0, 0.002 if acknowledgements else 0.02)))
    killer.start()
    while (line := writers.stdout.readline().strip()) != "dead":
        told = int(line)
    killer.join()
    return told


def kill_later(pid, after_s):
    time.sleep(after_s)
    os.kill(pid, signal.SIGKILL)


def kill_many(writers, tmp_path, kills):
    moments = random.Random()
    acknowledged = interrupted = 0
    for number in range(kills):
        if number % KILLS_PER_FILE == 0:
            ledger = ledger_of(private_cohort(), tmp_path / f"{number}.db")
            ledger.declare("first", PLENTY, {"train": EPOCH})
        before = ledger.receipt
        told = killed_writer(writers, ledger.file, moments)
        after = ledger.receipt
        done = told - before.count if told else 0  # nobody else writes
        assert done <= after.count - before.count <= done + 1
        acknowledged, interrupted = acknowledged + done, interrupted + after.count - before.count - done
        if number % KILLS_PER_FILE == KILLS_PER_FILE - 1 or number == kills - 1:
            ledger.verify([before, after])
            charges = sum(entry.study == "first" for entry in ledger.books.entries) - 1
            order = ledger.books.filters["first"].declaration.orders["train"]
            spent = ledger.books.filters["first"].declaration.allowances["train"] - ledger.left("first")["train"]
            assert spent == pytest.approx(charges * rdp_of_one(order), rel=1e-6)
            ledger.close()
    return acknowledged, interrupted


def rdp_of_one(order):
    from dp_accounting import rdp

    return float(rdp.RdpAccountant([order]).compose(EPOCH)._rdp[0])


def test_crashes_never_undercount_and_overcount_by_at_most_the_charge_in_flight(writers, tmp_path):
    acknowledged, _ = kill_many(writers, tmp_path, 200)
    assert acknowledged > 80  # the kills came in the midst of writing


@pytest.mark.slow
def test_neither_do_five_thousand(writers, tmp_path):
    acknowledged, interrupted = kill_many(writers, tmp_path, 5000)
    assert acknowledged > 2000  # the kills came in the midst of writing
    assert interrupted > 0  # some did hit between the commit and its acknowledgement


EAGER = """
import sys
from pathlib import Path
from privacy.errors import BudgetExhausted
from privacy.ledger.ledger import Ledger
from tests.privacy.ledgers import epoch
ledger = Ledger.open(Path(sys.argv[1]))
granted = 0
while True:
    try:
        ledger.charge(epoch())
        granted += 1
    except BudgetExhausted:
        break
print(granted)
"""


def test_processes_that_spend_at_the_same_time_lose_nothing_and_stay_within_the_budget_together(tmp_path):
    ledger = ledger_of(private_cohort(), tmp_path / "ledger.db")
    ledger.declare("first", Budget(10.0, 1e-5), {"train": EPOCH})
    processes = [
        subprocess.Popen([sys.executable, "-c", EAGER, str(ledger.file)], stdout=subprocess.PIPE) for _ in range(2)
    ]
    granted = sum(int(process.communicate(timeout=60)[0]) for process in processes)
    ledger.verify()
    assert sum(entry.study == "first" for entry in ledger.books.entries) == granted + 1  # the declaration
    declared = ledger.books.filters["first"].declaration
    assert granted == int(declared.allowances["train"] / rdp_of_one(declared.orders["train"]))
