"""The command line of ``tuner/run.py`` and what it may say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

ENGINES = ("opacus", "packed")

RESULTS = Path("results")

DEFAULTS = {
    "preset": None,
    "cohort": "sprint-simulated",
    "data": None,
    "policy": None,  # the registry knows which, and a policy its own search space, trials and epochs
    "search_space": None,
    "epsilon": 3.0,
    "delta": 1e-5,
    "search_minutes": None,
    "trials": None,
    "max_epochs": None,
    "engine": "packed",
    "cpus_per_trial": None,
    "gpus_per_trial": None,
    "ledger": None,
    "storage": None,
    "copies": 0,
    "seed": None,
}

DESCRIPTION = """\
Search for a good differentially private GAN over a clinical trial and write a synthetic release.

A study trains many trials (one trial is one hyperparameter configuration) on part of the participants, scores
each by how well a classifier trained on its synthetic participants predicts the arm of real ones it was not
trained on, stops the poor ones early, and releases an ensemble of the best epochs.
"""

EXAMPLES = """\
examples:
  python tuner/run.py
      a simulated SPRINT trial, made on the spot: nothing to prepare
  python tuner/run.py --cohort actg175
      a real HIV trial that comes with a package
  python tuner/run.py --cohort my-trial.yaml --study first-try --new-ledger
      your own trial, which no study has read before; docs/cohorts.md says how to describe it
  python tuner/run.py --cohort my-trial.yaml --epsilon 1 --plan
      what that study would cost; reads no participant
  python tuner/run.py --study first-try --resume
      resume after an interruption
  python tuner/run.py --address auto --storage /shared/studies
      on the head of a Ray cluster; docs/cluster.md says how to start one

Publish results/STUDY/release only. results/STUDY/internal shows real participants' figures.
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples' lines as written and states defaults that are values."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = DEFAULTS.get(action.dest)
        return (
            action.help
            if default is None or "(default:" in (action.help or "")
            else f"{action.help} (default: {default})"
        )


def parser(kind: type[argparse.ArgumentParser] = argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser; options not given are None, so that a resumed study can tell them from given ones."""
    parser = kind(prog="tuner/run.py", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=_Help)
    _add_cohort_options(parser.add_argument_group("the trial to imitate"))
    _add_search_options(parser.add_argument_group("the search"))
    _add_machine_options(parser.add_argument_group("where it runs"))
    _add_study_options(parser.add_argument_group("the study"))
    return parser


def _path(text: str) -> Path:
    from cohorts.arguments import path  # here, so that --help need not wait for pandas

    return path(text)


def _name_or_path(text: str) -> str:
    from cohorts.arguments import name_or_path  # likewise

    return name_or_path(text)


def _add_cohort_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--cohort",
        type=_name_or_path,
        metavar="NAME|PATH.yaml",
        help="sprint, sprint-simulated, actg175, actg175-treat, or your own schema",
    )
    group.add_argument(
        "--data", type=_path, metavar="DIR", help="folder of the cohort's files, if they are not beside its schema"
    )


def _add_search_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--preset",
        metavar="NAME",
        help="paper: the sweep of Beaulieu-Jones et al. 2019 and its non-private twin, with every epoch scored; "
        "options given beside it win. docs/paper.md says what it does",
    )
    group.add_argument(
        "--search-space",
        type=_name_or_path,
        metavar="NAME|PATH.yaml",
        help="measured, copula, default (GANs on a declared budget), unaccounted (GANs with noise of their own), "
        "paper, smoke, or your own (default: what suits the policy)",
    )
    group.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="how many configurations to try (default: 16 under the policy measured, else 32)",
    )
    group.add_argument(
        "--max-epochs",
        type=int,
        metavar="N",
        help="longest training of one trial (default: 12 under the policy measured, else 40)",
    )
    group.add_argument("--engine", choices=ENGINES, help="which engine does the arithmetic of training")
    group.add_argument(
        "--policy",
        metavar="NAME",
        help="how the search reads participants: measured (the default), surrogate, composed, selection or "
        "unaccounted; docs/privacy.md says what each costs. Under all but the last one epsilon covers everything",
    )
    group.add_argument(
        "--epsilon",
        type=float,
        metavar="E",
        help="the privacy budget to declare, for everything that reads participants; under unaccounted the largest "
        "epsilon of one trial's training",
    )
    group.add_argument("--delta", type=float, metavar="D", help="delta at which epsilon is stated")
    group.add_argument(
        "--ledger",
        type=_path,
        metavar="FILE",
        help="the cohort's ledger, in which every reading of participants is written down before it happens, "
        "if it is not in your data directory",
    )
    group.add_argument(
        "--new-ledger",
        action="store_true",
        help="begin the ledger of a private cohort, because this is the first study that ever reads its participants; "
        "a public cohort's begins by itself",
    )
    group.add_argument(
        "--adopt-ledger",
        action="store_true",
        help="the ledger was begun when the cohort's files or schema were different, but it is the same cohort",
    )
    group.add_argument(
        "--other-people",
        action="append",
        default=[],
        metavar="NAME",
        help="the cohort NAME has other people, though its ledger may know the same identifiers; every statement will "
        "say that you said so, whether or not it knows any (may be given several times)",
    )
    group.add_argument(
        "--search-minutes",
        type=float,
        metavar="M",
        help="end a search by a secret number of runs this long after it began, however many there were, so that its "
        "duration does not reveal their number",
    )
    group.add_argument(
        "--copies",
        type=int,
        metavar="M",
        help="copies in the release, each from its own draw of what would have been measured without noise, for "
        "intervals that hold (default: 10 under the policy measured, which alone can have them; 0 for none)",
    )
    group.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="make the study repeatable, for cohorts marked public under the policy unaccounted",
    )


def _add_machine_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--cpus-per-trial", type=float, metavar="F", help="cores per trial; may be a fraction")
    group.add_argument("--gpus-per-trial", type=float, metavar="F", help="GPUs per trial, such as 0.125")
    group.add_argument(
        "--address", metavar="auto|HOST:PORT", help="a running Ray cluster; without it Ray starts on this machine"
    )
    group.add_argument(
        "--storage",
        type=_name_or_path,
        metavar="PATH|URI",
        help="a place that all nodes of the cluster can reach; trials are kept there",
    )


def _add_study_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--study", metavar="NAME", help="name of the study (default: the cohort's and six random digits)"
    )
    group.add_argument("--resume", action="store_true", help="resume an interrupted study")
    group.add_argument(
        "--plan", action="store_true", help="print how the budget would be divided, and stop; reads no participant"
    )
    group.add_argument(
        "--dashboard",
        action=argparse.BooleanOptionalAction,
        help="serve Optuna's dashboard of the study on this machine while it runs, to whoever has the address with its "
        "token (default: for public cohorts only)",
    )
    group.add_argument(
        "--release-anyway",
        action="store_true",
        help="end with status 0, not 3, though the release strays from what was measured further than noise explains: "
        "it is written either way, and says so; and release what there is though most trials failed for good",
    )
    group.add_argument("--out", type=_path, default=RESULTS, metavar="DIR", help="where studies are written")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read a command line; argparse itself ends a malformed one with status 2."""
    return parser().parse_args(arguments)
