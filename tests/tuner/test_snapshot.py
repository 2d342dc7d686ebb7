from __future__ import annotations

from pathlib import Path

import pytest

from tuner.asha import StudyASHA
from tuner.errors import StudyError
from tuner.snapshot import STATE_FILES, Snapshots, put_back, seal_of


class Controller:
    """Stands in for Tune's, which writes its state to files named after the start of the run."""

    def __init__(self, staging: Path) -> None:
        self.experiment_state_path = str(staging / "experiment_state-2026-01-01_10-00-00.json")
        self._staging = staging
        self.moment = 0
        self.saved = 0

    def save_to_dir(self) -> None:
        self.saved += 1
        for name in STATE_FILES:
            (self._staging / name.replace("*", "2026-01-01_10-00-00")).write_text(f"moment {self.moment}")
        (self._staging / "searcher-state-2025-12-31_10-00-00.pkl").write_text("of an earlier run")


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    (tmp_path / "staging").mkdir()
    return Controller(tmp_path / "staging")


@pytest.fixture
def snapshots(controller: Controller, tmp_path: Path) -> Snapshots:
    scheduler = StudyASHA(9)
    scheduler.controller = controller  # type: ignore[assignment]
    return Snapshots(scheduler, tmp_path / "trials.snapshot", seal())


def seal():
    return seal_of("mine", "trials")


def restored(file: Path, experiment: Path) -> dict[str, str]:
    put_back(file, str(experiment), seal())
    return {path.name: path.read_text() for path in sorted(experiment.iterdir())}


def test_a_snapshot_is_taken_when_a_trial_comes_and_when_one_has_saved_and_not_otherwise(snapshots, controller):
    snapshots.on_step_end(0, [])
    assert controller.saved == 0
    snapshots.on_step_end(1, ["a"])
    snapshots.on_step_end(2, ["a"])
    assert controller.saved == 1
    snapshots.on_trial_save(iteration=2, trials=["a"], trial="a")
    snapshots.on_step_end(3, ["a"])
    snapshots.on_step_end(4, ["a"])
    assert controller.saved == 2


def test_what_is_put_back_is_the_newest_state_and_of_one_moment(snapshots, controller, tmp_path):
    for controller.moment in (1, 2):
        snapshots.on_step_end(0, ["a"] * controller.moment)
    experiment = tmp_path / "trials"
    experiment.mkdir()
    (experiment / "experiment_state-2026-01-01_10-00-00.json").write_text('{"half a fi')
    (experiment / "callback-states-2999-01-01_10-00-00.pkl").write_text("later than the snapshot")
    (experiment / "tuner.pkl").write_text("not a state")
    files = restored(tmp_path / "trials.snapshot", experiment)
    assert files.pop("tuner.pkl") == "not a state"
    assert set(files.values()) == {"moment 2"}
    assert len(files) == len(STATE_FILES)


def test_a_kill_while_saving_leaves_the_last_snapshot(snapshots, controller, tmp_path, monkeypatch):
    controller.moment = 1
    snapshots.on_step_end(0, ["a"])
    controller.moment = 2

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        snapshots.on_step_end(1, ["a", "b"])
    experiment = tmp_path / "trials"
    experiment.mkdir()
    assert set(restored(tmp_path / "trials.snapshot", experiment).values()) == {"moment 1"}


def test_trials_that_were_moved_away_are_told(snapshots, tmp_path):
    snapshots.on_step_end(0, ["a"])
    with pytest.raises(StudyError, match=r"no longer at .*elsewhere"):
        put_back(tmp_path / "trials.snapshot", str(tmp_path / "elsewhere"), seal())


@pytest.mark.parametrize("whose", ["another study's", "another search's", "another user's"])
def test_a_snapshot_that_somebody_else_wrote_is_not_opened(snapshots, tmp_path, whose, monkeypatch):
    snapshots.on_step_end(0, ["a"])
    (tmp_path / "trials").mkdir()
    if whose == "another user's":
        monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "other"))
    ours = seal_of(
        "other" if whose == "another study's" else "mine", "shortlist" if whose == "another search's" else "trials"
    )
    with pytest.raises(StudyError, match="not written by this user's own study"):
        put_back(tmp_path / "trials.snapshot", str(tmp_path / "trials"), ours)
    assert not list((tmp_path / "trials").iterdir())


def test_a_snapshot_shows_nothing_of_the_trials_and_is_its_owners_alone(snapshots, controller, tmp_path):
    controller.moment = 4711
    snapshots.on_step_end(0, ["a"])
    file = tmp_path / "trials.snapshot"
    assert b"4711" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
