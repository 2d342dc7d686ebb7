"""The ledger as trials see it through Ray."""

import os
import signal
import time
from pathlib import Path

import pytest
import ray
from dp_accounting import dp_event

from privacy.accounting.budget import Budget
from privacy.errors import BudgetExhausted, LedgerError
from privacy.ledger.actor import LedgerClient, serve_ledger
from privacy.ledger.ledger import Ledger
from tests.privacy.ledgers import EPOCH, epoch, ledger_of, private_cohort


@pytest.fixture(scope="module")
def cluster(shared_ray):
    with shared_ray.connected():
        yield


def opened(patch: pytest.MonkeyPatch, home: Path) -> Ledger:
    """A ledger of its own, with enough for every test."""
    patch.setenv("DPGAN_TUNE_DATA", str(home))
    ledger = ledger_of(private_cohort())
    ledger.declare("first", Budget(200.0, 1e-5), {"train": EPOCH})
    return ledger


def end(client: LedgerClient) -> None:
    """Kill the actor for good, and wait until it is gone."""
    ray.kill(client._actor)
    for _ in range(100):
        try:
            ray.get_actor("dpgan-tune-ledger")
            time.sleep(0.05)
        except ValueError:
            return


@pytest.fixture(scope="module")
def ledger(cluster, tmp_path_factory):
    """One for all tests that leave its file alone."""
    with pytest.MonkeyPatch.context() as patch:
        yield opened(patch, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def client(ledger):
    client = serve_ledger(ledger)
    yield client
    end(client)


@pytest.fixture
def own_ledger(cluster, tmp_path, monkeypatch):
    return opened(monkeypatch, tmp_path / "home")


@pytest.fixture
def own_client(own_ledger):
    client = serve_ledger(own_ledger)
    yield client
    end(client)


def charges(ledger):
    return sum(entry.study == "first" for entry in ledger.books.entries) - 1


def test_without_its_file_the_actor_does_not_start_again(own_ledger, own_client):
    own_client.charge(epoch())
    own_ledger.file.rename(own_ledger.file.with_name("elsewhere.db"))
    with pytest.raises(LedgerError, match="removed or replaced"):
        own_client.charge(epoch())
    ray.kill(own_client._actor, no_restart=False)
    time.sleep(1)  # the kill takes a moment to arrive
    with pytest.raises(LedgerError, match="There is no ledger at"):
        own_client.charge(epoch())
    with pytest.raises(LedgerError):
        own_client.verify()


def test_an_older_copy_put_in_place_while_the_actor_is_down_is_caught(own_ledger, own_client, tmp_path):
    own_client.charge(epoch())
    own_ledger.copy_to(tmp_path / "older.db")
    own_client.charge(epoch())
    own_ledger.close()
    (tmp_path / "older.db").replace(own_ledger.file)
    for log in ("ledger.db-wal", "ledger.db-shm"):  # with its log an older copy would be whole again
        own_ledger.file.with_name(log).unlink()
    ray.kill(own_client._actor, no_restart=False)
    time.sleep(1)
    with pytest.raises(LedgerError, match=r"has 3 entries, but there is a receipt for 4"):
        own_client.charge(epoch())


def test_the_actor_dies_in_every_way_and_counts_right(ledger, client):
    """Killed by Ray, and by itself: it comes back with the file it left, and nothing acknowledged is lost."""
    ways = (
        lambda: ray.kill(client._actor, no_restart=False),
        lambda: client._actor.__ray_call__.remote(lambda server: os._exit(1)),
    )
    before = charges(ledger)
    for number, die in enumerate(ways, start=1):
        client.charge(epoch())
        die()
        receipt = client.charge(epoch())
        assert receipt == ledger.receipt
        assert 2 * number <= charges(ledger) - before <= 3 * number  # at most the charge in flight is counted twice
    assert client.verify() == ledger.receipt
    left = client.left("first")
    assert left == ledger.left("first")
    assert left["train"] < client.declaration("first").allowances["train"]


@ray.remote(num_cpus=0.1)
def trial(client, name, epochs):
    return [client.charge(epoch(trial=name)) for _ in range(epochs)]


def test_trials_in_other_processes_charge_the_one_file(ledger, client):
    before = charges(ledger)
    told = ray.get([trial.remote(client, "t1", 10), trial.remote(client, "t2", 10)])
    receipts = [receipt for each in told for receipt in each]
    assert len({receipt.count for receipt in receipts}) == charges(ledger) - before == 20
    ledger.verify(receipts)


def test_an_actor_killed_under_its_trials_loses_nothing_they_were_told(ledger, client):
    before = charges(ledger)
    running = [trial.remote(client, name, 40) for name in ("t1", "t2")]
    while charges(ledger) - before < 10:
        time.sleep(0.01)
    pid = ray.get(client._actor.__ray_call__.remote(lambda server: os.getpid()))
    os.kill(pid, signal.SIGKILL)
    told = [receipt for each in ray.get(running) for receipt in each]
    ledger.verify(told)
    assert len({receipt.count for receipt in told}) == 80
    assert 80 <= charges(ledger) - before <= 82  # at most the one charge that each trial had in flight


def test_a_refusal_reaches_the_trial_as_what_it_is(ledger, client):
    before = ledger.receipt
    with pytest.raises(BudgetExhausted, match="Nothing was charged"):
        client.charge(epoch(event=dp_event.GaussianDpEvent(0.01)))
    assert ledger.receipt == before


def test_the_actor_is_one_and_serves_one_file(ledger, client, tmp_path):
    assert serve_ledger(ledger)._actor._actor_id == client._actor._actor_id
    other = ledger_of(private_cohort("other", seed=1), tmp_path / "other.db")
    with pytest.raises(LedgerError, match="already serves"):
        serve_ledger(other)
