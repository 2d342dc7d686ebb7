"""The entry: ``python tuner/run.py`` searches, and writes a synthetic release."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

from tuner.options import parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a study from a command line.

    Returns:
        Exit status: 0 when the release is written, 3 when it is and strays from what was measured further than noise
        explains, 1 when the machine could not run the study, 2 when the user has something to mend, 130 after an
        interrupt.
    """
    options = parse(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("Interrupted; nothing was under way.", file=sys.stderr)
        return 130


def _run(options: Namespace) -> int:
    """Run what was asked for; returns the exit status."""
    # Imported here so that --help does not wait for PyTorch and Ray.
    from rich.console import Console

    from analysis import AnalysisError, build_release, exit_status, print_report
    from analysis.machine import MachineError, machine_errors
    from cohorts import CohortError, storage
    from cohorts.interrupts import interrupted_by
    from privacy import BudgetExhausted, LedgerError, LedgerUnavailable, PlanError
    from privacy.policies import policy_named
    from search_spaces import SearchSpaceError
    from trainables.extensions import ExtensionError
    from tuner.errors import StudyError
    from tuner.plan import print_plan
    from tuner.request import outline_study, request_study, resume_command
    from tuner.study import run_study
    from tuner.terminal import ScoreNoise, best_epochs_table

    mistakes = (
        AnalysisError, BudgetExhausted, CohortError, ExtensionError, LedgerError, PlanError, SearchSpaceError,
        StudyError,
    )  # fmt: skip
    console, request, finished = Console(), None, False

    def kept() -> str:
        if request is None or not request.directory.path.is_dir():
            return ""
        begun = request.settings.storage is not None or request.directory.trials.is_dir()
        trained = "What was trained is kept; to" if begun else "To"
        return f"{trained} resume:\n  {resume_command(request, options)}"

    try:
        if options.plan:
            with console.status("Dividing the budget"):
                outline = outline_study(options)
            print_plan(outline.settings, outline.schema, outline.space, outline.plan, console)
            return 0
        with machine_errors(), storage.private_files(), interrupted_by():
            with console.status("Checking the request, dividing the budget, loading the cohort"):
                request = request_study(options)
            finished = run_study(request, options.address, console, options.dashboard)
            if finished:
                summary = build_release(request.directory, console, despite_failures=options.release_anyway)
    except KeyboardInterrupt:
        finished = False
    except (*mistakes, MachineError) as error:
        Console(stderr=True).print("error: ", error, sep="", style="red", highlight=False, markup=False, soft_wrap=True)
        if not isinstance(error, MachineError | LedgerUnavailable):
            return 2
        console.print(kept(), soft_wrap=True)
        return 1
    if not finished:
        console.print(f"Interrupted. {kept()}".rstrip(), soft_wrap=True)
        return 130
    last = policy_named(summary.directory.settings().policy).stages(summary.directory.declared_plan())[-1]
    console.print(best_epochs_table(summary.selection.picks, ScoreNoise(last.score_noise_sd, console.encoding)))
    print_report(summary, console)
    return exit_status(summary.quality, options.release_anyway)


if __name__ == "__main__":
    sys.exit(main())
