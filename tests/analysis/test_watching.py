"""Optuna's dashboard has the release's figures beside the trials, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
from optuna.artifacts import FileSystemArtifactStore

from analysis import StudyDirectory
from analysis.watching import show_figures


def url(study: StudyDirectory) -> str:
    return f"sqlite:///{study.database}"


@pytest.fixture
def study(tmp_path: Path) -> StudyDirectory:
    """One of two searches, released."""
    directory = StudyDirectory(tmp_path)
    for name in ("first", "first-finalists"):
        optuna.create_study(storage=url(directory), study_name=name)
    for folder, said in ((directory.release, b"synthetic"), (directory.internal, b"real")):
        folder.mkdir()
        (folder / "SBP-synthetic.png").write_bytes(said)
        (folder / f"{said.decode()}.png").write_bytes(said)
        (folder / "table.csv").write_bytes(said)
    return directory


def shown(study: StudyDirectory, name: str = "first-finalists") -> dict[str, bytes]:
    """The artifacts that Optuna's dashboard gives out for a search, by the name of their files."""
    storage = optuna.storages.RDBStorage(url(study))
    application = optuna_dashboard.wsgi(storage, FileSystemArtifactStore(study.artifacts))

    def get(path: str) -> bytes:
        environment = {"PATH_INFO": path, "QUERY_STRING": "after=0", "REQUEST_METHOD": "GET"}
        setup_testing_defaults(environment)
        return b"".join(application(environment, lambda *answered: None))

    number = storage.get_study_id_from_name(name)
    found = json.loads(get(f"/api/studies/{number}"))["artifacts"]
    assert all(each["mimetype"] == "image/png" for each in found)
    return {each["filename"]: get(f"/artifacts/{number}/{each['artifact_id']}") for each in found}


def test_the_dashboard_has_the_releases_figures_and_nothing_of_real_participants(study):
    assert show_figures(study) == ""
    assert shown(study) == {"SBP-synthetic.png": b"synthetic", "synthetic.png": b"synthetic"}
    assert {file.read_bytes() for file in study.artifacts.iterdir()} == {b"synthetic"}
    assert shown(study, "first") == {}, "the release is made from the last search"


def test_figures_of_a_release_that_is_drawn_again_take_the_place_of_the_earlier_ones(study):
    show_figures(study)
    (study.release / "synthetic.png").write_bytes(b"drawn again")
    assert show_figures(study) == ""
    assert shown(study) == {"SBP-synthetic.png": b"synthetic", "synthetic.png": b"drawn again"}
    assert len(list(study.artifacts.iterdir())) == 2


def test_a_figure_that_the_release_no_longer_has_goes(study):
    show_figures(study)
    (study.release / "synthetic.png").unlink()
    assert show_figures(study) == ""
    assert shown(study) == {"SBP-synthetic.png": b"synthetic"}
    assert len(list(study.artifacts.iterdir())) == 1


def test_somebody_elses_attributes_cost_no_release(study):
    storage = optuna.storages.RDBStorage(url(study))
    storage.set_study_system_attr(storage.get_study_id_from_name("first-finalists"), "artifacts:other", "no JSON")
    assert show_figures(study).startswith("The release is complete, but Optuna's dashboard will not show its figures: ")


def test_a_figure_that_somebody_removed_in_the_dashboard_comes_back(study):
    show_figures(study)
    storage = optuna.storages.RDBStorage(url(study))
    number = storage.get_study_id_from_name("first-finalists")
    for key in storage.get_study_system_attrs(number):
        storage.set_study_system_attr(number, key, json.dumps(None))
    assert show_figures(study) == ""
    kept = optuna.storages.RDBStorage(url(study)).get_study_system_attrs(number)
    assert sorted(json.loads(text)["filename"] for text in kept.values() if json.loads(text)) == [
        "SBP-synthetic.png",
        "synthetic.png",
    ]


def test_a_database_that_cannot_be_used_costs_no_release(study):
    study.database.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    assert show_figures(study).startswith("The release is complete, but Optuna's dashboard will not show its figures: ")


def test_where_optuna_searched_nothing_there_is_nothing_to_show(study):
    study.database.unlink()
    assert show_figures(study) == ""
    assert not study.artifacts.exists()
