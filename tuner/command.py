"""The console script ``dpgan-tune``: every command of the project under one name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Command:
    """What a word stands for.

    Args:
        summary: what it does.
        module: whose ``main`` does it.
        words: given to it before all others.
    """

    summary: str
    module: str
    words: tuple[str, ...] = ()


COMMANDS = {
    "draft": Command(
        "begin a trial's schema from its files' columns; reads no participant", "cohorts.__main__", ("draft",)
    ),
    "check": Command("check a schema against its files", "cohorts.__main__"),
    "plan": Command("show how a study would divide its budget; reads no participant", "tuner.run", ("--plan",)),
    "run": Command("run a study, or go on with one, and write its release", "tuner.run"),
    "analyse": Command("build the release and the report of a finished study", "analysis.__main__", ("build",)),
    "draw": Command("draw more participants from a sealed release, for nothing", "analysis.__main__", ("draw",)),
    "verify": Command("check a release that you were given, or are about to publish", "analysis.__main__", ("verify",)),
    "publication": Command(
        "change the licence or citation that a sealed release states", "analysis.__main__", ("publication",)
    ),
    "paper": Command("draw the SPRINT paper's figures of studies, for a reader too", "analysis.__main__", ("paper",)),
    "score": Command("score the sheet of a blinded reader of these figures", "analysis.__main__", ("score",)),
    "ledger": Command(
        "print and check what was read of a cohort's participants; back up ledgers and restore them", "privacy.__main__"
    ),
    "audit": Command("attack this installation's own code", "analysis.auditing.audit"),
}

HELP = """\
usage: dpgan-tune COMMAND [OPTIONS]

Publish a synthetic copy of a clinical trial, and say honestly what it costs its participants in privacy.

From a trial's files to a release, in this order:
{commands}

example:
  dpgan-tune draft patients.csv visits.csv --out my-trial.yaml
  dpgan-tune check my-trial.yaml
  dpgan-tune plan --cohort my-trial.yaml --epsilon 1
  dpgan-tune run --cohort my-trial.yaml --epsilon 1 --study first --new-ledger
  dpgan-tune verify results/first/release

Without a trial at hand, `dpgan-tune run` searches over a simulated one. Publish results/STUDY/release and nothing else.
`dpgan-tune COMMAND --help` explains a command, under the name that it has as a module or file of Python.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand the words to the command that the first one names; returns its exit status, 2 where there is none."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        command = COMMANDS[words[0]]
        return int(import_module(command.module).main([*command.words, *words[1:]]))
    if words in (["--help"], ["-h"]):
        print(_help(), end="")
        return 0
    print(f"error: {_mistake(words)}\n\n{_help()}", end="", file=sys.stderr)
    return 2


def _help() -> str:
    widest = max(map(len, COMMANDS))
    lines = (f"  {name:{widest}}  {command.summary}" for name, command in COMMANDS.items())
    return HELP.format(commands="\n".join(lines))


def _mistake(words: Sequence[str]) -> str:
    return f"there is no command {words[0]!r}; choose one of these." if words else "say what to do."


if __name__ == "__main__":
    sys.exit(main())
