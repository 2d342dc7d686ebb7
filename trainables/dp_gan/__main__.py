"""``python -m trainables.dp_gan``: the paper's command, with its own flags."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

DESCRIPTION = """\
Train one configuration of the SPRINT paper's network, as its dp_gan.py did; with --noise 0 as its ac_gan.py did.

There is no search, and nothing is looked at on the way, so that one epsilon covers the generators of all epochs. Every
epoch's is kept in results/NAME/trials, the losses of both networks in results/NAME/internal (of participants: never
publish), and what may be said in results/NAME/privacy_statement.md. docs/paper.md says what the flags mean here.
"""

EPILOG = """\
example (the paper's own; 6,000 steps an epoch):
  python -m trainables.dp_gan --noise 1 --clip_value 0.0001 --epochs 500 --lr 2e-05 --batch_size 1 \\
      --prefix 1_0.0001_2e-05_

Ctrl-C keeps what was trained; the same command with --resume goes on. Exit status: 0 when all epochs are over, 2 when
there is something to mend and 1 when the ledger cannot be written to just now, both with a paragraph, 130 after an
interrupt.
"""


def parser() -> argparse.ArgumentParser:
    """The command line: the paper's flags and defaults first."""
    parser = argparse.ArgumentParser(
        prog="python -m trainables.dp_gan",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    paper = parser.add_argument_group("as in the paper")
    for flag, kind, default, metavar, words in (
        ("--noise", float, 0.0, "F", "0 trains without noise and clipping"),
        ("--clip_value", float, 0.0, "C", "largest 2-norm of a gradient"),
        ("--epochs", int, 200, "N", "how many"),
        ("--lr", float, 0.0002, "F", "Adam's step of both networks"),
        ("--batch_size", int, 100, "B", "participants that a step is expected to meet"),
    ):
        paper.add_argument(flag, type=kind, default=default, metavar=metavar, help=f"{words} (default: %(default)s)")
    paper.add_argument("--prefix", default="", metavar="TEXT", help="of the run's name")
    ours = parser.add_argument_group("not in the paper")
    ours.add_argument("--cohort", default="sprint-simulated", metavar="NAME|PATH.yaml", help="(default: %(default)s)")
    ours.add_argument("--data", type=Path, metavar="DIR", help="folder of the cohort's files")
    ours.add_argument("--engine", choices=("packed", "opacus"), default="packed", help="(default: %(default)s)")
    ours.add_argument(
        "--paper-noise",
        choices=("meant", "published"),
        default="meant",
        help="standard deviation of the noise: noise x clip_value, as was meant, or noise x clip_value^2, as the code "
        "behind the published figures had it, which protects nobody (default: %(default)s)",
    )
    ours.add_argument(
        "--averaging",
        type=float,
        default=0.0,
        metavar="F",
        help="keep a running average of the generator with this decay, such as 0.999, in its place; 0 keeps the "
        "generator itself, as the paper did (default: %(default)s)",
    )
    ours.add_argument(
        "--scores",
        action="store_true",
        help="score every epoch on participants who do not train, so that python -m analysis can pick the best; the "
        "scores have no noise, and no epsilon covers them",
    )
    ours.add_argument("--delta", type=float, default=1e-5, metavar="D", help="(default: %(default)s)")
    ours.add_argument("--ledger", type=Path, metavar="FILE", help="the cohort's ledger, if not in your data directory")
    ours.add_argument("--new-ledger", action="store_true", help="as of tuner/run.py")
    ours.add_argument("--adopt-ledger", action="store_true", help="as of tuner/run.py")
    ours.add_argument("--other-people", action="append", default=[], metavar="NAME", help="as of tuner/run.py")
    ours.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="(default: %(default)s)")
    ours.add_argument("--resume", action="store_true", help="go on with the run of the same flags")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = parser().parse_args(arguments)

    # Imported here so that --help does not wait for PyTorch.
    from rich.console import Console

    from cohorts import CohortError, storage
    from cohorts.interrupts import interrupted_by
    from privacy import LedgerError, LedgerUnavailable
    from trainables.dp_gan.command import carry_out, request
    from trainables.dp_gan.run import RunError
    from trainables.extensions import ExtensionError
    from trainables.trial_log import TrialLogError

    try:
        with storage.private_files(), interrupted_by():
            return carry_out(request(given), Console())
    except KeyboardInterrupt:
        Console().print("Interrupted at once: nothing of the last steps was kept.")
        return 130
    except (CohortError, ExtensionError, LedgerError, RunError, TrialLogError) as error:
        Console(stderr=True).print("error: ", error, sep="", style="red", highlight=False, markup=False, soft_wrap=True)
        return 1 if isinstance(error, LedgerUnavailable) else 2


if __name__ == "__main__":
    sys.exit(main())
