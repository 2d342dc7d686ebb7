import json
from datetime import UTC, datetime

import pytest

from analysis import AnalysisError, StudyDirectory, StudySettings

SETTINGS = StudySettings(
    study="first",
    cohort="sprint",
    search_space="default",
    policy="unaccounted",
    epsilon=3.5,
    delta=1e-5,
    trials=24,
    max_epochs=40,
    engine="opacus",
    cpus_per_trial=0.5,
    created=datetime.now(UTC),
    versions={"ray": "2.60"},
)


def test_settings_are_read_back_as_they_were_written(tmp_path):
    SETTINGS.write(tmp_path / "first")
    assert StudyDirectory(tmp_path / "first").settings() == SETTINGS


def test_a_study_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AnalysisError, match=r"no study at .*nowhere"):
        StudySettings.read(tmp_path / "nowhere")


def test_a_directory_without_settings_is_not_a_study(tmp_path):
    with pytest.raises(AnalysisError, match=r"holds no study\.json"):
        StudySettings.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epsilon": -1}, "epsilon"),
        ({"delta": 2}, "delta"),
        ({"policy": "free"}, "policy"),
        ({"colour": "red"}, "colour"),
        ({"ledger": ""}, "ledger"),
    ],
)
def test_settings_that_were_tampered_with_are_named(tmp_path, change, named):
    file = SETTINGS.write(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(AnalysisError, match=rf"study\.json: {named}"):
        StudySettings.read(tmp_path)


def test_settings_cut_short_are_unreadable(tmp_path):
    file = SETTINGS.write(tmp_path)
    file.write_text(file.read_text()[:50])
    with pytest.raises(AnalysisError, match=r"study\.json"):
        StudySettings.read(tmp_path)


def test_trials_lie_in_the_study_or_in_the_given_storage(tmp_path):
    directory = StudyDirectory(tmp_path / "first")
    assert directory.experiment(SETTINGS) == str(directory.trials)
    elsewhere = SETTINGS.model_copy(update={"storage": "s3://bucket/studies/"})
    assert directory.experiment(elsewhere) == "s3://bucket/studies/first/trials"
