import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis import AnalysisError, StudyDirectory, build_release, release
from analysis.figures import Panel
from analysis.release import Manifest, write_release
from analysis.selection import select
from cohorts import load_participants
from privacy import epsilon
from privacy.ledger.study_record import check_record
from tests.analysis.conftest import change_settings, write_trial_files
from tests.analysis.test_selection import scored

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def built(finished, tmp_path_factory):
    """The finished study with its release, and the summary; not to be changed."""
    root = tmp_path_factory.mktemp("built")
    shutil.copytree(finished / "results", root / "results")
    return build_release(StudyDirectory(root / "results" / "small"), QUIET)


@pytest.fixture
def released(built, study):
    """A copy of the finished study together with the release and the internal files of `built`."""
    for folder in ("release", "internal"):
        shutil.copytree(built.directory.path / folder, study.path / folder)
    return study


def contents(directory):
    """Every file of a release but the manifest, which says when it was made."""
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.name != "manifest.json"}


def test_the_manifest_lists_every_file_with_its_checksum_and_rows(built):
    manifest = json.loads((built.directory.release / "manifest.json").read_text())
    found = contents(built.directory.release)
    assert {file["path"] for file in manifest["files"]} == set(found)
    for file in manifest["files"]:
        assert file["sha256"] == hashlib.sha256(found[file["path"]]).hexdigest()
        assert file["bytes"] == len(found[file["path"]])
    rows = {file["path"]: file["rows"] for file in manifest["files"]}
    assert rows["visits-unaccounted.csv"] == rows["visits-unaccounted.parquet"] == 400 * 3
    assert rows["privacy_statement.md"] is None


def test_the_manifest_says_what_the_release_costs(built):
    manifest = Manifest.model_validate_json((built.directory.release / "manifest.json").read_bytes())
    assert manifest == built.manifest
    assert (manifest.study, manifest.cohort, manifest.policy) == ("small", "small", "unaccounted")
    assert (manifest.delta, manifest.participants, manifest.generators) == (1e-5, 400, 10)
    charges = built.selection.trials_to_pay
    assert manifest.chosen_trials == len(charges)
    assert manifest.epsilon == pytest.approx(epsilon(charges, 1e-5))
    assert manifest.winning_run_epsilon == pytest.approx(max(epsilon([charge], 1e-5) for charge in charges))
    assert manifest.winning_run_epsilon < manifest.epsilon


def test_the_statement_stands_in_the_release_and_says_the_search_is_not_covered(built):
    statement = (built.directory.release / "privacy_statement.md").read_text()
    assert statement.strip() == built.manifest.statement
    assert "NOT covered" in built.statement_summary
    assert f"{built.manifest.epsilon:.2f}" in built.statement_summary


def test_data_and_figures_say_unaccounted_in_their_names(built):
    plain = {"manifest.json", "privacy_statement.md", "privacy_statement.json", "README.md"}
    names = {file.name for file in built.directory.release.iterdir()} - plain
    assert all("unaccounted" in name for name in names)
    assert {name.rpartition(".")[2] for name in names} == {"csv", "parquet", "png", "yaml"}


def test_the_released_files_load_again_as_a_cohort(built):
    again, _ = load_participants(str(built.directory.release / "schema-unaccounted.yaml"))
    assert len(again) == 400
    table = pd.read_csv(built.directory.release / "visits-unaccounted.csv")
    pd.testing.assert_frame_equal(
        table, pd.read_parquet(built.directory.release / "visits-unaccounted.parquet"), check_dtype=False
    )
    assert list(table.columns) == ["id", "visit", "arm", "pressure", "dose"]
    assert again.schema.name == "small-synthetic"
    np.testing.assert_allclose(
        again.values[:, 0].ravel(), table.sort_values(["id", "visit"])["pressure"].to_numpy(), atol=1e-6
    )


def test_real_participants_leave_no_trace_in_the_release(released):
    before, internal_before = contents(released.release), (released.internal / "medians.csv").read_text()
    write_trial_files(released.path.parent.parent / "data", seed=99)
    build_release(released, QUIET)
    assert contents(released.release) == before
    assert (released.internal / "medians.csv").read_text() != internal_before


def test_the_release_is_sealed_before_the_cohort_is_opened(study):
    (study.path.parent.parent / "data" / "visits.csv").unlink()
    with pytest.raises(AnalysisError, match=r"The release is complete in .*visits\.csv"):
        build_release(study, QUIET)
    assert Manifest.model_validate_json((study.release / "manifest.json").read_bytes()).study == "small"
    assert not study.internal.exists() or "medians.csv" not in {file.name for file in study.internal.iterdir()}


def test_a_crash_while_rebuilding_leaves_the_old_release_and_nothing_beside_it(released, monkeypatch):
    before = contents(released.release)

    def crash(*_):
        raise RuntimeError("power cut")

    monkeypatch.setattr(release, "datasheet", crash)
    with pytest.raises(RuntimeError, match="power cut"):
        build_release(released, QUIET)
    assert contents(released.release) == before
    known = {"study.json", "ledger.db", "ledger.json", "trials", "release", "internal"}
    assert {file.name for file in released.path.iterdir()} == known


def test_a_seed_repeats_a_release_and_without_one_every_build_draws_other_participants(released):
    (released.path.parent.parent / "data" / "visits.csv").unlink()  # the release needs no real participant
    before = contents(released.release)
    with pytest.raises(AnalysisError, match="The release is complete"):
        build_release(released, QUIET)
    assert contents(released.release) == before
    change_settings(released, seed=None)
    with pytest.raises(AnalysisError, match="The release is complete"):
        build_release(released, QUIET)
    assert contents(released.release)["visits-unaccounted.csv"] != before["visits-unaccounted.csv"]


def test_a_seed_is_refused_for_a_cohort_that_is_not_public(study):
    schema = study.path.parent.parent / "data" / "small.yaml"
    schema.write_text(schema.read_text().replace("public: true", "public: false"))
    with pytest.raises(AnalysisError, match=r"has a seed \(3\), but the cohort small is not public"):
        build_release(study, QUIET)
    assert not study.release.exists()


def test_a_study_that_planned_a_budget_is_not_released_without_its_plan(study):
    change_settings(study, policy="composed")
    with pytest.raises(AnalysisError, match=r"plan.json cannot be read"):
        build_release(study, QUIET)


def test_training_without_noise_is_released_without_an_epsilon(study, cohort):
    study = StudyDirectory(study.path)
    selection = select([scored("a", 1, 0.9, 0.9, noise_multiplier=0.0)])
    panels = [Panel(f"k{n}", "title", cohort) for n in range(4)]
    write_release(study, study.settings(), check_record(study.path).summary, selection, replace(cohort), panels)
    manifest = json.loads((study.release / "manifest.json").read_text())
    assert manifest["epsilon"] is manifest["winning_run_epsilon"] is None
    assert "not differentially private" in manifest["statement"]


def test_internal_files_warn_and_hold_the_transfer_table(built):
    internal = built.directory.internal
    assert {"DO_NOT_PUBLISH.txt", "transfer.json", "transfer.csv", "medians.csv", "selection.csv"} <= {
        file.name for file in internal.iterdir()
    }
    content = json.loads((internal / "transfer.json").read_text())
    assert content == built.transfer.as_json()
    assert len(content["epochs"]) == 10
    selected = pd.read_csv(internal / "selection.csv")
    assert list(selected["selected_by"]) == [epoch["selected_by"] for epoch in content["epochs"]]
