"""`python -m analysis.auditing`: attacks that must find less than what is stated."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from analysis.auditing.bounds import Auc, Finding, Hits, epsilon_by_events
from analysis.auditing.gradient_canaries import ENGINES, CanaryPlan, findings, run_canaries
from analysis.auditing.measurements import AUDITED, audit_measurements, audited
from analysis.auditing.membership import attack_release
from analysis.auditing.study_canaries import StudyAudit, audit_study
from analysis.errors import AnalysisError
from analysis.steward import open_for_steward
from analysis.study import StudyDirectory
from cohorts import CohortError
from cohorts.arguments import path
from privacy import LedgerError
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.mechanisms.auc import Floors, NoisyScores, ScoreFloors

DESCRIPTION = """\
Attack this installation's own code, and say what the attacks prove.

An attack gives a lower bound on epsilon that holds at 95 %. A bound above the stated epsilon means that the code does
not do what is charged. Four things are attacked: one training run with planted canaries, whose every noisy gradient is
seen; the noise of scores; what is measured once, histograms and products together; and a whole small study with
canaries, of which everything that leaves it is seen. Training runs and studies are of three arms, with missing values
and drop-out; scores and measurements are attacked for two arms and complete participants, too. No participant is read.

With --study, the study's release is attacked as well: does it show who was trained on and who was not? That reads the
real participants, for the data steward alone; it is charged to the ledger's internal account and written to
internal/audit.json.
"""

DELTA = 1e-5
RELEASES = 10_000
SCORES = {
    "a score": NoisyScores(ScoreFloors.two(40, 40), 1, 0.02),
    "a score of three classes": NoisyScores(ScoreFloors((Floors(40, 80),) * 3), 1, 0.015),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0 when everything holds, 1 when an attack refutes a claim, 2 for a mistake."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.auditing",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--engine", choices=sorted(ENGINES), help="attack only this one (default: all)")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="training runs to attack, one after the other")
    parser.add_argument("--study", type=path, metavar="DIR", help="results/STUDY: also attack its release")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        membership = _membership(StudyDirectory(given.study), console) if given.study else {}
    except (AnalysisError, CohortError, LedgerError) as error:
        Console(stderr=True, highlight=False).print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        return 2
    engines = [given.engine] if given.engine else sorted(ENGINES)
    found = _findings(engines, max(1, given.runs), console)
    _show(found, membership, console)
    return 0 if all(finding.holds for finding in found) else 1


def _findings(engines: Sequence[str], runs: int, console: Console) -> list[Finding]:
    plan = CanaryPlan()
    found: list[Finding] = []
    with Progress(console=console, transient=True) as progress:

        def ticking(what: str, total: int) -> Callable[[], None]:
            task = progress.add_task(what, total=total)
            return lambda: progress.advance(task)

        for engine, number in product(engines, range(1, runs + 1)):
            ticks = ticking(f"Training run {number} of {runs}, {engine} engine", plan.steps)
            found += findings(run_canaries(plan, engine, tick=ticks), plan, engine)
        for name, scores in SCORES.items():
            found.append(audit_scores(scores, name, ticking(f"Noise of {name}", 2)))
        for name, schema in AUDITED.items():
            measured, ticks = f"what is measured once, {name}", ticking(f"Measurements, {name}", 2)
            found.append(audit_measurements(audited(schema), DELTA, of=measured, tick=ticks))
        for study in (StudyAudit(engine=engine) for engine in engines):
            found.append(audit_study(study, ticking(f"Whole study, {study.engine} engine", study.trials)))
    return found


def audit_scores(mechanism: NoisyScores, of: str = "a score", tick: Callable[[], None] = lambda: None) -> Finding:
    """Release the score of two data sets that differ in one participant as much as a score can, many times each.

    Args:
        mechanism: one classifier's.
        of: what is attacked, in words.
        tick: called after each data set.
    """
    labels, added = _neighbours(mechanism.floors)
    ranking = np.full((len(labels) + 1, mechanism.floors.classes), 0.5)
    # The one who is added wins against everybody where its class is set against others, and loses everywhere else.
    ranking[-1] = np.arange(mechanism.floors.classes) == added
    ranking = ranking[:, 1] if mechanism.floors.classes == 2 else ranking
    samples = []
    for people, ranks in ((labels, ranking[:-1]), (np.append(labels, added), ranking)):
        samples.append(np.array([mechanism.release([ranks], people)[0] for _ in range(RELEASES)]))
        tick()
    without, with_one = samples
    middle, sd = float(np.median(np.concatenate(samples))), mechanism.noise_sd
    events = [Hits.above(line, with_one, without) for line in (middle, middle + sd, middle + 2 * sd)]
    return Finding.bound(
        f"noise of {of}: {RELEASES} releases of each of two neighbouring data sets",
        epsilon_by_rdp(mechanism.event, DELTA),
        epsilon_by_events(events, DELTA),
    )


def _neighbours(floors: ScoreFloors) -> tuple[np.ndarray, int]:
    """Labels of a data set, and the class of one who moves its score most.

    Class 1 is one short of its floor. Of two, class 0 is far above its own, so that noise by true counts shows; of
    more, others are at their floors, so that to each of them all others together are one short, too.
    """
    if floors.classes == 2:
        counts = [10 * floors.of_each[0].negative, floors.of_each[0].positive - 1]
    else:
        counts = [each.positive - (label == 1) for label, each in enumerate(floors.of_each)]
    return np.repeat(np.arange(len(counts)), counts), 1


def _membership(directory: StudyDirectory, console: Console) -> dict[str, Auc]:
    settings = directory.settings()
    if not directory.release.exists():
        raise AnalysisError(f"{directory.path} has no release to attack. Build it first: python -m analysis DIR")
    with console.status("Attacking the release"):
        return attack_release(directory, open_for_steward(directory, settings, "audit of the release"))


def _show(found: Sequence[Finding], membership: dict[str, Auc], console: Console) -> None:
    table = Table("what was attacked", "stated", "found", "", title="Audit at 95 %", title_justify="left")
    for finding in found:
        table.add_row(finding.audited, finding.stated, finding.found, "holds" if finding.holds else "[red]REFUTED[/]")
    console.print(table)
    if membership:
        attacks = Table(
            "attack on the release", "AUC (95 %)", title="Who was trained on? 0.5 is chance", title_justify="left"
        )
        for name, auc in membership.items():
            attacks.add_row(name, f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})")
        console.print(attacks)
        console.print("Never publish this table: it was computed from real participants. It is in internal/audit.json.")
