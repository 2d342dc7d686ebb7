"""A trial like SPRINT, simulated visit by visit and written as the SPRINT challenge writes it.

Two arms are treated to a target: below 120 mmHg (intensive) or 135 to 139 mmHg (standard). At each visit the
doctor reads a noisy blood pressure and, above the arm's limit, adds a drug or raises a dose, or, below its floor, takes
one away. Nobody's data is in here: the constants are set so that a simulated trial has the published figures of
the real one, and tests/cohorts/test_simulator.py holds it to each of them.

Source: SPRINT, NEJM 2015;373:2103, protocol and table 1; Beaulieu-Jones et al. 2019 for the complete cases.
"""

from __future__ import annotations

import argparse
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cohorts.errors import CohortError

VISIT_CODES = (
    "RZ",
    "1M",
    "2M",
    "3M",
    "6M",
    "9M",
    "12M",
    "15M",
    "18M",
    "21M",
    "24M",
    "27M",
    "30M",
    "33M",
    "36M",
    "39M",
    "42M",
    "45M",
    "48M",
    "51M",
    "54M",
)
VISIT_MONTHS = np.array([0, 1, 2, 3, *range(6, 57, 3)])
ENROLLED, ENROLLED_STANDARD = 9361, 4683

SBP_LIMITS_MMHG = (70, 235)
DBP_LIMITS_MMHG = (25, 145)
DRUG_LIMITS = (0, 7)
"""Readings stay inside these, which lie inside the bounds of schemas/sprint.yaml."""

PUBLIC_SEED = 2015
SIMULATION_VERSION = 1
"""Raise it when the simulated files change, so that older ones are written anew."""


@dataclass(frozen=True)
class Enrolment:
    """Participants as randomised: baseline readings and what makes them differ. All arrays (n,)."""

    maskid: np.ndarray
    intensive: np.ndarray  # bool
    sbp: np.ndarray  # mmHg, read at randomisation
    dbp: np.ndarray  # mmHg, read at randomisation
    drugs: np.ndarray  # drug classes
    usual_sbp: np.ndarray  # mmHg, true, on the baseline drugs: readings regress to it
    usual_dbp: np.ndarray  # mmHg
    response: np.ndarray  # the participant's response to treatment, 1 on average
    most_drugs: np.ndarray  # drug classes that the participant tolerates


@dataclass(frozen=True)
class Regimen:
    """How an arm is treated. Limits in mmHg."""

    add_at: float
    """A reading at or above this calls for more treatment."""
    add_probability: float
    """How often the call is followed (titration, against inertia and tolerance)."""
    remove_below: float
    """A reading below this calls for less treatment."""
    remove_probability: float


STANDARD = Regimen(add_at=140, add_probability=0.45, remove_below=133, remove_probability=0.42)
INTENSIVE = Regimen(add_at=120, add_probability=0.95, remove_below=115, remove_probability=0.8)

MMHG_PER_DRUG = 8.0
MMHG_PER_DOSE_STEP = 5.5
FIRST_BY_DRUG, LATER_BY_DRUG = 0.9, 0.55
"""How often treatment is changed by a drug rather than a dose, at randomisation and afterwards."""
DBP_PER_SBP = 0.52
READING_NOISE_SBP_MMHG = 9.0
READING_NOISE_DBP_MMHG = 6.0
WANDER_SBP_MMHG = 1.5
"""Standard deviation of the drift in true SBP from one visit to the next."""


def enrol(participants: int, rng: np.random.Generator) -> Enrolment:
    """Draw participants at randomisation.

    Args:
        participants: how many.
        rng: source of randomness.
    """
    n = participants
    standard = round(n * ENROLLED_STANDARD / ENROLLED)
    sbp_z, dbp_z = rng.multivariate_normal([0, 0], [[1, 0.45], [0.45, 1]], size=n).T  # (n,)
    drugs = rng.choice(6, size=n, p=[0.094, 0.295, 0.370, 0.195, 0.042, 0.004])
    return Enrolment(
        maskid=np.array([f"S{number:05d}" for number in range(1, n + 1)], dtype=object),
        intensive=rng.permutation(n) >= standard,
        sbp=reading(139.7 + 15.6 * sbp_z, SBP_LIMITS_MMHG),
        dbp=reading(78.1 + 11.9 * dbp_z, DBP_LIMITS_MMHG),
        drugs=drugs,
        usual_sbp=136.1 + 0.36 * 15.6 * sbp_z + rng.normal(0, 3.5, n),
        usual_dbp=75.2 + 0.80 * 11.9 * dbp_z + rng.normal(0, 3.0, n),
        response=rng.gamma(12.0, 1 / 12.0, n),
        most_drugs=np.maximum(drugs, 2 + rng.binomial(4, 0.40, n)),
    )


def follow(people: Enrolment, rng: np.random.Generator) -> pd.DataFrame:
    """Treat everyone to the target of their arm, visit by visit.

    Returns:
        One row per participant and visit, all of them attended: MASKID, VISITCODE, SBP, DBP, N_BPCLASSES.
    """
    drugs, dose_steps = people.drugs.copy(), np.zeros(len(people.maskid))  # (n,)
    wander = np.zeros(len(drugs))  # mmHg (n,)
    sbp, dbp = people.sbp, people.dbp
    visits = [_visit_rows(people, 0, sbp, dbp, drugs)]
    for visit in range(1, len(VISIT_CODES)):
        by_drug = FIRST_BY_DRUG if visit == 1 else LATER_BY_DRUG
        drugs, dose_steps = titrate(people, sbp, drugs, dose_steps, by_drug, rng)
        wander = 0.9 * wander + rng.normal(0, WANDER_SBP_MMHG, len(drugs))
        lowered = people.response * (MMHG_PER_DRUG * (drugs - people.drugs) + MMHG_PER_DOSE_STEP * dose_steps) - wander
        sbp = reading(people.usual_sbp - lowered + rng.normal(0, READING_NOISE_SBP_MMHG, len(drugs)), SBP_LIMITS_MMHG)
        dbp = reading(
            people.usual_dbp - DBP_PER_SBP * lowered + rng.normal(0, READING_NOISE_DBP_MMHG, len(drugs)),
            DBP_LIMITS_MMHG,
        )
        visits.append(_visit_rows(people, visit, sbp, dbp, drugs))
    return pd.concat(visits, ignore_index=True)


def titrate(
    people: Enrolment,
    sbp: np.ndarray,
    drugs: np.ndarray,
    dose_steps: np.ndarray,
    by_drug_share: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """What the doctor prescribes on reading `sbp`: new drug classes and dose steps, each (n,).

    `by_drug_share` is how often the change is a drug rather than a dose.
    """
    arm = {
        field: np.where(people.intensive, getattr(INTENSIVE, field), getattr(STANDARD, field))
        for field in Regimen.__dataclass_fields__
    }
    chance, by_drug = rng.random(len(drugs)), rng.random(len(drugs)) < by_drug_share
    more = (sbp >= arm["add_at"]) & (chance < arm["add_probability"])
    less = (sbp < arm["remove_below"]) & (chance < arm["remove_probability"])
    room = drugs < people.most_drugs
    drug_change = (more & by_drug & room).astype(int) - (less & by_drug & (drugs > 0)).astype(int)
    dose_change = (more & ~by_drug).astype(int) - (less & ~by_drug).astype(int)
    return np.clip(drugs + drug_change, *DRUG_LIMITS), np.clip(dose_steps + dose_change, -2, 4)


def reading(true_mmhg: np.ndarray, limits: tuple[int, int]) -> np.ndarray:
    """What the cuff shows: whole mmHg, inside the limits."""
    shown: np.ndarray = np.clip(np.rint(true_mmhg), *limits)
    return shown.astype(np.int64)


def attended(participants: int, rng: np.random.Generator) -> np.ndarray:
    """Which visits took place: bool (n, 21).

    A visit is missing because it was missed (some participants miss often), because the participant left or died, or
    because the trial had ended: it enrolled for 28 months and everyone was followed for 29 at least.
    """
    n = participants
    miss = rng.beta(0.6, 22.0, n)  # each participant's chance of missing a visit
    leaves_after = rng.exponential(330.0, n)  # months
    trial_ends_after = rng.uniform(29, 57, n)
    took_place = rng.random((n, len(VISIT_CODES))) >= miss[:, None]
    took_place &= np.minimum(leaves_after, trial_ends_after)[:, None] >= VISIT_MONTHS
    took_place[:, 0] = True
    return took_place


def simulate(participants: int = ENROLLED, seed: int = PUBLIC_SEED) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate a trial.

    Args:
        participants: how many are enrolled.
        seed: of everything random.

    Returns:
        baseline.csv and bp.csv as data frames. A reading that was not taken is NaN.
    """
    rng = np.random.default_rng(seed)
    people = enrol(participants, rng)
    visits = follow(people, rng)
    took_place = attended(participants, rng).T.reshape(-1)  # (21 n,), in the order of the rows
    unread = rng.random((len(visits), 3)) < 0.0008
    for column, blank in zip(("SBP", "DBP", "N_BPCLASSES"), unread.T, strict=True):
        visits[column] = visits[column].astype("Int64").mask(blank & (visits["VISITCODE"] != "RZ").to_numpy())
    bp = visits[took_place].sort_values("MASKID", kind="stable").reset_index(drop=True)
    return _baseline(people, rng), bp


def write_simulated(directory: Path, participants: int = ENROLLED, seed: int = PUBLIC_SEED) -> list[Path]:
    """Simulate a trial and write baseline.csv and bp.csv, each whole or not at all.

    Returns:
        The two files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, frame in zip(("baseline.csv", "bp.csv"), simulate(participants, seed), strict=True):
        partial = directory / f".{name}.{secrets.token_hex(4)}.partial"
        frame.to_csv(partial, index=False)
        written.append(partial.replace(directory / name))
    return written


def ensure_simulated(directory: Path) -> None:
    """Write the public simulated trial unless this version of it lies there already."""
    stamp = directory / "SIMULATED.txt"
    current = f"Simulated by cohorts.simulator, version {SIMULATION_VERSION}, seed {PUBLIC_SEED}: nobody is real.\n"
    exist = [(directory / name).is_file() for name in ("baseline.csv", "bp.csv")]
    if any(exist) and not stamp.is_file():
        raise CohortError(
            f"The files in {directory} were not written by the simulator, so they cannot be used as the public "
            "simulated trial. For the real one use --cohort sprint; if not, move them elsewhere or name another folder."
        )
    if all(exist) and stamp.read_text() == current:
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        stamp.write_text("Simulated, but not to the end: baseline.csv and bp.csv will be written anew.\n")
        write_simulated(directory)
        stamp.write_text(current)
    except OSError as error:
        raise CohortError(
            f"The simulated trial cannot be written to {directory} ({error.strerror}). Make that place "
            "writable, or name another directory."
        ) from None


def _visit_rows(people: Enrolment, visit: int, sbp: np.ndarray, dbp: np.ndarray, drugs: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"MASKID": people.maskid, "VISITCODE": VISIT_CODES[visit], "SBP": sbp, "DBP": dbp, "N_BPCLASSES": drugs}
    )


def _baseline(people: Enrolment, rng: np.random.Generator) -> pd.DataFrame:
    """baseline.csv: the columns that the project's readers know, in the challenge's order."""
    n = len(people.maskid)
    age = np.clip(np.rint(rng.normal(67.9, 9.4, n)), 50, 95).astype(int)
    risk = np.clip(20.1 + 0.9 * (age - 67.9) + 0.15 * (people.sbp - 139.7) + rng.normal(0, 6, n), 1, 80).round(2)
    return pd.DataFrame(
        {
            "MASKID": people.maskid,
            "INTENSIVE": people.intensive.astype(int),
            "NEWSITEID": rng.integers(1, 103, n),
            "RISK10YRS": risk,
            "INCLUSIONFRS": (risk >= 15).astype(int),
            "SBP": people.sbp,
            "DBP": people.dbp,
            "N_AGENTS": people.drugs,
            "NOAGENTS": (people.drugs == 0).astype(int),
            "AGE": age,
            "FEMALE": (rng.random(n) < 0.356).astype(int),
        }
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line: write a simulated trial into a directory."""
    parser = argparse.ArgumentParser(prog="python -m cohorts.simulator", description="Simulate a trial like SPRINT.")
    parser.add_argument("--out", type=Path, required=True, help="directory for baseline.csv and bp.csv")
    parser.add_argument("--seed", type=int, default=PUBLIC_SEED, help="default: %(default)s")
    parser.add_argument("--participants", type=int, default=ENROLLED, help="default: %(default)s")
    given = parser.parse_args(arguments)
    if given.participants < 2:
        parser.error(f"--participants is {given.participants}; a trial of two arms has at least 2")
    for path in write_simulated(given.out, given.participants, given.seed):
        print(path)


if __name__ == "__main__":
    main()
