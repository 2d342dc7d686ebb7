"""Whether an adversary pays: a measured generator that goes on training against a discriminator of participants.

``python -m benchmarks.adversary --cohort actg175 --epsilon 3 --runs 3`` makes releases in every one of ``ways`` and
judges them; ``--participants 20000`` simulates SPRINT in that size. A run measures once, and all ways begin with that,
or, where DP-SGD takes a share of the budget, with measurements for the rest of it. Rows are added to
benchmarks/results/adversary.json as they come, so it may be stopped and started again. ``--table`` runs nothing. All
write the table of docs/quality.md.
"""

from __future__ import annotations

import argparse
import json
import math
import secrets
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dp_accounting
import numpy as np
import torch
from filelock import FileLock

from benchmarks.anchored import Adversary, Way
from benchmarks.page import write_section
from benchmarks.quality import COLUMNS as JUDGED
from benchmarks.quality import PAGE, cell, quality
from benchmarks.simulated_sprint import simulated_sprint
from cohorts import Participants, SplitShares, load_participants, split_key, split_participants
from privacy.accounting.budget import Budget
from privacy.accounting.calibration import largest_rho, room_in, smallest_noise_multiplier
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.mechanisms.dpsgd import DPSGD
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.normal_scores import NormalScores
from trainables.candidate import Setting
from trainables.gan.engine import PaidTraining, RandomStreams, TrainingData
from trainables.measured.candidate import STEPS_PER_EPOCH, MeasuredNetwork
from trainables.measured.copies import Copies

RESULTS = Path(__file__).parent / "results" / "adversary.json"
DELTA, EPOCHS, CONFIGURATION = 1e-5, 12, {"batch_size": 512}
JUDGED_AT_MOST = 4000
"""Participants of each kind who are judged, so that figures of larger cohorts can be compared."""

COLUMNS = {name: what for name, what in JUDGED.items() if name not in ("change", "seconds")}


def ways(share: float, steps: int) -> dict[str, Way]:
    """Those that are compared, by name."""
    bound, private = Way(steps=steps), Way(share, steps, noise=True)
    return {
        "measured": Way(),
        "measured, fitted on": replace(bound, adversary=0.0),
        "no noise, class given": bound,
        "no noise, class predicted": replace(bound, given=False, auxiliary=1.0),
        "no noise, class given and predicted": replace(bound, auxiliary=1.0),
        "no noise, class given, no anchor": replace(bound, anchor=0.0),
        f"measured, {1 - share:.0%} of epsilon": Way(share),
        f"DP-SGD, {share:.0%} of epsilon": private,
        f"DP-SGD, {share:.0%} of epsilon, rehearsed": replace(private, rehearsed=steps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", default="actg175", help="default: %(default)s")
    parser.add_argument("--participants", type=int, help="SPRINT simulated in this size, whatever the cohort")
    parser.add_argument("--epsilon", type=float, default=3.0, help="default: %(default)s")
    parser.add_argument("--share", type=float, default=0.3, help="of the budget, for DP-SGD (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="of either network (default: %(default)s)")
    parser.add_argument("--way", action="append", help="may be given repeatedly (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table of what there is")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.table:
        trial = Trial.of(given.cohort, given.participants)
        key = {"cohort": trial.real.schema.name, "participants": trial.real.schema.nominal_size}
        key |= {"epsilon": given.epsilon}
        chosen = {
            name: way for name, way in ways(given.share, given.steps).items() if not given.way or name in given.way
        }
        for run in range(given.runs):
            missing = {
                name: way
                for name, way in chosen.items()
                if not any(row | key | {"run": run, "way": name, "steps": way.steps} == row for row in _rows())
            }
            for name, figures in made(trial, missing, given.epsilon):
                _keep({**key, "steps": chosen[name].steps, "run": run, "way": name, **figures})
    write_table(_rows())


def made(trial: Trial, chosen: dict[str, Way], epsilon: float) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Figures of each way's release; ways with the same share begin with the same fitted network."""
    for share in dict.fromkeys(way.share for way in chosen.values()):
        fitted, spent = trial.measure(epsilon, 1 - share)
        for name, way in chosen.items():
            if way.share == share:
                network = deepcopy(fitted)
                paid = adversarial(trial, network, way, epsilon, spent) if way.steps else epsilon_by_rdp(spent, DELTA)
                yield name, {"spent": round(paid, 4) if math.isfinite(paid) else None, **trial.judged(network)}


@dataclass(frozen=True)
class Trial:
    """A cohort to imitate.

    Args:
        real: all of its participants.
        people: those who train and validate.
    """

    real: Participants
    people: Participants

    @classmethod
    def of(cls, cohort: str, participants: int | None) -> Trial:
        """One by name; of SPRINT simulated in another size, so many complete participants."""
        real = simulated_sprint(participants) if participants else load_participants(cohort)[0]
        splits = split_participants(real, split_key(real.schema))
        return cls(real, Participants.together([splits.train, splits.validation]))

    @property
    def nominal(self) -> float:
        """Public number of those who train and validate."""
        return self.real.schema.nominal_size * (1 - SplitShares().test)

    def measure(self, epsilon: float, share: float) -> tuple[MeasuredNetwork, dp_accounting.DpEvent]:
        """A network fitted to what a share of the budget buys, and what that cost."""
        room = room_in(Budget(epsilon, DELTA), share)
        rho = largest_rho(lambda rho: room(dp_accounting.ZCDpEvent(rho)) >= 0)
        schema = self.real.schema
        mechanism = Measurements.costing(schema, 1 - SplitShares().test, rho)
        network = MeasuredNetwork.of(CONFIGURATION, Setting(schema, 1.0, "packed", torch.device("cpu")))
        network.take(mechanism.release(self.people.values, self.people.labels))
        network.fit(EPOCHS * STEPS_PER_EPOCH, torch.Generator().manual_seed(secrets.randbits(63)))
        return network, mechanism.event

    def scores(self, people: Participants, network: MeasuredNetwork) -> TrainingData:
        """Participants as the discriminator takes them."""
        scores = NormalScores(people.schema, network._measured.histograms).scores(people.values, people.labels)
        return TrainingData(torch.from_numpy(scores).float(), torch.from_numpy(people.labels))

    def judged(self, network: MeasuredNetwork) -> dict[str, float]:
        """Figures of what a network draws."""
        size, randomness = self.real.schema.nominal_size, torch.Generator().manual_seed(secrets.randbits(63))
        synthetic = network.generator().generate(size, randomness)
        return quality(*(each.take(np.arange(min(len(each), JUDGED_AT_MOST))) for each in (synthetic, self.real)))


def adversarial(
    trial: Trial, network: MeasuredNetwork, way: Way, epsilon: float, spent: dp_accounting.DpEvent
) -> float:
    """Go on training a fitted network; returns epsilon of everything."""
    adversary = Adversary(network, way, [each.share for each in trial.real.schema.label.classes])
    if not way.adversary:
        adversary.fit_on(way.steps, torch.Generator().manual_seed(secrets.randbits(63)))
        return epsilon_by_rdp(spent, DELTA)
    rate, room = min(1.0, adversary.batch / trial.nominal), room_in(Budget(epsilon, DELTA), spent=spent)
    noise = smallest_noise_multiplier(rate, way.steps, room) if way.noise else 0.0
    mechanism = DPSGD(rate, noise, way.steps)
    if way.rehearsed:
        copies = Copies(network._measured, trial.real.schema, np.random.default_rng())
        made = trial.scores(copies.draw(round(trial.nominal)), network)
        free = PaidTraining(made, DPSGD(rate, 0.0, way.rehearsed), RandomStreams.secret(torch.device("cpu")))
        adversary.train(free, trial.nominal, generator_moves=False)
    streams = RandomStreams.secret(torch.device("cpu"))
    adversary.train(PaidTraining(trial.scores(trial.people, network), mechanism, streams), trial.nominal)
    return epsilon_by_rdp(dp_accounting.ComposedDpEvent([spent, mechanism.event]), DELTA)


def write_table(rows: list[dict[str, Any]]) -> None:
    """Medians and ranges into docs/quality.md and to the terminal."""
    told = ("cohort", "participants", "epsilon", "way", "steps")
    lines = [f"| {' | '.join(told)} | runs | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 6) + "|"]
    keys = sorted({tuple(row[name] for name in told[:3]) for row in rows})
    for key in keys:
        group = [row for row in rows if tuple(row[name] for name in told[:3]) == key]
        for way, steps in dict.fromkeys((row["way"], row["steps"]) for row in group):
            these = [row for row in group if (row["way"], row["steps"]) == (way, steps)]
            cells = [cell([each[name] for each in these if name in each]) for name in COLUMNS]
            cohort, size, epsilon = key
            said = [cohort, f"{size:,}", f"{epsilon:g}", way, str(steps), str(len(these)), *cells]
            lines.append(f"| {' | '.join(said)} |")
    print("\n".join(lines))
    write_section("adversary", "\n".join(lines), PAGE)


def _rows() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def _keep(row: dict[str, Any]) -> None:
    with FileLock(Path(tempfile.gettempdir(), "dpgan-tune-adversary.lock")):
        RESULTS.write_text(json.dumps([*_rows(), row], indent=1) + "\n")


if __name__ == "__main__":
    main()
