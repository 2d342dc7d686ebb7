"""A study from Python is the command's study: the example of the documentation, executed."""

import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from ray.tune import Callback, ResultGrid
from ray.tune.experiment import Trial

from analysis import AnalysisError
from analysis.more import draw_participants
from analysis.verifying import verify_release
from cohorts import CohortError
from privacy.policies import policies
from tests.blank_pictures import blank_pictures
from tests.tuner.commands import nobody_watches
from tuner import Study
from tuner.api import Options
from tuner.callbacks import PaidFor, paid_for, watched_by
from tuner.errors import StudyError
from tuner.options import parser

PAGE = Path(__file__).parent.parent.parent / "docs" / "api.md"
OF_RAY = {"time_total_s", "time_this_iter_s", "timestamp", "date", "hostname", "node_ip", "pid", "checkpoint_dir_name"}


class Listening(Callback):
    """Keeps every report that it is handed."""

    def __init__(self) -> None:
        self.reports: list[dict] = []
        self.trials: list[list[Trial]] = []
        self.told: list[str] = []

    def on_trial_start(self, iteration, trials, trial, **info):
        self.trials.append([trial, *trials])

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.reports.append(result)
        self.trials.append([trial, *trials])

    def on_trial_complete(self, iteration, trials, trial, **info):
        self.told.append(trial.trial_id)

    def on_checkpoint(self, iteration, trials, trial, checkpoint, **info):
        raise AssertionError("a checkpoint was handed over")


@pytest.fixture(scope="module")
def example(shared_ray, tmp_path_factory):
    """What there is after the page's example was executed, on a Ray that tests share."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict = {}
    folder = tmp_path_factory.mktemp("api")
    listening = Listening()
    run = Study.run
    with pytest.MonkeyPatch.context() as patch, shared_ray.let_in() as address, chdir(folder), blank_pictures():
        patch.setattr("tuner.study.dashboards", nobody_watches)
        patch.setattr(
            Study,
            "run",
            lambda study, callbacks=(): run(study, [*callbacks, listening], address=address),
        )
        exec(code.replace('study="from-python"', 'study="from-python", cpus_per_trial=0.5'), names)
        yield {**names, "listening": listening, "folder": folder, "address": address}


def test_the_example_runs_to_a_release_that_holds(example):
    study, release = example["study"], example["release"]
    assert verify_release(release.path).manifest == release.manifest
    assert release.manifest.study == "from-python" and release.manifest.epsilon == 3
    assert len(release.tables()["participants"]) == release.manifest.participants == 2100
    assert study.directory.path.resolve() == (example["folder"] / "results" / "from-python").resolve()


def test_the_results_are_ray_tunes_own_and_the_table_is_optunas(example):
    results, table = example["results"], example["table"]
    assert isinstance(results, ResultGrid) and len(results) == len(table) == 4
    assert {"number", "value_best_score", "state"} <= set(table.columns)
    best = table.loc[table["value_best_score"].idxmax()]
    assert best["value_best_score"] == pytest.approx(max(example["best"].scores.values()))
    assert results.get_best_result().metrics["trial_id"] == best["user_attrs_tune_trial"]


def test_a_callback_hears_of_every_report_and_is_handed_what_was_paid_for_alone(example):
    reports = example["listening"].reports
    assert {report["trial_id"] for report in reports} == set(example["best"].scores)
    assert all("score" in report and report["epoch"] >= 0 for report in reports)
    assert not OF_RAY & set().union(*reports)
    assert len(example["listening"].told) == 4


def test_the_plan_is_that_of_the_study_that_was_run(example):
    assert example["study"].directory.declared_plan().plan == example["plan"]


def test_more_participants_of_a_rarer_class_are_drawn_like_those_of_the_release(example):
    folder, manifest = draw_participants(example["study"].directory, 1500, "event", seed=7)
    drawn = pd.read_parquet(next(folder.glob("*.parquet")))
    assert len(drawn) == 1500 and set(drawn["cens"]) == {1} and verify_release(folder).manifest == manifest
    released = example["participants"][example["participants"]["cens"] == 1]
    for measure in ("cd40", "cd420", "age"):
        error = released[measure].std() / len(released) ** 0.5
        assert abs(drawn[measure].mean() - released[measure].mean()) < 4 * error


def test_a_study_that_has_ended_is_gone_on_with_and_its_release_stays(example):
    before = example["release"].manifest
    again = Study.resume(example["folder"] / "results" / "from-python")
    again.run()
    assert again.release.manifest == before


@pytest.mark.parametrize("callbacks", [[print], [dict], [Callback]], ids=str)
def test_what_is_no_callback_is_refused_before_anything_is_read(tmp_path, callbacks):
    study = Study(cohort="actg175", study="with-callbacks", out=tmp_path)
    with pytest.raises(StudyError, match="callback"):
        study.run(callbacks=callbacks)
    assert not list(tmp_path.iterdir())


def test_a_study_of_that_name_is_not_begun_twice(example):
    with chdir(example["folder"]), pytest.raises(StudyError, match="A study named from-python is already at"):
        Study(cohort="actg175", study="from-python").plan()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"epsilon": -1}, StudyError, "--epsilon -1.0 is not a privacy budget"),
        ({"epsilon": 1e9}, StudyError, "above 1000 nothing is promised"),
        ({"trials": "many"}, StudyError, "--trials: invalid int value: 'many'"),
        ({"engine": "steam"}, StudyError, "--engine: invalid choice"),
        ({"cohort": "nowhere"}, CohortError, "There is no cohort named 'nowhere'"),
        ({"epslon": 1}, TypeError, "no option 'epslon'. Is 'epsilon' meant?"),
    ],
)
def test_mistakes_raise_what_the_command_says(tmp_path, options, error, said):
    with pytest.raises(error, match=re.escape(said)):
        Study(**options, out=tmp_path / "out").plan()
    assert not (tmp_path / "out").exists()


def test_every_option_of_a_study_on_the_command_line_is_one_from_python():
    elsewhere = {"help", "resume", "plan", "release_anyway", "address", "dashboard"}  # methods, and arguments of run
    assert set(Options.__annotations__) == {action.dest for action in parser()._actions} - elsewhere


def test_there_is_nothing_to_resume_and_no_release_where_no_study_is(tmp_path):
    with pytest.raises(StudyError, match="There is no study gone in"):
        Study.resume(tmp_path / "gone").run()
    with pytest.raises(AnalysisError, match="There is no release"):
        _ = Study(study="gone", out=tmp_path).release
    with pytest.raises(StudyError, match="has no name yet"):
        _ = Study(out=tmp_path).directory


def test_a_drawn_name_stays_when_a_planned_study_is_planned_again(tmp_path):
    study = Study(cohort="actg175", policy="unaccounted", out=tmp_path)
    study.plan()
    name = study.directory.name
    study.plan()
    assert study.directory.name == name and name.startswith("actg175-")


def test_no_callback_of_a_private_cohort_is_handed_scores_that_nothing_pays_for():
    for policy in policies():
        if policy.declares_budget:
            assert len(watched_by([Listening()], policy, public=False)) == 1
        else:
            with pytest.raises(StudyError, match=f"Under the policy {policy.name} scores"):
                watched_by([Listening()], policy, public=False)
            assert watched_by([], policy, public=False) == []
            assert len(watched_by([Listening()], policy, public=True)) == 1


def test_a_value_that_a_trial_reports_without_being_asked_is_not_handed_on():
    listening = Listening()
    report = {"score": 0.7, "epoch": 3, "discriminator_loss": 0.1, "time_total_s": 12.0, "training_iteration": 1}
    trial = Trial("DPGANTrial", stub=True, config={"clip_norm": 1.0})
    trial.run_metadata.last_result = report
    trial.run_metadata.update_metric("discriminator_loss", 0.1)
    handed_on = PaidFor(listening)
    handed_on.on_trial_start(1, [trial], trial)
    handed_on.on_trial_result(1, [trial], trial, report)
    paid = {"score": 0.7, "epoch": 3, "training_iteration": 1}
    assert listening.reports == [paid] == [paid_for(report)]
    (first, also), (shown, among) = listening.trials
    assert shown is among is first is also and shown is not trial  # loggers tell trials apart by which object it is
    assert (str(shown), shown.trial_id, shown.config) == (str(trial), trial.trial_id, trial.config)
    assert shown.last_result == paid and not shown.metric_analysis and shown.checkpoint is None
    assert trial.last_result == report


def test_importing_the_tuner_brings_neither_ray_nor_pytorch_and_starts_nothing():
    code = "import sys\nfrom tuner import Study\nStudy(epsilon=2)\nassert not {'ray', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PAGE.parent.parent)
