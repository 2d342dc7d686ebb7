from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial
from rich.console import Console

from tuner import terminal
from tuner.terminal import ScoreNoise, StudyView, best_epochs_table, clock

FREE = ScoreNoise(None)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    return clock


def trial(name: str, status: str, epoch: int = 0, auc: float = 0.5, planned_epochs: int = 40) -> Trial:
    made = Trial("toy", stub=True, trial_id=name)
    made.status = status
    if epoch:
        made.update_last_result(report(epoch, auc, planned_epochs))
    return made


def report(epoch: int, auc: float, planned_epochs: int = 40) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "planned_epochs": planned_epochs,
        "score": auc,
        "auc_logistic_regression": auc + 0.01,
        "auc_random_forest": auc - 0.01,
        "epsilon": epoch / 20,
    }


def console(terminal: bool, width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=40, color_system=None)


def output(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def shown(trials: list[Trial], best: dict[str, Any] | None = None, **options: Any) -> list[str]:
    """Lines of the live view of a study of 10 trials."""
    to = console(terminal=False)
    view = StudyView("first", 10, to, **options)
    view.on_step_begin(0, trials)
    if best:
        view.on_trial_result(0, trials, trials[0], best)
    to.print(view.render([terminal.TrialView.of(trial) for trial in trials]))
    return [line.rstrip() for line in output(to).splitlines()]


def test_a_trial_in_training_is_shown_with_its_epochs_aucs_and_epsilon():
    (row,) = [line for line in shown([trial("aaa", Trial.RUNNING, 9, 0.8)]) if line.startswith("aaa")]
    assert row.split() == ["aaa", "training", "9/40", "0.810", "0.790", "0.45", "0.800"]


@pytest.mark.parametrize(
    ("status", "epoch", "planned", "state"),
    [
        (Trial.TERMINATED, 3, 40, "stopped early"),
        (Trial.TERMINATED, 40, 40, "finished"),
        (Trial.TERMINATED, 17, 17, "finished"),
        (Trial.ERROR, 3, 40, "failed"),
        (Trial.RUNNING, 0, 40, "training"),
    ],
)
def test_a_trial_is_called_what_became_of_it(status, epoch, planned, state):
    (row,) = [line for line in shown([trial("aaa", status, epoch, 0.8, planned)]) if line.startswith("aaa")]
    assert state in row


def test_trials_in_training_come_first_then_the_best_and_no_more_than_fit():
    trials = [trial(f"end{number}", Trial.TERMINATED, 40, number / 10) for number in range(10)]
    lines = shown([*trials, trial("run", Trial.RUNNING, 1, 0.1)], rows=4)
    names = [line.split()[0] for line in lines if line.startswith(("run", "end"))]
    assert names == ["run", "end9", "end8", "end7"]


def test_the_best_epoch_is_named_with_both_aucs_and_its_epsilon():
    lines = shown([trial("aaa", Trial.RUNNING, 9, 0.8)], best=report(9, 0.8))
    assert "best score 0.800: trial aaa, epoch 9, logistic regression 0.810, random forest 0.790, epsilon 0.45" in lines


def test_beside_a_score_that_was_bought_stands_the_standard_deviation_of_its_noise():
    lines = shown([trial("aaa", Trial.RUNNING, 9, 0.8)], best=report(9, 0.8), score_noise_sd=0.02)
    of_aucs = "logistic regression 0.810 ± 0.02, random forest 0.790 ± 0.02"
    assert f"best score 0.800 ± 0.014: trial aaa, epoch 9, {of_aucs}, epsilon 0.45" in " ".join(lines)
    heading = lines[next(number for number, line in enumerate(lines) if line.startswith("aaa")) - 1]
    assert heading.split() == ["trial", "epoch", "±", "0.02", "±", "0.02", "epsilon", "±", "0.014"]


def test_the_best_epochs_of_a_release_have_the_noise_of_their_scores_over_them():
    scores = {"auc_logistic_regression": 0.91, "auc_random_forest": 0.93}
    epoch = SimpleNamespace(trial_id="aaa", epoch=9, scores=scores, epsilon=2.5)
    to = console(terminal=False)
    to.print(best_epochs_table([SimpleNamespace(epoch=epoch, selected_by="random_forest")], ScoreNoise(0.02)))  # type: ignore[list-item]
    assert output(to).splitlines()[3].split()[:6] == ["trial", "epoch", "±", "0.02", "±", "0.02"]


def test_beside_a_score_that_was_free_stands_nothing():
    assert not any("±" in line for line in shown([trial("aaa", Trial.RUNNING, 9, 0.8)], best=report(9, 0.8)))


def test_noise_can_be_said_in_ascii():
    assert (ScoreNoise(0.02, "ascii").auc, ScoreNoise(0.00031, "ascii").auc) == ("+- 0.02", "+- 0.00031")


def test_ended_trials_are_counted_by_how_they_ended():
    trials = [
        trial("a", Trial.TERMINATED, 40),
        trial("b", Trial.TERMINATED, 1),
        trial("c", Trial.TERMINATED, 3),
        trial("d", Trial.ERROR),
        trial("e", Trial.RUNNING),
    ]
    (line,) = [line for line in shown(trials) if "trials ended" in line]
    assert "4 of 10 trials ended (1 training, 1 finished, 2 stopped early, 1 failed)" in line


def test_the_time_left_follows_from_the_share_done(time):
    to = console(terminal=False)
    view = StudyView("first", 4, to)
    view.setup()
    view.on_step_begin(0, [trial("a", Trial.RUNNING)])
    time.now_s += 60
    view.on_step_end(1, [trial("a", Trial.TERMINATED, 40), trial("b", Trial.RUNNING)])
    assert "0:01:00 elapsed, about 0:03:00 left" in output(to)


def test_a_resumed_study_judges_the_time_left_by_what_it_did_since(time):
    to = console(terminal=False)
    view = StudyView("first", 4, to)
    view.setup()
    before = [trial("a", Trial.TERMINATED, 40), trial("b", Trial.TERMINATED, 40), trial("c", Trial.RUNNING)]
    view.on_step_begin(0, before)
    time.now_s += 60
    view.on_step_end(1, [*before[:2], trial("c", Trial.TERMINATED, 40)])
    assert "about 0:01:00 left" in output(to)


def test_outside_a_terminal_a_trial_that_ends_is_a_plain_line(time):
    to = console(terminal=False)
    view = StudyView("first", 4, to)
    view.setup()
    running, ended = trial("a", Trial.RUNNING, 3, 0.8), trial("a", Trial.TERMINATED, 3, 0.8)
    view.on_trial_result(0, [running], running, report(3, 0.8))
    view.on_trial_complete(0, [ended], ended)
    view.on_step_end(1, [ended])
    assert output(to).splitlines()[0] == (
        "trial a stopped early after epoch 3/40: logistic regression 0.810, random forest 0.790, epsilon 0.15"
    )
    assert "1 of 4 trials ended (1 stopped early), best score 0.800" in output(to).splitlines()[1]
    assert "\x1b" not in output(to)


def test_a_trial_whose_budget_ran_out_is_said_to_have_ended_by_that(time):
    to = console(terminal=False)
    view = StudyView("first", 4, to)
    ended = trial("a", Trial.TERMINATED, 3)
    ended.run_metadata.last_result = {"epoch": 3, "planned_epochs": 40, "epsilon": 0.15, "out_of_budget": True}
    view.on_trial_complete(0, [ended], ended)
    view.on_step_end(1, [ended])
    assert output(to).splitlines()[0] == (
        "trial a stopped early after epoch 3/40: epsilon 0.15, the budget allowed no more"
    )


def test_outside_a_terminal_the_last_trial_is_said_even_when_no_step_follows(time):
    to = console(terminal=False)
    view = StudyView("first", 1, to)
    ended = trial("a", Trial.TERMINATED, 40, 0.9)
    view.on_trial_result(0, [ended], ended, report(40, 0.9))
    view.on_trial_complete(0, [ended], ended)
    view.on_experiment_end([ended])
    first, last = output(to).splitlines()
    assert "trial a finished" in first and "1 of 1 trials ended (1 finished), best score 0.900" in last


def test_outside_a_terminal_the_last_line_has_the_best_score_of_all(time):
    to = console(terminal=False)
    view = StudyView("first", 2, to)
    first, second = trial("a", Trial.TERMINATED, 40, 0.7), trial("b", Trial.TERMINATED, 40, 0.9)
    view.on_trial_result(0, [first, second], first, report(40, 0.7))
    view.on_trial_complete(0, [first, second], first)
    view.on_step_end(1, [first, second])
    view.on_trial_result(2, [first, second], second, report(40, 0.9))
    view.on_experiment_end([first, second])
    assert "best score 0.900" in output(to).splitlines()[-1]
    assert output(to).count("trial a") == 1


def test_outside_a_terminal_a_long_wait_says_one_line_a_minute(time):
    to = console(terminal=False)
    view = StudyView("first", 4, to)
    view.setup()
    for _ in range(300):
        time.now_s += 1
        view.on_step_end(1, [trial("a", Trial.RUNNING)])
    assert len(output(to).splitlines()) == 5


def test_in_a_terminal_the_view_is_drawn_in_place_and_taken_down(time):
    to = console(terminal=True)
    view = StudyView("first", 4, to)
    view.setup()
    time.now_s += 1
    view.on_step_end(1, [trial("aaa", Trial.RUNNING, 9, 0.8)])
    assert "study first" in output(to)
    assert "9/40" in output(to)
    view.on_experiment_end([])
    view.close()
    assert output(to).endswith("\x1b[2K"), "the lines of the view are erased"


def test_a_failed_trial_says_why(tmp_path):
    to = console(terminal=False)
    (tmp_path / "error.txt").write_text("Traceback:\n  [/somewhere]\nValueError: width [0] is no width\n")

    told = SimpleNamespace(trial_id="aaa", error_file=str(tmp_path / "error.txt"), path="results/first/trials/aaa")
    StudyView("first", 4, to).on_trial_error(0, [], told)  # type: ignore[arg-type]
    assert "trial aaa failed: ValueError: width [0] is no width" in output(to)
    assert "results/first/trials/aaa/error.txt" in output(to)


def test_an_epoch_picked_by_both_classifiers_takes_one_row():
    scores = {"auc_logistic_regression": 0.91, "auc_random_forest": 0.93}
    both = SimpleNamespace(trial_id="aaa", epoch=9, scores=scores, epsilon=2.5)
    one = SimpleNamespace(trial_id="bbb", epoch=27, scores=scores, epsilon=3.4)
    picks = [
        SimpleNamespace(epoch=epoch, selected_by=classifier)
        for epoch, classifier in ((both, "random_forest"), (one, "random_forest"), (both, "logistic_regression"))
    ]
    to = console(terminal=False)
    to.print(best_epochs_table(picks, FREE))  # type: ignore[arg-type]
    rows = [line.split() for line in output(to).splitlines()[3:]]
    assert rows == [
        ["aaa", "9", "0.910", "0.930", "2.50", "both"],
        ["bbb", "27", "0.910", "0.930", "3.40", "random", "forest"],
    ]


def test_where_no_trial_read_anybody_its_misfit_stands_in_place_of_its_epsilon():
    scores = {"auc_logistic_regression": 0.91, "auc_random_forest": 0.93, "misfit": 1.204}
    pick = SimpleNamespace(
        epoch=SimpleNamespace(trial_id="aaa", epoch=9, scores=scores, epsilon=0.0), selected_by="random_forest"
    )
    to = console(terminal=False)
    to.print(best_epochs_table([pick], FREE))  # type: ignore[list-item]
    *_, heading, row = output(to).splitlines()
    assert "misfit" in heading and "epsilon" not in output(to)
    assert row.split() == ["aaa", "9", "0.910", "0.930", "1.20", "random", "forest"]
    running = trial("aaa", Trial.RUNNING, 9, 0.8)
    running.run_metadata.last_result |= {"misfit": 1.204, "epsilon": 0.0}
    lines = shown([running])
    (row,) = [line for line in lines if line.startswith("aaa")]
    assert row.split() == ["aaa", "training", "9/40", "0.810", "0.790", "1.20", "0.800"]
    assert any("misfit" in line for line in lines) and not any("epsilon" in line for line in lines)


def test_without_a_label_there_is_no_auc_and_the_misfit_is_shown():
    pick = SimpleNamespace(
        epoch=SimpleNamespace(trial_id="aaa", epoch=9, scores={"misfit": 1.204}, epsilon=0.0), selected_by="misfit"
    )
    to = console(terminal=False)
    to.print(best_epochs_table([pick], FREE))  # type: ignore[list-item]
    assert "AUC" not in output(to) and output(to).splitlines()[-1].split() == ["aaa", "9", "1.20", "misfit"]
    running = trial("aaa", Trial.RUNNING, 9, 0.8)
    report = {"epoch": 9, "planned_epochs": 40, "score": -0.06, "misfit": 1.204, "epsilon": 0.0}
    running.run_metadata.last_result = report
    lines = shown([running], labelled=False)
    assert not any("AUC" in line for line in lines) and any("misfit" in line for line in lines)
    assert any("1.204" in line for line in lines)


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05")])
def test_a_duration_reads_as_a_clock(seconds, said):
    assert clock(seconds) == said
