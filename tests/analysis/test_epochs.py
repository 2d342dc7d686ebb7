import json
import math
import pickle
from pathlib import Path

import pytest
import ray
from ray.tune import ExperimentAnalysis

from analysis import AnalysisError
from analysis.epochs import releasable_epochs, scored_epochs
from analysis.selection import select
from cohorts import resolve_schema
from privacy.planning.allocation import DeclaredPlan
from privacy.policies import policy_named
from tests.analysis.conftest import FAILING, STOPPED, change_settings
from trainables.extensions import ExtensionError
from trainables.generators import load_generator
from trainables.service.trials import PICKLED, DPGANTrial
from trainables.trial_log import Ended, SavedEpoch, TrialLog


def gathered(study):
    return scored_epochs(study, study.settings(), resolve_schema(study.settings().cohort))


def by_clip_norm(epochs):
    found = {}
    for epoch in epochs:
        found.setdefault(epoch.config["clip_norm"], []).append(epoch.epoch)
    return found


def test_every_scored_epoch_is_found_also_of_trials_that_stopped_early_or_failed(study):
    assert by_clip_norm(gathered(study)) == {FAILING: [1], STOPPED: [1], 1.0: [1, 2], 1.1: [1, 2]}


def test_gathering_starts_no_cluster(study):
    gathered(study)
    assert not ray.is_initialized()


def test_each_epoch_has_its_own_generator_and_scores(study):
    epochs = gathered(study)
    assert len({epoch.checkpoint.path for epoch in epochs}) == len(epochs)
    for epoch in epochs:
        assert load_generator(study.path / epoch.checkpoint.path)
        assert {"auc_random_forest", "auc_logistic_regression", "score"} <= epoch.scores.keys()
    first, second = [epoch for epoch in epochs if epoch.config["clip_norm"] == 1.0]
    assert 0 < first.epsilon < second.epsilon
    assert (first.training.count, second.training.count) == (10, 20)


def test_where_the_classifiers_of_a_study_are_not_installed_the_sentence_names_them(study):
    settings, plan = study.settings(), study.declared_plan().plan
    planned = plan.model_copy(update={"scored_by": ("naive_bayes", "random_forest")})
    study.plan_file.write_text(DeclaredPlan(plan=planned, allocation=None).model_dump_json())
    stage = policy_named(settings.policy).stages(study.declared_plan())[-1]
    with pytest.raises(ExtensionError, match=r"adds naive_bayes and uninstall the package that adds logistic_reg"):
        releasable_epochs(study, settings, resolve_schema(settings.cohort), stage)


def test_a_line_cut_short_says_nothing_and_the_others_what_they_said(study):
    before = gathered(study)
    log = TrialLog(study.trial_log())
    written = log.file.read_bytes()
    log.file.write_bytes(written + b'{"trial": "x", "fol')
    assert [(e.trial_id, e.epoch) for e in gathered(study)] == [(e.trial_id, e.epoch) for e in before]
    log.append(Ended(trial="x", ended="failed"))
    assert [line for line in log.lines() if line.trial == "x"] == [Ended(trial="x", ended="failed")]


def test_an_epoch_that_was_redone_counts_as_what_it_was_at_last(study):
    log = TrialLog(study.trial_log())
    first = next(line for line in log.lines() if isinstance(line, SavedEpoch))
    log.append(first.model_copy(update={"report": {**first.report, "auc_random_forest": 0.123}}))
    (again,) = [e for e in gathered(study) if (e.trial_id, e.epoch) == (first.trial, first.report["epoch"])]
    assert again.scores["auc_random_forest"] == 0.123


def test_a_trial_whose_budget_ran_out_keeps_the_scores_of_the_epoch_it_came_to(study):
    before, log = gathered(study), TrialLog(study.trial_log())
    for line in [line for line in log.lines() if isinstance(line, SavedEpoch)]:  # its last report repeats no AUC
        unscored = {name: value for name, value in line.report.items() if not name.startswith("auc_")}
        log.append(line.model_copy(update={"report": unscored}))
    assert [(e.trial_id, e.epoch, e.scores) for e in gathered(study)] == [
        (e.trial_id, e.epoch, e.scores) for e in before
    ]


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_are_logged_all_the_same(tmp_path, number):
    log = TrialLog(tmp_path / "trials.jsonl")
    log.append(SavedEpoch(trial="a", folder="a", checkpoint="c", config={"noise": number}, report={"epsilon": number}))
    (line,) = log.lines()
    assert str(line.report["epsilon"]) == str(line.config["noise"]) == str(number)


@pytest.mark.parametrize("folder", ["..", "../../elsewhere", "/etc", "a/b", ""])
def test_a_log_names_no_folder_but_its_own(study, folder):
    text = study.trial_log().read_text()
    line = json.loads(text.splitlines()[0])
    study.trial_log().write_text(json.dumps({**line, "folder": folder}) + "\n" + text)
    with pytest.raises(AnalysisError, match=r"line 1 of .*trials.jsonl is none that"):
        gathered(study)


class Marks:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_pickles_in_a_study_somebody_sent_are_not_opened(study, tmp_path):
    before, mark = gathered(study), tmp_path / "mark"
    (state,) = study.trials.glob("experiment_state-*.json")
    hidden = {"_type": "CLOUDPICKLE_FALLBACK", "value": pickle.dumps(Marks(mark)).hex()}
    planted = {"checkpoints": [hidden], "trial_data": [[json.dumps(hidden), json.dumps(hidden)]], "runner_data": hidden}
    state.write_text(json.dumps(planted))
    with pytest.raises(Exception):  # noqa: B017 -- whatever comes of it
        ExperimentAnalysis(str(study.trials))
    assert mark.exists(), "it would be run where Tune reads it"
    mark.unlink()
    for name in ("callback-states-2999-01-01_10-00-00.pkl", "searcher-state-2999-01-01_10-00-00.pkl", "tuner.pkl"):
        (study.trials / name).write_bytes(pickle.dumps(Marks(mark)))
    for folder in study.trials.glob("*/checkpoint_*"):
        (folder / PICKLED).write_bytes(pickle.dumps(Marks(mark)))
        (folder.parent / "error.pkl").write_bytes(pickle.dumps(Marks(mark)))
    assert [(e.trial_id, e.epoch) for e in gathered(study)] == [(e.trial_id, e.epoch) for e in before]
    assert not mark.exists()


def test_a_trial_goes_on_from_no_checkpoint_that_ray_would_unpickle(study, tmp_path):
    epoch, mark = gathered(study)[0], tmp_path / "mark"
    Path(epoch.checkpoint.path, PICKLED).write_bytes(pickle.dumps(Marks(mark)))
    with pytest.raises(RuntimeError, match="which no trial writes"):
        DPGANTrial.restore(object.__new__(DPGANTrial), epoch.checkpoint)
    assert not mark.exists()


def test_an_epoch_whose_generator_was_not_written_is_left_out(study):
    first, *others = gathered(study)
    (study.path / first.checkpoint.path / "generator.pt").unlink()
    assert [(e.trial_id, e.epoch) for e in gathered(study)] == [(e.trial_id, e.epoch) for e in others]


def test_an_unfinished_study_is_refused_and_says_how_to_go_on(study):
    change_settings(study, trials=6)
    with pytest.raises(AnalysisError, match=r"2 of its 6 trials have not ended.*--study small --resume"):
        gathered(study)


def test_a_study_whose_log_is_gone_is_refused(study):
    study.trial_log().unlink()
    with pytest.raises(AnalysisError, match=r"cannot be read: .*trials.jsonl: No such file"):
        gathered(study)


def test_a_study_whose_trials_are_gone_has_nothing_to_release(study):
    change_settings(study, storage=str(study.path / "elsewhere"))
    with pytest.raises(AnalysisError, match=r"nothing to release.*elsewhere"):
        gathered(study)


def test_a_study_without_any_generator_has_nothing_to_release(study):
    for file in study.trials.glob("*/checkpoint_*/generator.pt"):
        file.unlink()
    with pytest.raises(AnalysisError, match="nothing to release"):
        gathered(study)


def test_fewer_scored_epochs_than_picks_are_all_picked(study):
    selection = select(gathered(study))
    assert [pick.selected_by for pick in selection.picks].count("random_forest") == 5
    assert len(select(gathered(study), per_classifier=50).picks) == 12
