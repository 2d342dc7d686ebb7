"""However a study is killed, its ledger never counts less than what was run on participants, and hardly more."""

from __future__ import annotations

import os
import random
import shlex
from pathlib import Path

import pytest

from tests import forks
from tests.shared_ray import forking, with_workers
from tests.tuner.recorded_study import UNWATCHED
from tests.tuner.running_study import AT_ONCE, Ground, kill

VICTIMS = ("driver", "trial", "ledger", "pack", "scorer")
RANDOM_KILLS = 50


def killed_study(ground: Ground, kills: list[tuple[str, int]]) -> int:
    """Run a study and kill parts of it after so many more lines each time; returns how many kills there were."""
    ground.prepare()
    study, done = ground.begin(), 0
    for victim, lines in kills:
        if not ground.wait_until_executed(study, len(ground.executed()) + lines):
            break
        done += kill(victim, study)
        if victim == "driver":
            study = ground.resume()
    assert study.wait(timeout=400) == 0, ground.said
    return done


def require_honest_ledger(ground: Ground, kills: int) -> None:
    """Never below what was executed; above it by at most one charge in flight for every trial that a kill met."""
    counted, in_flight = ground.counted(), AT_ONCE * kills
    assert counted.training_missing == counted.scores_missing == 0, "everything that ran was charged"
    assert counted.training_over <= in_flight
    assert counted.scores_over <= in_flight


BOTH = [("pack", 2), ("driver", 2)]
ONE_AFTER_ANOTHER = [("trial", 3), ("pack", 2), ("ledger", 2), ("driver", 2)]
# A scorer exists once somebody was scored.
ALONE = [[("driver", 3)], [("trial", 3)], [("ledger", 3)], [("pack", 3)], [("scorer", 5)]]
SLOW = {"all": ONE_AFTER_ANOTHER, **{kills[0][0]: kills for kills in ALONE}}


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(BOTH, id="pack, then driver"),
        *(pytest.param(kills, marks=pytest.mark.slow, id=name) for name, kills in SLOW.items()),
    ],
)
def test_a_killed_study_counts_what_it_ran_and_still_releases(tmp_path: Path, kills):
    with forking(str(tmp_path / "forks"), forks.OF_WORKERS, os.environ) as worker:
        ground = Ground(tmp_path, environment={**with_workers(shlex.join(worker)), UNWATCHED: "yes"})
        assert killed_study(ground, kills) == len(kills)
    require_honest_ledger(ground, len(kills))
    assert ground.is_released()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_random_kills_are_counted_right(tmp_path: Path):
    chance = random.Random(50)
    done = 0
    for number in range(RANDOM_KILLS):
        if done >= RANDOM_KILLS:
            break
        ground = Ground(tmp_path / str(number))
        ground.folder.mkdir()
        kills = killed_study(ground, [(chance.choice(VICTIMS), chance.randint(1, 4)) for _ in range(4)])
        require_honest_ledger(ground, kills)
        done += kills
    assert done >= RANDOM_KILLS
