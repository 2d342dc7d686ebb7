"""What becomes of a study when something fails: whether it ends as it should, and what its ledger says.

``python -m benchmarks.faults --runs 10`` (root, Linux) runs a small study again and again, harms it each time in one
way at a random moment, waits for it to end, mends the cause and resumes it where that is needed. Each result is
appended to benchmarks/results/faults.json as it comes, what is there is not done again, and the table of
docs/cluster.md is written. ``--kinds raylet pack`` does some kinds only.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.trial import TrialState
from rich.console import Console

from benchmarks.page import write_section
from tests.tuner.running_study import NAME, TRIALS, Ground, kill, process_of
from trainables.trial_log import Ended, TrialLog, TrialLogError

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
PAGE = ROOT / "docs" / "cluster.md"
PATIENCE_S = 900  # a study that has not ended by then hangs
RESUMES, TRIES = 3, 5
LATEST_LINE = 10  # of what a study runs on participants; it runs about twice as many
EARLY_S = 8.0
OUT_MIB, LEDGER_MIB = 256, 16
MORE_MEMORY = 2**20  # bytes


class Missed(Exception):
    """A study ended, or had not begun what was to be harmed, so nothing was; it tells nothing."""


@dataclass(frozen=True)
class Scene:
    """A study that is about to be harmed.

    Args:
        ground: where it runs.
        study: its process.
        chance: what is random about it.
    """

    ground: Ground
    study: subprocess.Popen[str]
    chance: random.Random

    @property
    def disk(self) -> Path:
        """A small disk, where the fault needs one."""
        return self.ground.folder / "disk"

    def wait_for_a_moment(self) -> None:
        """Until some of it was run on participants.

        Raises:
            Missed: it ended before.
        """
        if not self.ground.wait_until_executed(self.study, self.chance.randint(1, LATEST_LINE)):
            raise Missed


@dataclass(frozen=True)
class Fault:
    """One way to harm a study.

    Args:
        title: in words.
        harm: does it, at a moment of its own.
        mend: sees to the cause before the study is resumed.
        disk: what lies on a small disk: nothing, the results (``out``) or the ledger.
    """

    title: str
    harm: Callable[[Scene], None]
    mend: Callable[[Scene], None] = lambda scene: None
    disk: str = ""


def killing(victim: str) -> Callable[[Scene], None]:
    def harm(scene: Scene) -> None:
        scene.wait_for_a_moment()
        if not kill(victim, scene.study):
            raise Missed

    return harm


def signalling(number: signal.Signals, times: int = 1) -> Callable[[Scene], None]:
    def harm(scene: Scene) -> None:
        scene.wait_for_a_moment()
        for _ in range(times):
            scene.study.send_signal(number)
            time.sleep(scene.chance.uniform(0, 2) if times > 1 else 0)

    return harm


def interrupt_early(scene: Scene) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        scene.study.wait(timeout=scene.chance.uniform(0.5, EARLY_S))
    scene.study.send_signal(signal.SIGINT)


def interrupt_at_the_end(scene: Scene) -> None:
    while scene.study.poll() is None and len(ended(scene.ground)) < TRIALS:
        time.sleep(0.02)
    if scene.study.poll() is not None:
        raise Missed
    scene.study.send_signal(signal.SIGINT)


def fill(scene: Scene) -> None:
    scene.wait_for_a_moment()
    with contextlib.suppress(OSError), (scene.disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def empty(scene: Scene) -> None:
    (scene.disk / "filler").unlink()


def make_read_only(scene: Scene) -> None:
    """Files that are open stay writable, so the ledger's process is killed as well, and comes back."""
    scene.wait_for_a_moment()
    for how in (["--bind", str(scene.disk)], ["-o", "remount,ro,bind"]):
        subprocess.run(["mount", *how, str(scene.disk)], check=True)
    kill("ledger", scene.study)


def make_writable(scene: Scene) -> None:
    subprocess.run(["umount", "--lazy", str(scene.disk)], check=True)


def take_descriptors(scene: Scene) -> None:
    scene.wait_for_a_moment()
    driver = psutil.Process(scene.study.pid)
    _, most = driver.rlimit(psutil.RLIMIT_NOFILE)
    driver.rlimit(psutil.RLIMIT_NOFILE, (driver.num_fds(), most))


def take_memory(scene: Scene) -> None:
    scene.wait_for_a_moment()
    pack = process_of("pack", scene.study)
    if not pack:
        raise Missed
    pack.rlimit(psutil.RLIMIT_AS, (pack.memory_info().vms + MORE_MEMORY,) * 2)


FAULTS = {
    "driver": Fault("the whole study killed, as when the power fails", killing("driver")),
    "sigterm": Fault("SIGTERM", signalling(signal.SIGTERM)),
    "sighup": Fault("SIGHUP", signalling(signal.SIGHUP)),
    "ctrl-c": Fault("Ctrl-C", signalling(signal.SIGINT)),
    "ctrl-c-early": Fault("Ctrl-C while it starts", interrupt_early),
    "ctrl-c-twice": Fault("Ctrl-C twice", signalling(signal.SIGINT, 2)),
    "ctrl-c-at-the-end": Fault("Ctrl-C as the last trial ends", interrupt_at_the_end),
    "raylet": Fault("Ray's own process of the machine killed", killing("raylet")),
    "pack": Fault("a pack killed", killing("pack")),
    "scorer": Fault("a scorer killed", killing("scorer")),
    "trial": Fault("a trial's process killed", killing("trial")),
    "ledger": Fault("the ledger's process killed", killing("ledger")),
    "out-full": Fault("the disk of the results full", fill, empty, disk="out"),
    "ledger-full": Fault("the disk of the ledger full", fill, empty, disk="ledger"),
    "ledger-read-only": Fault("the disk of the ledger read-only", make_read_only, make_writable, disk="ledger"),
    "descriptors": Fault("no more files may be opened", take_descriptors),
    "memory": Fault("no more memory for a pack", take_memory),
}


@dataclass(frozen=True)
class Row:
    """What became of one study.

    Args:
        kind: of fault.
        run: number of the study among those of this kind.
        status: exit status of the first attempt; None where it hung.
        attempts: how often it was started in all.
        finished: whether it ended well at last.
        traceback: whether anything it said was one.
        lost: trials that failed for good or are missing.
        duplicated: trials that ended more often than once, for Optuna or for the release.
        undercounted: charges that are missing in the ledger.
        overcounted: charges of what never ran.
        released: whether there is a release, and its ledger passes its check.
    """

    kind: str
    run: int
    status: int | None
    attempts: int
    finished: bool
    traceback: bool
    lost: int
    duplicated: int
    undercounted: int
    overcounted: int
    released: bool


def main() -> None:
    """Harm, write down, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="KIND")
    parser.add_argument("--runs", type=int, default=10, help="of each kind (default: 10)")
    parser.add_argument("--keep", type=Path, help="folder for what studies that did not end well leave")
    given = parser.parse_args()
    heed_signals()
    for run in range(given.runs):
        for kind in given.kinds:
            if (kind, run) not in {(row.kind, row.run) for row in rows()}:
                row = surely_harmed(kind, run, given.keep)
                RESULTS.write_text(json.dumps([asdict(each) for each in [*rows(), row]], indent=1) + "\n")
                Console(stderr=True, width=200).print(row)
    write_table(rows())


def heed_signals() -> None:
    """Have studies heed what is sent to them, though this was started by ``nohup`` or behind a shell's ``&``.

    A process inherits which signals are ignored, but not what else becomes of them.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


def rows() -> list[Row]:
    """What was found so far."""
    return [Row(**each) for each in json.loads(RESULTS.read_text())] if RESULTS.exists() else []


def surely_harmed(kind: str, run: int, keep: Path | None) -> Row:
    """Run a study and harm it, and another where that came too late."""
    for attempt in range(TRIES):
        with contextlib.suppress(Missed):
            return harmed(kind, run, attempt, keep)
    raise SystemExit(f"{kind}: {TRIES} studies ended before they could be harmed.")


def harmed(kind: str, run: int, attempt: int, keep: Path | None) -> Row:
    """Run one study and harm it.

    Raises:
        Missed: nothing was harmed.
    """
    fault = FAULTS[kind]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, small_disk(Path(folder), fault.disk) as ground:
        ground.prepare()
        scene = Scene(ground, ground.begin(), random.Random(f"{kind} {run} {attempt}"))
        try:
            fault.harm(scene)
        except Missed:
            status_of(scene.study)
            raise
        first = last = status_of(scene.study)
        fault.mend(scene)
        attempts = 1
        while last != 0 and attempts <= RESUMES:
            begun = (ground.study / "study.json").exists()
            last, attempts = status_of(ground.resume() if begun else ground.begin()), attempts + 1
        row = judged(ground, Row(kind, run, first, attempts, last == 0, "Traceback" in ground.said, 0, 0, 0, 0, False))
        if keep and (row.traceback or row.lost or row.duplicated or row.undercounted or not row.released):
            shutil.copytree(folder, keep / f"{kind}-{run}", dirs_exist_ok=True)
        return row


@contextlib.contextmanager
def small_disk(folder: Path, what: str) -> Iterator[Ground]:
    """A ground with the results or the ledger on a small disk."""
    if not what:
        yield Ground(folder)
        return
    disk = folder / "disk"
    disk.mkdir()
    size = {"out": OUT_MIB, "ledger": LEDGER_MIB}[what]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(disk)], check=True)
    try:
        yield Ground(folder, out=disk / "results") if what == "out" else Ground(folder, ledger=disk / "ledger.db")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def status_of(study: subprocess.Popen[str]) -> int | None:
    """How a study ends; one that hangs is killed, and gives None."""
    try:
        return study.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        kill("driver", study)
        return None


def ended(ground: Ground) -> dict[str, str]:
    """How each trial ended so far."""
    try:
        lines = TrialLog(ground.study / "trials.jsonl").lines()
        return {line.trial: line.ended for line in lines if isinstance(line, Ended)}
    except TrialLogError:
        return {}


def judged(ground: Ground, row: Row) -> Row:
    """Compare what is there with what should be."""
    if not row.finished:
        return row
    how, counted = ended(ground), ground.counted()
    database = f"sqlite:///{ground.study / 'study.db'}"
    told = [trial.state for trial in optuna.load_study(study_name=NAME, storage=database).trials]
    well = sum(state in (TrialState.COMPLETE, TrialState.PRUNED) for state in told)
    completed = sum(each == "completed" for each in how.values())
    with contextlib.redirect_stdout(io.StringIO()):
        released = ground.is_released()
    found: dict[str, Any] = {
        "lost": TRIALS - min(completed, well),
        "duplicated": max(0, len(how) - TRIALS, well - TRIALS),
        "undercounted": counted.training_missing + counted.scores_missing,
        "overcounted": counted.training_over + counted.scores_over,
        "released": released,
    }
    return Row(**{**asdict(row), **found})


def write_table(found: list[Row]) -> None:
    """Print the table, and write it to docs/cluster.md."""
    lines = []
    for kind, fault in FAULTS.items():
        these = [row for row in found if row.kind == kind]
        if these:
            statuses = ", ".join(sorted({"hung" if row.status is None else str(row.status) for row in these}))
            sums = (sum(getattr(row, name) for row in these) for name in
                    ("finished", "lost", "duplicated", "undercounted", "overcounted", "released"))  # fmt: skip
            resumed = sum(row.attempts > 1 for row in these)
            finished, *counts, released = sums
            cells = (fault.title, len(these), statuses, resumed, finished, *counts, released)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    text = (
        "## What becomes of a study when something fails\n\n"
        f"Measured by `python -m benchmarks.faults --runs {1 + max(row.run for row in found)}` on "
        f"{date.today():%d %B %Y}: small studies of {TRIALS} trials under `composed`, each harmed once at a random\n"
        "moment, then resumed with the cause mended where it did not end well by itself. A charge too many is work "
        "that was paid for and\ndid not happen, or not to its end; one too few would be work that nobody paid for.\n\n"
        "| fault | studies | exit status | resumed | finished | trials lost | duplicated | charges too few "
        "| too many | released |\n|---|---|---|---|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )
    write_section("faults", text, PAGE)
    Console(width=200).print(text, highlight=False)


if __name__ == "__main__":
    main()
