"""Ctrl-C, SIGTERM and SIGHUP end a search in good order, whenever they come."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from cohorts.interrupts import STOPPING, Interruption, finished_first, interrupted_by
from tuner.interrupts import ends_tune


@pytest.fixture(autouse=True)
def not_by_nohup():
    """Whoever runs these tests may have started them so that neither the terminal's end nor Ctrl-C ends them."""
    handlers = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def tune_stops(monkeypatch):
    """Stands in for Tune, which ends its search at SIGUSR1; a list of the times it did."""
    stops: list[int] = []

    def begin() -> list[int]:
        signal.signal(signal.SIGUSR1, lambda number, frame: stops.append(number))
        return stops

    return begin


@pytest.mark.parametrize("number", STOPPING)
def test_a_search_that_is_told_to_end_ends_in_tunes_own_way_and_is_known_to_have_been(tune_stops, number):
    interruption = Interruption()
    with ends_tune(interruption):
        stops = tune_stops()
        assert not interruption.asked
        signal.raise_signal(number)
        assert interruption.asked and len(stops) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


@pytest.mark.parametrize("number", STOPPING)
def test_before_tune_listens_it_is_an_interrupt(number):
    with pytest.raises(KeyboardInterrupt), ends_tune(Interruption()):
        signal.raise_signal(number)


@pytest.mark.parametrize("number", STOPPING)
def test_elsewhere_each_of_them_is_ctrl_c(number):
    with pytest.raises(KeyboardInterrupt), interrupted_by():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", STOPPING)
def test_what_must_be_finished_first_is(number):
    finished = []
    with pytest.raises(KeyboardInterrupt), interrupted_by(), finished_first():
        signal.raise_signal(number)
        signal.raise_signal(number)
        finished.append(True)
    assert finished


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_a_library_swallowed_is_raised_at_the_end():
    class Swallows:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    went_on = []
    with pytest.raises(KeyboardInterrupt), interrupted_by():
        Swallows()
        went_on.append(True)
    assert went_on


def test_who_was_started_by_nohup_does_not_end_when_the_terminal_closes():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by(), ends_tune(Interruption()):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_as_they_were_afterwards():
    numbers = (*STOPPING, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    with interrupted_by(), ends_tune(Interruption()):
        pass
    assert [signal.getsignal(number) for number in numbers] == before


IMPORTING = """
import sys
from tuner.run import main

class Interrupt:
    def find_spec(self, name, *others):
        if name == "torch":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
sys.exit(main(["--cohort", "actg175"]))
"""


def test_while_libraries_are_loaded_ctrl_c_is_no_traceback():
    said = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, timeout=300)
    assert said.returncode == 130 and said.stderr.startswith("Interrupted")


STARTING_RAY = """
import signal, sys
import ray._private.worker as worker
from cohorts.interrupts import interrupted_by
from tuner.ray_cluster import ray_cluster

connected = worker.connect

def connect(*arguments, **options):
    connected(*arguments, **options)
    signal.raise_signal(int(sys.argv[1]))

worker.connect = connect
try:
    with interrupted_by(), ray_cluster(None):
        print("not interrupted")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", STOPPING)
def test_while_ray_starts_they_are_no_crash_of_it(number):
    """Ray's library takes signals away from Python when it connects."""
    command = [sys.executable, "-c", STARTING_RAY, str(int(number))]
    said = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (said.returncode, said.stdout) == (0, "interrupted\n"), said.stderr
