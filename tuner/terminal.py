"""What a person sees of a running study: a live table in a terminal, occasional lines elsewhere."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainables.scoring import steering

if TYPE_CHECKING:
    from analysis.selection import Selected

REFRESHES_PER_S = 4
LINE_EVERY_S = 60
MISFIT = "misfit"
# Below this much of the study done, a guess at the time left is not worth showing.
SHARE_TO_JUDGE_BY = 0.02

TRAINING, WAITING, STOPPED, FINISHED, FAILED = "training", "waiting", "stopped early", "finished", "failed"
COLOURS = {TRAINING: "cyan", WAITING: "dim", STOPPED: "yellow", FINISHED: "green", FAILED: "red"}


@dataclass(frozen=True)
class ScoreNoise:
    """The noise of scores that were bought; beside a figure it is shown as ± one standard deviation.

    Args:
        of_auc: standard deviation of each AUC's, before it is cut off at 0 and 1; None where scores carry none.
        encoding: of where it is shown.
    """

    of_auc: float | None
    encoding: str = "utf-8"

    @property
    def auc(self) -> str:
        """Of an AUC, such as ``± 0.02``; empty without noise."""
        return self._words(1)

    @property
    def mean(self) -> str:
        """Of the mean of as many independently noisy AUCs as steer."""
        return self._words(len(steering()))

    def _words(self, aucs: int) -> str:
        if self.of_auc is None:
            return ""
        return f"{self._sign} {self.of_auc / math.sqrt(aucs):.2g}"

    @property
    def _sign(self) -> str:
        try:
            "±".encode(self.encoding)
        except UnicodeEncodeError:
            return "+-"
        return "±"


@dataclass(frozen=True)
class TrialView:
    """One trial as of its last report.

    Args:
        name: Tune's name of the trial, also part of its folder's.
        state: one of the words above.
        report: what it last reported; empty before its first.
        best_score: highest score so far, None before the first report.
    """

    name: str
    state: str
    report: Mapping[str, Any]
    best_score: float | None

    @classmethod
    def of(cls, trial: Trial) -> TrialView:
        """Read a Tune trial."""
        report = trial.run_metadata.last_result
        best = trial.metric_analysis.get("score", {}).get("max")
        return cls(trial.trial_id, _state(trial.status, report), report, best)

    @property
    def ended(self) -> bool:
        """Whether it will report no more."""
        return self.state in (STOPPED, FINISHED, FAILED)

    @property
    def share_done(self) -> float:
        """How much of its work is done, from 0 to 1."""
        if self.ended:
            return 1.0
        epoch, planned = self.report.get("epoch", 0), self.report.get("planned_epochs", 1)
        return float(epoch / max(1, planned))

    @property
    def epochs(self) -> str:
        """Epochs trained of epochs planned."""
        return f"{self.report['epoch']}/{self.report['planned_epochs']}" if "epoch" in self.report else ""


def _state(status: str, report: Mapping[str, Any]) -> str:
    if status == Trial.ERROR:
        return FAILED
    if status == Trial.TERMINATED:
        return STOPPED if report.get("epoch", 0) < report.get("planned_epochs", 0) else FINISHED
    return TRAINING if status == Trial.RUNNING else WAITING


class StudyView(Callback):
    """Shows a study while it runs; to be given to Tune as a callback.

    Args:
        study: the study's name.
        trials: how many trials it will run.
        console: where to show it; lines are printed where it is not a terminal.
        rows: most trials shown at once.
        labelled: whether the cohort has a label; without one there are no AUCs, and misfits are shown.
        score_noise_sd: standard deviation of the noise of each AUC; None where scores carry none.
    """

    def __init__(
        self,
        study: str,
        trials: int,
        console: Console,
        rows: int = 12,
        labelled: bool = True,
        score_noise_sd: float | None = None,
    ) -> None:
        self._study, self._trials, self._console, self._rows = study, trials, console, rows
        self._noise = ScoreNoise(score_noise_sd, console.encoding)
        self._figures = _aucs(self._noise) if labelled else {MISFIT: MISFIT}
        self._live: Live | None = None
        self._best: Mapping[str, Any] = {}
        self._said: Mapping[str, Any] = self._best  # the best of the last line
        self._views: list[TrialView] = []
        self._begun = self._shown = time.monotonic()
        self._share_at_start = 0.0
        self._ended: list[Trial] = []  # trials that ended since the last line

    def setup(self, *arguments: Any, **info: Any) -> None:
        """Called by Tune before the first trial."""
        self._begun = self._shown = time.monotonic()
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Take in what a resumed study did before."""
        if not self._views and trials:
            self._views = [TrialView.of(trial) for trial in trials]
            self._share_at_start = self._share()
            for trial in trials:
                kept = trial.run_metadata.checkpoint_manager
                for saved in kept.best_checkpoint_results if kept else ():
                    self._note(saved.metrics)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep the best epoch."""
        self._note({**result, "trial_id": trial.trial_id})

    def _note(self, report: Mapping[str, Any]) -> None:
        if report.get("score", -math.inf) > self._best.get("score", -math.inf):
            self._best = report

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Remember to say, once Tune has it so, that a trial ended."""
        self._ended.append(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say that a trial failed and why."""
        self._console.print(
            f"[red]trial {trial.trial_id} failed:[/] {escape(_reason(trial))}\n  {escape(trial.path or '')}/error.txt",
            highlight=False,
            soft_wrap=True,
        )

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Show how far the study is, not too often."""
        waited = time.monotonic() - self._shown
        if waited < (1 / REFRESHES_PER_S if self._live else LINE_EVERY_S) and (self._live or not self._ended):
            return
        self._shown = time.monotonic()
        self._views = [TrialView.of(trial) for trial in trials]
        if self._live:
            self._live.update(self.render(self._views), refresh=True)
        else:
            self._say()
        self._ended.clear()

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Leave the terminal as it was; a log has the last trials, which may have ended after the last step."""
        if not self._live and (self._ended or self._best is not self._said):
            self._views = [TrialView.of(trial) for trial in trials]
            self._say()
            self._ended.clear()
        self.close()

    def close(self) -> None:
        """Take the live table down; once more does no harm."""
        if self._live:
            self._live.stop()
            self._live = None

    def _share(self) -> float:
        return sum(view.share_done for view in self._views) / self._trials

    def _times(self) -> str:
        """Time since the start, and a guess at the rest from the share done since then."""
        elapsed = time.monotonic() - self._begun
        done = self._share() - self._share_at_start
        if done < SHARE_TO_JUDGE_BY:
            return f"{clock(elapsed)} elapsed"
        left = elapsed / done * (1 - self._share())
        return f"{clock(elapsed)} elapsed, about {clock(left)} left" if left >= 1 else f"{clock(elapsed)} elapsed"

    def _counts(self) -> str:
        counts = Counter(view.state for view in self._views)
        ended = sum(view.ended for view in self._views)
        parts = [f"{counts[state]} {state}" for state in (TRAINING, FINISHED, STOPPED, FAILED) if counts[state]]
        return f"{ended} of {self._trials} trials ended" + (f" ({', '.join(parts)})" if parts else "")

    def _best_line(self) -> str:
        if not self._best:
            return "no epoch scored yet"
        best = self._best
        epoch = f"trial {best['trial_id']}, epoch {best['epoch']}"
        return f"{self._best_score()}: {epoch}, {_scores(best, self._noise)}"

    def _best_score(self) -> str:
        return " ".join(filter(None, (f"best score {self._best['score']:.3f}", self._noise.mean)))

    def _say(self) -> None:
        """Lines for a log: each trial that ended, then how far the study is."""
        for view in map(TrialView.of, self._ended):
            said = f"trial {view.name} {view.state} after epoch {view.epochs}: {_scores(view.report, self._noise)}"
            self._console.print(said, highlight=False, soft_wrap=True)
        best = self._best_score() if self._best else "no epoch scored yet"
        self._said = self._best
        self._console.print(f"{self._counts()}, {best}, {self._times()}", highlight=False, soft_wrap=True)

    def render(self, views: Sequence[TrialView]) -> RenderableType:
        """The live view.

        Args:
            views: all trials so far.

        Returns:
            Something a rich console can print.
        """
        table = Table(title=f"study {escape(self._study)}", title_justify="left", box=None, pad_edge=False)
        table.add_column("trial", no_wrap=True)
        table.add_column("", no_wrap=True)
        best = "\n".join(filter(None, ("best", "score", self._noise.mean)))
        free = any("misfit" in view.report and not view.report.get("epsilon") for view in views)
        last = [] if free and "misfit" in self._figures else ["misfit" if free else "epsilon"]
        for heading in ("epoch", *self._figures.values(), *last, best):
            table.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
        for view in most_telling(views, min(self._rows, max(1, self._console.height - 10))):
            table.add_row(*_cells(view, self._figures, last), style="dim" if view.state in (STOPPED, FAILED) else "")
        return Group(
            table,
            Text(),
            Text(self._best_line(), style="bold"),
            Padding(ProgressBar(total=1, completed=self._share()), (0, max(0, self._console.width - 80), 0, 0)),
            Text(f"{self._counts()}, {self._times()}"),
        )


def most_telling(views: Sequence[TrialView], rows: int) -> list[TrialView]:
    """The trials worth a row: those training, then the best of the others.

    Args:
        views: all trials.
        rows: how many to give.
    """
    training = [view for view in views if view.state == TRAINING]
    others = [view for view in views if view.state not in (TRAINING, WAITING)]
    others.sort(key=lambda view: view.best_score if view.best_score is not None else -math.inf, reverse=True)
    return [*training, *others][:rows]


def _cells(view: TrialView, shown: Iterable[str], last: Iterable[str]) -> list[str | Text]:
    """A row; where trials read nobody, their misfit stands in place of an epsilon."""
    report = view.report
    figures = [report.get(name) for name in shown]
    return [
        view.name,
        Text(view.state, style=COLOURS[view.state]),
        view.epochs,
        *("" if figure is None else f"{figure:.3f}" for figure in figures),
        *(f"{report[name]:.2f}" if report.get(name) else "" for name in last),
        "" if view.best_score is None else f"{view.best_score:.3f}",
    ]


def _aucs(noise: ScoreNoise) -> dict[str, str]:
    """The heading of each AUC, by its name."""
    return {each.score.name: "\n".join(filter(None, ("AUC", each.short, noise.auc))) for each in steering().values()}


def _scores(report: Mapping[str, Any], noise: ScoreNoise) -> str:
    """The scores of one report in words."""
    words = []
    for each in steering().values():
        if each.score.name in report:
            words.append(" ".join(filter(None, (f"{each.title} {report[each.score.name]:.3f}", noise.auc))))
    if "misfit" in report:
        words.append(f"misfit {report['misfit']:.2f}")
    if report.get("epsilon"):
        words.append(f"epsilon {report['epsilon']:.2f}")
    if "out_of_budget" in report:
        words.append("the budget allowed no more")
    return ", ".join(words) or "not scored"


def _reason(trial: Trial) -> str:
    """The last line of a trial's error, where Python says what it was."""
    try:
        lines = Path(trial.error_file or "").read_text().split("\n")
    except OSError:
        return "no reason was recorded"
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason was recorded")


def clock(seconds: float) -> str:
    """A duration as h:mm:ss."""
    return str(timedelta(seconds=round(seconds)))


def best_epochs_table(picks: Iterable[Selected], noise: ScoreNoise) -> Table:
    """The epochs a release is made of.

    Args:
        picks: epochs with the classifier that picked each; one picked by both takes one row.
        noise: of their AUCs.

    Returns:
        A table to print.
    """
    pickers: dict[tuple[str, int], list[str]] = {}
    epochs = {}
    for pick in picks:
        key = (pick.epoch.trial_id, pick.epoch.epoch)
        pickers.setdefault(key, []).append(pick.selected_by.replace("_", " "))
        epochs[key] = pick.epoch
    table = Table(title="Best epochs", title_justify="left", box=None, pad_edge=False)
    costs = any(
        epoch.epsilon for epoch in epochs.values()
    )  # no trial reads anybody where participants are measured once
    aucs = {name: said for name, said in _aucs(noise).items() if any(name in epoch.scores for epoch in epochs.values())}
    for heading in ("trial", "epoch", *aucs.values(), "epsilon" if costs else MISFIT, "picked by"):
        left = heading in ("trial", "picked by")
        table.add_column(heading, justify="left" if left else "right", vertical="bottom", no_wrap=True)
    for key, epoch in epochs.items():
        table.add_row(
            epoch.trial_id,
            str(epoch.epoch),
            *(f"{epoch.scores[name]:.3f}" for name in aucs),
            f"{epoch.epsilon if costs else epoch.scores.get(MISFIT, math.nan):.2f}",
            pickers[key][0] if len(pickers[key]) == 1 else "both",
        )
    return table
