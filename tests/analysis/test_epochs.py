import pytest
import ray

from analysis import AnalysisError
from analysis.epochs import scored_epochs
from analysis.selection import select
from cohorts import resolve_schema
from tests.analysis.conftest import FAILING, STOPPED, change_settings
from trainables.generators import load_generator


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


def test_a_result_line_cut_short_loses_no_epoch(study):
    before = gathered(study)
    for file in study.trials.glob("*/result.json"):
        file.write_text(file.read_text()[:-20])
    assert [(e.trial_id, e.epoch) for e in gathered(study)] == [(e.trial_id, e.epoch) for e in before]


def test_an_epoch_whose_generator_was_not_written_is_left_out(study):
    first, *others = gathered(study)
    (study.path / first.checkpoint.path / "generator.pt").unlink()
    assert [(e.trial_id, e.epoch) for e in gathered(study)] == [(e.trial_id, e.epoch) for e in others]


def test_an_unfinished_study_is_refused_and_says_how_to_go_on(study):
    change_settings(study, trials=6)
    with pytest.raises(AnalysisError, match=r"2 of its 6 trials have not ended.*--study small --resume"):
        gathered(study)


def test_a_study_whose_trials_are_gone_is_refused(study):
    change_settings(study, storage=str(study.path / "elsewhere"))
    with pytest.raises(AnalysisError, match=r"cannot be read from .*elsewhere"):
        gathered(study)


def test_a_torn_snapshot_is_refused(study):
    (snapshot,) = study.trials.glob("experiment_state-*.json")
    snapshot.write_text(snapshot.read_text()[:1000])
    with pytest.raises(AnalysisError, match="cannot be read from"):
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
